"""The page of large files in a real browser: locks of others are released, at a desk and on a phone in the dark."""

from typing import TYPE_CHECKING

from tests.browser.conftest import Site, visit
from tests.browser.test_begin import NAMELESS, TWICE
from tests.factories.accounts import actor_of
from tests.factories.lfs import let

from cairn.identity.queries import find_account
from cairn.lfs.locks import create_lock
from cairn.repositories.queries import find_repository

if TYPE_CHECKING:
    from playwright.async_api import Browser

PAGE = "/ada/engine/settings/lfs"
PATHS = ("art/Cover.psd", "levels/a-rather-long-folder-name/with-another/one-inside/Night of the long names.umap", "x")


async def lock_files(site: Site) -> None:
    """Lock some files of ada/engine."""
    async with site.services.database.write() as session:
        account = await find_account(session, "ada")
        assert account is not None
        repository = await find_repository(session, actor_of(account), "ada", "engine")
        for path in PATHS:
            await create_lock(session, let(actor_of(account)), repository.id, path)


async def test_locks_are_seen_and_released_at_a_desk_and_on_a_phone(chromium: "Browser", site: Site) -> None:
    ada = await visit(chromium, site, viewport={"width": 1280, "height": 800})
    await ada.join("ada")
    await ada.create("engine")
    await ada.open(PAGE)
    await ada.page.wait_for_selector("text=No locks")
    await lock_files(site)
    for width, scheme in ((1280, "light"), (1280, "dark"), (390, "dark")):
        await ada.page.set_viewport_size({"width": width, "height": 800})
        await ada.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        await ada.open(PAGE)
        assert await ada.overflow() <= 0
        assert await ada.page.evaluate(NAMELESS) == []
        assert await ada.page.evaluate(TWICE) == []
    await ada.page.click("summary[aria-label='Release the lock of art/Cover.psd']")
    await ada.page.click("button:has-text('Release lock') >> visible=true")
    await ada.page.wait_for_selector("text=art/Cover.psd is no longer locked by ada.")
    assert await ada.page.locator("summary[aria-label^='Release the lock of']").count() == len(PATHS) - 1
    assert ada.complaints == []
