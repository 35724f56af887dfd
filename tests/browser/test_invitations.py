"""An owner invites, somebody answers: in a real browser, on a phone, and without script."""

import re
from typing import TYPE_CHECKING

import pytest
from tests.browser.conftest import Site, Visitor, visit
from tests.browser.test_begin import NAMELESS, TWICE

if TYPE_CHECKING:
    from playwright.async_api import Browser


async def found(visitor: Visitor) -> None:
    """Make an account and an organization of it."""
    await visitor.join("olga")
    await visitor.open("/organizations/new")
    await visitor.page.fill("[name=login]", "acme")
    await visitor.page.click("main form button[type=submit]")
    await visitor.page.wait_for_url(re.compile("/acme$"))


async def invite(visitor: Visitor, invitee: str, role: str = "member") -> None:
    """Fill in the form of the people page."""
    await visitor.open("/orgs/acme/people")
    await visitor.page.fill("[name=invitee]", invitee)
    await visitor.page.select_option("main [name=role]", role)
    await visitor.page.click("main button:has-text('Invite')")
    await visitor.page.wait_for_selector(f"text={invitee} is invited.")


async def fits(visitor: Visitor, *paths: str) -> None:
    """Hold pages to the width of the window, names for all controls and ids that stand once."""
    for path in paths:
        await visitor.open(path)
        assert (path, await visitor.overflow()) == (path, 0)
        assert (path, await visitor.page.evaluate(NAMELESS)) == (path, [])
        assert (path, await visitor.page.evaluate(TWICE)) == (path, [])


@pytest.mark.parametrize(
    "options",
    [
        {"java_script_enabled": False},
        {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark", "has_touch": True, "is_mobile": True},
    ],
    ids=["without script", "phone"],
)
async def test_an_invitation_from_the_form_to_the_membership(
    chromium: "Browser", site: Site, options: dict[str, object]
) -> None:
    sam, olga = await visit(chromium, site, **options), await visit(chromium, site, **options)
    await sam.join("sam")
    await found(olga)
    await invite(olga, "sam")
    await invite(olga, "somebody-with-a-long-address@a-long-domain-of-theirs.example.org", "owner")
    with_script = options.get("java_script_enabled", True)
    if with_script:
        await fits(olga, "/orgs/acme/people")
        await fits(sam, "/acme", "/settings/organizations", "/orgs/acme/invitation")
    await sam.open("/acme")
    await sam.page.click("text=See the invitation")
    await sam.page.click("button:has-text('Join')")
    await sam.page.wait_for_selector("text=You are a member of acme now.")
    await olga.open("/orgs/acme/people")
    await olga.page.click("button:has-text('Cancel')")
    await olga.page.wait_for_selector("text=is taken back.")
    listed = await olga.page.inner_text("main")
    assert "Invitations" not in listed
    assert "sam" in listed
    await invite(olga, "another@example.org")
