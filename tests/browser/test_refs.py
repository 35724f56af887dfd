"""Branches, tags and histories in a browser: the menu that is fetched, by mouse, by keyboard and without script."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.browser.conftest import Site, visit
from tests.factories.git_repositories import StockRepository, init

if TYPE_CHECKING:
    from playwright.async_api import Browser


def filled(folder: Path, url: str) -> StockRepository:
    """Push a history with a rename, a co-author, branches and tags."""
    made = init(folder)
    body = "".join(f"line {number}\n" for number in range(40))
    made.commit({"README.md": "# Engine\n", "old.py": body}, "Begin")
    made.git("tag", "v1.0")
    made.git("mv", "old.py", "new.py")
    made.commit({"new.py": body + "more\n"}, "Rename\n\nCo-authored-by: Eve <eve@x.org>\n")
    made.git("tag", "-a", "v1.1", "-m", "The second\n\nWith a rename.")
    for number in range(70):
        made.git("branch", f"topic/{number:02d}", "HEAD~1")
    made.commit({"a": "1"}, "More")
    made.git("push", "-q", url, "--all")
    made.git("push", "-q", url, "--tags")
    return made


async def test_the_menu_of_revisions_is_fetched_searched_and_followed(
    site: Site, chromium: "Browser", tmp_path: Path
) -> None:
    reader = await visit(chromium, site)
    await reader.join("ada")
    await reader.create("engine")
    await asyncio.to_thread(filled, tmp_path / "stock", site.git_url("ada", "engine"))
    if not site.libraries:
        pytest.skip("the browser libraries are not installed: scripts/browser-libraries")
    page = reader.page
    await reader.open("/ada/engine/commits/main/new.py")
    await page.locator(".ref-switcher > summary").focus()
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#ref-links a")
    assert await page.locator("#ref-links a[aria-current]").inner_text() == "main"
    await page.keyboard.press("Tab")
    await page.keyboard.type("topic/6")
    # Ten branches have it in their names; the eleventh link makes one of that name.
    ten_and_one = "#ref-links:not(:has(> a:nth-of-type(12)))"
    await page.wait_for_selector(f"{ten_and_one} > a:nth-of-type(11):has-text('Create topic/6')")
    await page.click("#ref-links a:has-text('topic/61')")
    await page.wait_for_url("**/commits/topic/61/new.py")
    await page.click(".ref-switcher > summary")
    await page.click(".ref-kinds a:has-text('Tags')")
    await page.wait_for_selector("#ref-links a:has-text('v1.1')")
    await page.click("#ref-links a:has-text('v1.1')")
    await page.wait_for_url("**/commits/v1.1/new.py")
    assert await page.locator(".renamed").count() == 1
    await page.keyboard.press("Escape")
    assert reader.complaints == []


async def test_everything_is_reached_without_script(site: Site, chromium: "Browser", tmp_path: Path) -> None:
    reader = await visit(chromium, site, java_script_enabled=False)
    await reader.join("ada")
    await reader.create("engine")
    await asyncio.to_thread(filled, tmp_path / "stock", site.git_url("ada", "engine"))
    page = reader.page
    await reader.open("/ada/engine/tree/main")
    await page.click(".ref-switcher > summary")
    await page.click(".ref-switcher .menu-items a")
    await page.fill("#ref-list input[type=search]", "topic/69")
    await page.click("#ref-list button[type=submit]")
    await page.click("#ref-links a")
    assert page.url.endswith("/ada/engine/tree/topic/69")
    await reader.open("/ada/engine/branches?wait=1")
    assert await page.locator(".branch-row").count() == 30
    assert await page.locator(".branch-distance a").first.get_attribute("title") == "2 behind, 0 ahead of main"
    await page.click("a[rel=next]")
    assert await page.locator(".branch-row").count() == 30
    await reader.open("/ada/engine/commits")
    await page.click("a.mono >> nth=0")
    await page.click(".containing > summary")
    await page.click(".containing a")
    assert await page.locator(".ref-chip").count() == 1
    assert reader.complaints == []


async def test_a_phone_shows_every_list_without_scrolling_sideways(
    site: Site, chromium: "Browser", tmp_path: Path
) -> None:
    reader = await visit(chromium, site, viewport={"width": 390, "height": 844})
    await reader.join("ada")
    await reader.create("engine")
    await asyncio.to_thread(filled, tmp_path / "stock", site.git_url("ada", "engine"))
    for path in ("/branches?wait=1", "/tags?wait=1", "/refs", "/commits", "/commits/main/new.py", "/contributors"):
        await reader.open(f"/ada/engine{path}")
        wide = await reader.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, path
    assert reader.complaints == []
