"""A folder's page in a real browser: the column of last commits comes by itself, and by a link without JavaScript."""

from typing import TYPE_CHECKING

import pytest
from tests.browser.conftest import Site, visit

from cairn.repositories.code import folder_pages

if TYPE_CHECKING:
    from playwright.async_api import Browser


async def test_the_column_of_last_commits_comes_after_the_page(
    site: Site, chromium: "Browser", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_pages, "_PATIENCE_SECONDS", 0)
    ada = await visit(chromium, site, java_script_enabled=False)
    await ada.join("ada")
    for name in ("engine", "mill"):
        await ada.create(name, readme="yes")
        assert await ada.page.locator(".tree-message a").count() == 0
    await ada.page.click(".card-note a")
    assert await ada.page.locator(".tree-message a").count() == 1

    reader = await visit(chromium, site)
    await reader.open("/ada/engine")
    await reader.page.wait_for_selector(".tree-message a")
    assert await reader.page.locator("#files[aria-busy]").count() == 0
    assert ada.complaints == reader.complaints == []
