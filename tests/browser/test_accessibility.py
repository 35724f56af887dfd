"""Every page of people, organizations and administration stands up to axe, in light, in dark and on a phone."""

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncssh
import pytest
from sqlalchemy import update
from tests.browser.conftest import PASSWORD, Site, Visitor, visit
from tests.browser.test_begin import NAMELESS, TWICE
from tests.browser.test_invitations import invite
from tests.browser.test_teams import lay_out, send

from cairn.db.clock import database_now
from cairn.identity.first_run import announce
from cairn.identity.models import Session
from cairn.jobs.models import Job, JobState
from cairn.programs.web_features import make_web_features

if TYPE_CHECKING:
    from playwright.async_api import Browser

STRANGER = (
    "/",
    "/explore",
    "/topics",
    "/search?q=nothing-at-all",
    "/login",
    "/join",
    "/password/forgot",
    "/password/reset?secret=nothing",
    "/-/setup/nothing",
    "/acme",
    "/orgs/acme/people",
)
GUEST = (
    "/acme",
    "/orgs/acme/invitation",
    "/orgs/sand/invitation",
    "/settings/organizations",
    "/settings/transfers",
    "/settings/keys",
    "/settings/tokens",
    "/-/emails/verify?secret=nothing",
    "/nothing/here",
)
OWNER = (
    "/",
    "/olga",
    "/settings/profile",
    "/settings/emails",
    "/settings/account",
    "/settings/password",
    "/settings/sessions",
    "/settings/tokens",
    "/settings/tokens/new",
    "/settings/tokens/fine-grained/new?owner=acme",
    "/settings/keys",
    "/settings/keys/new",
    "/settings/keys/signing/new",
    "/settings/keys/gpg/new",
    "/settings/organizations",
    "/settings/transfers",
    "/settings/deleted",
    "/settings/pins",
    "/organizations/new",
    "/acme",
    "/orgs/acme/people",
    "/orgs/acme/teams",
    "/orgs/acme/teams?q=nothing",
    "/orgs/sand/teams",
    "/orgs/acme/teams/new",
    "/orgs/acme/teams/core",
    "/orgs/acme/teams/core/teams",
    "/orgs/acme/teams/legal/teams",
    "/orgs/acme/teams/core-web/repositories",
    "/orgs/acme/teams/core-web/settings",
    "/orgs/acme/outside-collaborators",
    "/orgs/sand/outside-collaborators",
    "/organizations/acme/settings",
    "/organizations/acme/settings/tokens",
    "/organizations/acme/settings/rules",
    "/organizations/acme/settings/rules/new?preset=secrets",
    "/organizations/acme/settings/rules/insights",
    "/organizations/acme/settings/audit-log",
    "/orgs/acme/deleted",
    "/orgs/acme/pins",
    "/acme/engine/settings",
    "/acme/engine/settings/access",
    "/acme/engine/settings/keys",
    "/acme/engine/settings/rules",
    "/acme/engine/settings/rules/new?preset=release-tags",
    "/acme/engine/settings/rules/insights",
    "/acme/engine/rules",
    "/acme/engine/settings/transfer",
    "/acme/engine/settings/wiki",
    "/acme/engine/settings/mirroring",
    "/acme/engine/settings/mirroring/new?direction=pull",
    "/acme/engine/settings/mirroring/new?direction=push",
    "/acme/engine/activity",
    "/acme/engine/releases",
    "/acme/engine/releases/new",
    "/acme/engine/stargazers",
    "/acme/engine/watch",
    "/acme/engine/watchers",
    "/acme/engine/wiki",
    "/acme/engine/wiki/_new",
    "/acme/engine/wiki/_upload",
    "/new/import",
    "/olga/gift/settings/transfer",
    "/new?owner=acme",
)
ADMINISTRATION = (
    "/admin",
    "/admin/users",
    "/admin/users?text=nobody-at-all",
    "/admin/users/new",
    "/admin/users/olga",
    "/admin/users/sam",
    "/admin/organizations",
    "/admin/organizations?text=nothing",
    "/admin/repositories",
    "/admin/registration",
    "/admin/announcements",
    "/admin/jobs",
    "/admin/storage",
    "/admin/deleted",
    "/admin/backups",
    "/admin/programs",
    "/admin/mail",
    "/admin/settings",
    "/admin/audit",
    "/admin/audit?actor=olga&since=nonsense",
    "/admin/audit?actor=nobody-at-all",
)
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "high contrast": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "light", "contrast": "more"},
    "high contrast in the dark": {
        "viewport": {"width": 1280, "height": 800}, "color_scheme": "dark", "contrast": "more",
    },
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "has_touch": True, "is_mobile": True},
    "phone in the dark": {
        "viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True, "is_mobile": True,
    },
}  # fmt: skip
COVERED = ("cairn.identity", "cairn.ops", "cairn.repositories.life")
"""Every page below these packages must be among those that are opened here."""
ELSEWHERE = {
    "/settings",  # leads on to the profile
    "/-/emails/verify",  # without a working link; with one: tests/identity
    "/settings/tokens/{token_id:int}",  # made and opened below
    "/admin/mail/{mail_id:str}",  # opened by its link
    "/{owner:str}/{repo:str}/generate",  # of a template
    "/-/sudo",  # opened when the proof is forgotten
}
NO_PAGES = re.compile(r"/-/avatar/|\.jsonl$")
OPEN_ALL = """() => document.querySelectorAll("main details:not(.menu)").forEach(one => one.open = true)"""


async def examine(visitor: Visitor, *paths: str) -> None:
    """Open pages with all that folds open, and find nothing that axe objects to, nameless, doubled or too wide."""
    axe = pytest.importorskip("axe_playwright_python.async_playwright").Axe()
    for path in paths:
        await visitor.open(path)
        await visitor.page.evaluate(OPEN_ALL)
        await _examine_page(visitor, path, axe)


async def _examine_page(visitor: Visitor, path: str, axe: Any) -> None:
    found = (await axe.run(visitor.page)).response["violations"]
    assert (path, [(one["id"], [node["html"][:200] for node in one["nodes"]][:3]) for one in found]) == (path, [])
    assert (path, await visitor.overflow()) == (path, 0)
    assert (path, await visitor.page.evaluate(NAMELESS)) == (path, [])
    assert (path, await visitor.page.evaluate(TWICE)) == (path, [])
    assert re.fullmatch(r"Cairn|Set up Cairn|.+ · Cairn", await visitor.page.title()), path


async def set_up(visitor: Visitor, login: str) -> None:
    """Become the first administrator by the link that the first start prints."""
    services = visitor.site.services
    link = await announce(services.database, services.settings)
    assert link is not None
    await visitor.page.goto(link)
    await visitor.page.fill("[name=login]", login)
    await visitor.page.fill("[name=email]", f"{login}@example.org")
    await visitor.page.fill("[name=password]", PASSWORD)
    await visitor.page.click("main form button[type=submit]")
    await visitor.page.wait_for_selector("text=You administer this Cairn")


async def prepare(olga: Visitor, sam: Visitor, other: Visitor) -> None:
    """Fill the forge: two organizations, an invitation, an offer, keys, a mail, a dead job, what is deleted."""
    await set_up(olga, "olga")
    await sam.join("sam")
    await other.join("a-person-with-a-rather-long-name")
    await lay_out(olga)
    await olga.open("/organizations/new")
    await olga.page.fill("[name=login]", "sand")
    await olga.page.click("main form button[type=submit]")
    await olga.page.wait_for_url(re.compile("/sand$"))
    await invite(olga, "sam")
    await invite(olga, "somebody-with-a-long-address@a-long-domain-of-theirs.example.org", "owner")
    await olga.create("gift", visibility="private")
    gift = "/olga/gift/settings/transfer"
    await send(olga, gift, gift, new_owner="sam", full_name="olga/gift")
    await olga.create("gone", visibility="private")
    await olga.open("/olga/gone/settings")
    await olga.page.evaluate(OPEN_ALL)
    await olga.page.fill("main form[action$='/settings/delete'] [name=full_name]", "olga/gone")
    await olga.page.click("main form[action$='/settings/delete'] button[type=submit]")
    await olga.page.wait_for_url(re.compile("/olga$"))
    await add_keys_and_tokens(olga)
    words = {"text": "Cairn is away on Saturday, from 22:00 UTC. Nothing is lost.", "level": "warning"}
    await send(olga, "/admin/announcements", "/admin/announcements", **words)
    async with olga.site.services.database.write() as session:
        moment = await database_now(session)
        session.add(
            Job(
                kind="repositories.sync_fork", payload={}, state=JobState.DEAD, attempts=9, due_at=moment,
                created_at=moment - timedelta(hours=2), finished_at=moment,
                last_error="Traceback (most recent call last):\n" + "  a long line " * 20,
            )
        )  # fmt: skip


async def forget_proofs(site: Site) -> None:
    """Let every browser be asked for the password before the next dangerous thing."""
    async with site.services.database.write() as session:
        await session.execute(update(Session).values(proved_at=None))


async def add_keys_and_tokens(olga: Visitor) -> None:
    """Give olga an SSH key, a repository a deploy key, and make a token of each kind."""
    for path in ("/settings/keys/new", "/acme/engine/settings/keys"):
        key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        await send(olga, path, path, key=key, title="The workstation at the end of the long corridor, second floor")
    for path in ("/settings/tokens/new", "/settings/tokens/fine-grained/new"):
        await olga.open(path)
        await olga.page.fill("[name=name]", "nightly backup of everything that is ours")
        await olga.page.locator("main form button[type=submit]").last.click()
        await olga.page.wait_for_selector(".secret")


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("look", list(LOOKS))
async def test_every_page_stands_up_to_axe(chromium: "Browser", site: Site, look: str) -> None:
    olga, sam, other, stranger = [await visit(chromium, site, **LOOKS[look]) for _ in range(4)]
    await prepare(olga, sam, other)
    await examine(stranger, *STRANGER)
    await examine(sam, *GUEST)
    await examine(olga, *OWNER, *ADMINISTRATION)
    for page, link in (("/admin/mail", ".list-title"), ("/settings/tokens", ".token-actions > a")):
        await olga.open(page)
        await examine(olga, str(await olga.page.locator(f"main {link}").first.get_attribute("href")))
    await forget_proofs(site)
    await examine(olga, "/-/sudo?next=/settings/keys/new")


async def test_the_way_in_and_the_own_settings_stand_up_to_axe(chromium: "Browser", site: Site) -> None:
    visitor = await visit(chromium, site, **LOOKS["phone in the dark"])
    await examine(visitor, "/", "/login", "/join")
    await visitor.join("ada")
    await examine(visitor, "/settings/profile", "/settings/emails", "/settings/account", "/organizations/new")


async def test_what_a_form_refuses_stands_up_to_axe_and_keeps_what_was_typed(chromium: "Browser", site: Site) -> None:
    visitor = await visit(chromium, site, **LOOKS["light"])
    await visitor.open("/join")
    await visitor.page.evaluate("document.querySelector('main form').noValidate = true")
    await visitor.page.fill("[name=login]", "Ada Lovelace")
    await visitor.page.fill("[name=email]", "ada")
    await visitor.page.fill("[name=password]", "short")
    await visitor.page.click("main form button[type=submit]")
    await visitor.page.wait_for_selector(".field-wrong")
    assert await visitor.page.locator(".field-wrong").count() == 3
    assert await visitor.page.input_value("[name=login]") == "Ada Lovelace"
    assert await visitor.page.input_value("[name=email]") == "ada"
    axe = pytest.importorskip("axe_playwright_python.async_playwright").Axe()
    await _examine_page(visitor, "/join", axe)


async def test_no_page_of_people_or_administration_is_left_out(site: Site) -> None:
    opened = {path.partition("?")[0] for path in (*STRANGER, *GUEST, *OWNER, *ADMINISTRATION)}
    forgotten = set()
    for handler in make_web_features(site.services).route_handlers:
        if "GET" not in handler.http_methods or not handler.fn.__module__.startswith(COVERED):
            continue
        for path in handler.paths - ELSEWHERE:
            pattern = re.sub(r"\{[^}]+\}", "[^/]+", re.sub(r"([.])", r"\\\1", path))
            is_page = not path.startswith("/api/") and not NO_PAGES.search(path)
            if is_page and not any(re.fullmatch(pattern, one) for one in opened):
                forgotten.add(path)
    assert forgotten == set()
