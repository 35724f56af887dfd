"""Large files in a real browser: locks released, pictures compared, at a desk and on a phone in the dark."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browser.conftest import Site, visit
from tests.browser.test_begin import NAMELESS, TWICE
from tests.factories.accounts import actor_of
from tests.factories.git_repositories import init
from tests.factories.lfs import let, send_object
from tests.factories.pictures import picture
from tests.lfs.test_collection import pointer

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


async def test_files_of_git_lfs_are_seen_and_compared_like_any_other(
    chromium: "Browser", site: Site, tmp_path: Path
) -> None:
    ada = await visit(chromium, site, viewport={"width": 1280, "height": 800})
    await ada.join("ada")
    await ada.create("engine")
    pictures = [picture(160, 120, colour) for colour in ("steelblue", "darkorange")]
    await send_objects(site, *pictures)
    made = init(tmp_path / "stock")
    made.commit({"art/wheel.png": pointer(pictures[0]).decode(), "lost.bin": pointer(b"lost").decode()}, "Draw a wheel")
    made.commit({"art/wheel.png": pointer(pictures[1]).decode()}, "Paint it")
    await site.let_objects_be_lost("engine")
    await asyncio.to_thread(made.git, "push", "-q", site.git_url("ada", "engine"), "HEAD:refs/heads/main")
    pages = ("/ada/engine/blob/main/art/wheel.png", "/ada/engine/blob/main/lost.bin", "/ada/engine/commit/main")
    for width, look in ((1280, "light"), (1280, "dark"), (390, "dark")):
        await ada.page.set_viewport_size({"width": width, "height": 800})
        await ada.page.emulate_media(color_scheme=look)  # type: ignore[arg-type]
        for path in (*pages, PAGE):
            await ada.open(path)
            assert await ada.overflow() <= 0
            assert await ada.page.evaluate(NAMELESS) == []
    await ada.open(pages[0])
    assert await ada.page.evaluate(DRAWN) == [[160, 120]]
    await ada.open(pages[2])
    await ada.page.wait_for_selector(".picture-pair.is-pair img")
    await ada.until(f"({DRAWN})().length == 2")
    assert await ada.page.evaluate(DRAWN) == [[160, 120]] * 2
    assert ada.complaints == []


DRAWN = """() => [...document.querySelectorAll("main img")].filter(one => one.naturalWidth)
  .map(one => [one.naturalWidth, one.naturalHeight])"""


async def send_objects(site: Site, *contents: bytes) -> None:
    """Send objects to ada/engine."""
    services = site.services
    async with services.database.read() as session:
        account = await find_account(session, "ada")
        assert account is not None
        repository = await find_repository(session, actor_of(account), "ada", "engine")
    for data in contents:
        await send_object(services.engine, actor_of(account), repository.id, data)
