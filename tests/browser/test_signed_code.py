"""Signatures, keys and versions of a series in a real browser: axe, light and dark, a phone, no JavaScript."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update
from tests.browser.conftest import Site, Visitor, visit
from tests.browser.test_accessibility import LOOKS, examine
from tests.factories.accounts import LONG_AGO
from tests.factories.git_repositories import StockRepository, init
from tests.factories.signing import Gpg, gpg, make_ssh_key

from cairn.identity.models import AccountEmail

if TYPE_CHECKING:
    from playwright.async_api import Browser

__all__ = ["gpg"]

ADA = "ada@example.org"
PAGES = (
    "/settings/keys",
    "/settings/keys/signing/new",
    "/settings/keys/gpg/new",
    "/ada/engine/commits/v2",
    "/ada/engine/commit/v2",
    "/ada/engine/tags?wait=1",
    "/ada/engine/compare/main...v2",
    "/ada/engine/range-diff",
    "/ada/engine/range-diff/v1...v2",
    "/ada/engine/range-diff/v1...nowhere",
)


def lay_out(folder: Path, gpg: Gpg, key: str) -> StockRepository:
    """Return two versions of a series, signed by GPG, by SSH and by nobody's key."""
    made = init(folder)
    lines = "".join(f"line {number}\n" for number in range(1, 9))
    made.commit({"mill.txt": lines, "README.md": "# Mill\n"}, "Lay the first stone")
    ssh, stranger = make_ssh_key(folder.parent, "ada"), make_ssh_key(folder.parent, "stranger")
    signers = (ssh.signing(made, email=ADA), gpg.signing(made, key, email=ADA), stranger.signing(made, email=ADA))
    for version, word in (("v1", "two"), ("v2", "TWO")):
        made.git("checkout", "-q", "-b", version, "main")
        signers[0].commit({"mill.txt": lines.replace("line 2", word)}, f"Say it in words\n\nThis is {version}.")
        signers[1].commit({"README.md": "# Mill\n\nIt mills.\n"}, "Say what it does")
        name = {"v1": "store", "v2": "wheel"}[version]
        signers[2].commit({name: f"{name} {version}\n" * 3}, f"Add the {name}")
    signers[1].git("tag", "-s", "release", "-m", "The first release")
    return made


async def fill(visitor: Visitor, site: Site, folder: Path, gpg: Gpg) -> None:
    """Let a visitor be ada, whose keys signed most of ada/engine."""
    await visitor.join("ada")
    async with site.services.database.write() as session:
        await session.execute(update(AccountEmail).values(verified_at=LONG_AGO))
    await visitor.create("engine")
    key = gpg.make_key("Ada Lovelace <ada@example.org>", expires="2y")
    made = await asyncio.to_thread(lay_out, folder, gpg, key)
    public = (folder.parent / "ada_ed25519.pub").read_text()
    for kind, name, text in (("signing", "key", public), ("gpg", "armored_public_key", gpg.export(key))):
        await visitor.open(f"/settings/keys/{kind}/new")
        await visitor.page.fill(f"[name={name}]", text)
        await visitor.page.click("main form button[type=submit]")
        await visitor.page.wait_for_url("**/settings/keys")
    for what in ("--all", "--tags"):
        await asyncio.to_thread(made.git, "push", "-q", site.git_url("ada", "engine"), what)


async def test_a_badge_tells_whose_signature_it_is_and_goes_again(
    visitor: Visitor, site: Site, tmp_path: Path, gpg: Gpg
) -> None:
    await fill(visitor, site, tmp_path / "stock", gpg)
    page = visitor.page
    await visitor.open("/ada/engine/commits/v2")
    assert await page.locator("summary:has-text('Unverified')").count() == 1
    badge = page.locator("summary[aria-label^='Verified']").first
    await badge.focus()
    await page.keyboard.press("Enter")
    assert await page.locator(".signature-body:visible >> text=This signature counts").count() == 1
    await page.keyboard.press("Escape")
    assert await page.locator(".signature-body:visible").count() == 0
    await examine(visitor, "/settings/keys", "/ada/engine/commits/v2", "/ada/engine/range-diff/v1...v2")


async def test_everything_is_told_without_javascript(chromium: "Browser", site: Site, tmp_path: Path, gpg: Gpg) -> None:
    ada = await visit(chromium, site, java_script_enabled=False)
    await fill(ada, site, tmp_path / "stock", gpg)
    await ada.open("/ada/engine/commit/v2")
    await ada.page.click("summary:has-text('Unverified')")
    assert await ada.page.locator("text=not in any account's list of signing keys").is_visible()
    await ada.open("/ada/engine/range-diff")
    await ada.page.fill("[name=old]", "v1")
    await ada.page.fill("[name=new]", "v2")
    await ada.page.click("main form button[type=submit]")
    await ada.page.wait_for_url("**/range-diff/v1...v2")
    row = ada.page.locator("tr.series-of-new:has-text('This is v2.')")
    assert (await row.inner_text()).split() == ["new", "This", "is", "v2."]
    assert await ada.page.locator("tr.series-of-old.series-is-added:has-text('two')").count() == 1


@pytest.mark.nightly
@pytest.mark.timeout(600)
@pytest.mark.parametrize("look", list(LOOKS))
async def test_signed_code_stands_up_to_axe(
    chromium: "Browser", site: Site, tmp_path: Path, gpg: Gpg, look: str
) -> None:
    ada = await visit(chromium, site, **LOOKS[look])
    await fill(ada, site, tmp_path / "stock", gpg)
    await examine(ada, *PAGES)
    assert ada.complaints == [] or all("404" in complaint for complaint in ada.complaints)
