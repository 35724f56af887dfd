"""Teams, access and transfers in a real browser: at a desk, on a phone in the dark, and by the keyboard alone."""

import re
from typing import TYPE_CHECKING

import pytest
from tests.browser.conftest import Site, Visitor, visit
from tests.browser.test_begin import NAMELESS, TWICE

if TYPE_CHECKING:
    from playwright.async_api import Browser

PAGES = (
    "/orgs/acme/teams",
    "/orgs/acme/teams?q=web",
    "/orgs/acme/teams/new",
    "/orgs/acme/teams/core",
    "/orgs/acme/teams/core/teams",
    "/orgs/acme/teams/core-web/repositories",
    "/orgs/acme/teams/core-web/settings",
    "/orgs/acme/outside-collaborators",
    "/acme/engine/settings/access",
    "/acme/engine/settings/transfer",
    "/new?owner=acme",
)


async def send(visitor: Visitor, path: str, action: str, **fields: str) -> None:
    """Fill in the page's form of an action and send it."""
    await visitor.open(path)
    form = f"main form[action='{action}']:not(.row-form)"
    for name, value in fields.items():
        control = visitor.page.locator(f"{form} [name={name}]")
        kind = await control.first.evaluate("e => e.type == 'radio' ? 'radio' : e.localName")
        if kind == "radio":
            await visitor.page.check(f"{form} [name={name}][value={value}]")
        elif kind == "select":
            await control.select_option(value)
        else:
            await control.fill(value)
    await visitor.page.locator(f"{form} button[type=submit]").first.click()
    await visitor.page.wait_for_selector(".alert-success, .alert-notice")


async def build(olga: Visitor) -> None:
    """Make an account, and acme."""
    await olga.join("olga")
    await lay_out(olga)


async def lay_out(olga: Visitor) -> None:
    """Found acme with nested teams, a repository, and roles on it."""
    await olga.open("/organizations/new")
    await olga.page.fill("[name=login]", "acme")
    await olga.page.click("main form button[type=submit]")
    await olga.page.wait_for_url(re.compile("/acme$"))
    for name in ("Core", "Legal", "Vault"):
        fields = {"name": name, "description": f"Everybody of {name.lower()}, and whoever helps them."}
        privacy = "secret" if name == "Vault" else "closed"
        await send(olga, "/orgs/acme/teams/new", "/orgs/acme/teams", **fields, privacy=privacy)
    await send(olga, "/orgs/acme/teams/new?parent=core", "/orgs/acme/teams", name="Core Web")
    await send(olga, "/orgs/acme/teams/new?parent=core-web", "/orgs/acme/teams", name="Core Web Accessibility")
    await olga.open("/new?owner=acme")
    await olga.page.fill("[name=name]", "engine")
    await olga.page.check("[name=visibility][value=internal]")
    await olga.page.click("main form button[type=submit]")
    await olga.page.wait_for_url(re.compile("/acme/engine$"))
    for team, role in (("core", "write"), ("vault", "triage")):
        path = f"/orgs/acme/teams/{team}/repositories"
        await send(olga, path, path, repository="engine", role=role)
    for login in ("sam", "a-person-with-a-rather-long-name"):
        page = "/acme/engine/settings/access"
        await send(olga, page, f"{page}/people", username=login, role="maintain")


async def fits(visitor: Visitor, *paths: str) -> None:
    """Hold pages to the width of the window, names for all controls and ids that stand once."""
    for path in paths:
        await visitor.open(path)
        assert (path, await visitor.overflow()) == (path, 0)
        assert (path, await visitor.page.evaluate(NAMELESS)) == (path, [])
        assert (path, await visitor.page.evaluate(TWICE)) == (path, [])


@pytest.mark.nightly
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
async def test_every_page_fits(chromium: "Browser", site: Site, scheme: str, width: int) -> None:
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    sam = await visit(chromium, site, **options)
    await sam.join("sam")
    other = await visit(chromium, site)
    await other.join("a-person-with-a-rather-long-name")
    olga = await visit(chromium, site, **options)
    await build(olga)
    await fits(olga, *PAGES)
    await olga.create("gift", visibility="private")
    gift = "/olga/gift/settings/transfer"
    await send(olga, gift, gift, new_owner="sam", full_name="olga/gift")
    await fits(olga, gift)
    await fits(sam, "/", "/settings/transfers")
    assert olga.complaints == sam.complaints == []


async def test_internal_is_offered_for_organizations_only(visitor: Visitor) -> None:
    await visitor.join("olga")
    await visitor.open("/new")
    assert await visitor.page.locator("[name=visibility]").count() == 2
    await visitor.open("/organizations/new")
    await visitor.page.fill("[name=login]", "acme")
    await visitor.page.click("main form button[type=submit]")
    await visitor.page.wait_for_url(re.compile("/acme$"))
    await visitor.open("/new")
    internal = visitor.page.locator("[name=visibility][value=internal]")
    assert not await internal.is_visible()
    await visitor.page.select_option("[name=owner]", "acme")
    assert await internal.is_visible()


async def test_a_repository_is_given_and_taken_by_the_keyboard(
    chromium: "Browser", site: Site, visitor: Visitor
) -> None:
    sam = await visit(chromium, site)
    await sam.join("sam")
    await visitor.join("olga")
    await visitor.create("gift")
    await visitor.open("/olga/gift/settings/transfer")
    await visitor.page.focus("[name=new_owner]")
    await visitor.page.keyboard.type("sam")
    for _ in range(2):
        await visitor.page.keyboard.press("Tab")
    await visitor.page.keyboard.type("olga/gift")
    await visitor.page.keyboard.press("Enter")
    await visitor.page.wait_for_selector("text=Waiting for an answer")
    await sam.open("/")
    await sam.page.focus("text=See and answer")
    await sam.page.keyboard.press("Enter")
    await sam.page.wait_for_url(re.compile("/settings/transfers$"))
    await sam.page.focus("main [name=name]")
    await sam.page.keyboard.press("Tab")
    await sam.page.keyboard.press("Enter")
    await sam.page.wait_for_url(re.compile("/sam/gift$"))
    await visitor.open("/olga/gift")
    assert visitor.page.url.endswith("/sam/gift")
