"""A folder's page in a real browser: the column of last commits comes by itself, and by a link without JavaScript."""

import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.conftest import Site, Visitor, visit

from cairn.git.types import Oid
from cairn.repositories.code import folder_pages
from cairn.repositories.code.browse import Code

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


@pytest.fixture
async def late(site: Site, chromium: "Browser", monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ada/engine, whose column of last commits never comes with the page, only to who waits for it."""
    found = Code.last_commits

    async def only_to_who_waits(self: Code, path: bytes, tip: Oid, *, patience_seconds: float | None) -> Any:
        return await found(self, path, tip, patience_seconds=None) if patience_seconds is None else None

    monkeypatch.setattr(Code, "last_commits", only_to_who_waits)
    ada = await visit(chromium, site, java_script_enabled=False)
    await ada.join("ada")
    await ada.create("engine", readme="yes")


@pytest.mark.usefixtures("late")
async def test_a_script_in_a_fragment_does_not_run(site: Site, visitor: Visitor) -> None:
    """The content policy trusts what a trusted script puts in, so what is fetched must be rid of scripts before."""
    if not site.libraries:
        pytest.skip("the browser libraries are not installed: scripts/browser-libraries")
    attack = '<table id="files"><tbody><tr><td>fetched<script src="/attack.js"></script></td></tr></tbody></table>'
    await visitor.page.route(re.compile("wait=1$"), lambda route: route.fulfill(body=attack, content_type="text/html"))
    await visitor.page.route("**/attack.js", lambda route: route.fulfill(body="window.attacked = true"))
    await visitor.open("/ada/engine")
    await visitor.page.wait_for_selector("#files :text('fetched')")
    assert await visitor.page.evaluate("window.attacked") is None
    assert await visitor.page.locator("#files script").count() == 0


@pytest.mark.usefixtures("late")
async def test_what_comes_late_takes_its_place(site: Site, visitor: Visitor) -> None:
    if not site.libraries:
        pytest.skip("the browser libraries are not installed: scripts/browser-libraries")
    await visitor.open("/ada/engine")
    await visitor.page.wait_for_selector(".tree-message a")
    assert visitor.page.url.endswith("/ada/engine")
    assert await visitor.page.locator("#files[aria-busy]").count() == 0
    assert await visitor.page.locator(".late-link:visible").count() == 0


@pytest.mark.usefixtures("late")
async def test_where_htmx_is_missing_a_link_leads_to_what_comes_late(site: Site, chromium: "Browser") -> None:
    reader = await visit(chromium, site)
    await reader.page.route(re.compile("/lib/htmx"), lambda route: route.fulfill(status=404))
    await reader.open("/ada/engine")
    await reader.page.click(".late-link a")
    await reader.page.wait_for_selector(".tree-message a")
    assert await reader.page.locator("#files[aria-busy]").count() == 0
