"""Searching in a real browser: by the keyboard alone, without JavaScript, on a telephone, for everybody."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from tests.browser.conftest import Site, Visitor, visit
from tests.factories.accounts import actor_of

from cairn.identity.models import Account
from cairn.repositories.languages.jobs import count_languages
from cairn.repositories.queries import find_repository
from cairn.repositories.topics import set_topics

if TYPE_CHECKING:
    from playwright.async_api import Browser

WIDTH = 390
PHONE: dict[str, Any] = {"viewport": {"width": WIDTH, "height": 844}, "has_touch": True}


@pytest.fixture
async def place(site: Site, chromium: "Browser") -> AsyncIterator[Visitor]:
    """ada/engine with a README, topics and languages; its owner is signed in."""
    ada = await visit(chromium, site, viewport={"width": 1280, "height": 800})
    await ada.join("ada")
    await ada.create("engine", readme="yes")
    database = site.services.database
    async with database.write() as session:
        account = (await session.scalars(select(Account).where(Account.login == "ada"))).one()
        repository = await find_repository(session, actor_of(account), "ada", "engine")
        await set_topics(session, actor_of(account), repository.id, ["git", "stone-mill"])
    await count_languages(database, site.services.engine, repository.id)
    yield ada
    assert ada.complaints == []


async def test_code_is_found_by_the_keyboard_alone(place: Visitor) -> None:
    page = place.page
    await place.open("/ada/engine")
    await page.focus(".code-bar-search input[type=search]")
    await page.keyboard.type("ENGINE")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".found-file mark")
    assert await page.locator(".found-file mark").all_text_contents() == ["engine"]
    await page.focus(".found-file .card-title a")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/ada/engine/blob/main/README.md*")


async def test_everything_is_found_without_javascript_on_a_telephone(
    place: Visitor, site: Site, chromium: "Browser"
) -> None:
    reader = await visit(chromium, site, java_script_enabled=False, **PHONE)
    await reader.open("/explore")
    await reader.page.click(".topic:has-text('stone-mill')")
    assert await reader.page.locator(".repository-row").count() == 1
    await reader.page.fill("main [name=q]", "engine topic:git")
    await reader.page.click("main form button")
    await reader.page.click(".repository-row .list-title a")
    await reader.page.fill(".code-bar-search [name=q]", "/^# \\w+/")
    await reader.page.press(".code-bar-search [name=q]", "Enter")
    assert await reader.page.locator(".found-line mark").all_text_contents() == ["# engine"]
    for path in ("/explore", "/search?q=git", "/topics", "/ada/engine", "/ada/engine/search?q=engine"):
        await reader.open(path)
        width = await reader.page.locator("body").evaluate("body => body.scrollWidth")
        assert width <= WIDTH, path
    assert reader.complaints == []


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_pages_of_searches_are_for_everybody(place: Visitor, theme: str) -> None:
    """No violation that axe knows of, in light and dark."""
    axe = pytest.importorskip("axe_playwright_python.async_playwright").Axe()
    page = place.page
    await page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    for path in (
        *("/search", "/search?q=engine", "/search?q=forks:1", "/topics", "/explore", "/ada/engine"),
        *("/ada/engine/search", "/ada/engine/search?q=engine", "/ada/engine/search?q=(&regex=1"),
    ):
        await place.open(path)
        found = await axe.run(page)
        assert found.violations_count == 0, f"{path}: {found.generate_report()}"
    # A browser says of every refused page that it was refused.
    place.complaints[:] = [said for said in place.complaints if "422" not in said]
