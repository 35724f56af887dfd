"""A folder's page in a real browser: the column of last commits comes by itself, and by a link without JavaScript."""

import re
from typing import TYPE_CHECKING

import pytest
from tests.browser.conftest import Site, Visitor, visit

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
    if not reader.site.libraries:
        pytest.skip("the browser libraries are not installed: scripts/browser-libraries")
    fetched: list[str] = []
    reader.page.on("request", lambda request: fetched.append(request.url))
    await reader.open("/explore")
    assert not [url for url in fetched if "/lib/" in url], "a page without fragments loads no library"
    await reader.open("/ada/engine")
    await reader.page.wait_for_selector(".tree-message a")
    assert [url for url in fetched if "/lib/htmx" in url]
    assert await reader.page.locator("#files[aria-busy]").count() == 0
    assert ada.complaints == reader.complaints == []


async def test_a_script_in_a_fragment_does_not_run(
    site: Site, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content policy trusts what a trusted script puts in, so what is fetched must be rid of scripts before."""
    if not site.libraries:
        pytest.skip("the browser libraries are not installed: scripts/browser-libraries")
    monkeypatch.setattr(folder_pages, "_PATIENCE_SECONDS", 0)
    await visitor.join("ada")
    await visitor.create("engine", readme="yes")
    attack = '<table id="files"><tbody><tr><td>fetched<script src="/attack.js"></script></td></tr></tbody></table>'
    await visitor.page.route(re.compile("wait=1$"), lambda route: route.fulfill(body=attack, content_type="text/html"))
    await visitor.page.route("**/attack.js", lambda route: route.fulfill(body="window.attacked = true"))
    await visitor.open("/ada/engine")
    await visitor.page.wait_for_selector("#files :text('fetched')")
    assert await visitor.page.evaluate("window.attacked") is None
    assert await visitor.page.locator("#files script").count() == 0
