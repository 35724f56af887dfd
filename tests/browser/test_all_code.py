"""Every page of code: axe, the content policy, a phone, the keyboard alone, no JavaScript, and what it weighs."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.code_site import ANSWERS, READING, fill
from tests.browser.conftest import Site, Visitor, visit
from tests.browser.test_accessibility import LOOKS, examine

from cairn.repositories.code.routes import PAGES

if TYPE_CHECKING:
    from playwright.async_api import Browser

BYTES_MAX = 100_000
"""What a page that is read may bring into an empty browser, all it loads together, as it travels."""

UNREACHED = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary")]
  .filter(e => e.type !== "hidden" && e.checkVisibility({ visibilityProperty: true }) && !e.disabled && e.tabIndex >= 0)
  .filter(e => !e.closest("dialog") && e.getClientRects().length)
  .filter(e => !(e.type === "radio" && !e.checked))
  .filter(e => !e.dataset.seenByTab).map(e => e.outerHTML.slice(0, 160))"""
MARK = """() => { const e = document.activeElement; if (e === document.body || e.dataset.seenByTab) return false;
  e.dataset.seenByTab = "1";
  const shows = x => getComputedStyle(x).outlineStyle !== "none";
  if (!shows(e) && !shows(e.type === "radio" ? (e.nextElementSibling ?? e) : e))
    window.unseen = (window.unseen ?? []).concat(e.outerHTML.slice(0, 160));
  return true; }"""
STOPS_MAX = 400


async def test_the_list_names_every_page_of_code() -> None:
    opened = {path.partition("?")[0] for path in READING}
    forgotten = set()
    for handler in PAGES:
        if "GET" not in handler.http_methods:
            continue
        for path in handler.paths:
            pattern = re.sub(r"\{[^}]+\}", "[^/]+", re.sub(r"\{[^}]+:path\}", ".+", path))
            is_page = not path.startswith("/api/") and not ANSWERS.search(path)
            if is_page and not any(re.fullmatch(pattern, one) for one in opened):
                forgotten.add(path)
    assert forgotten == set()


async def test_code_stands_up_to_axe(visitor: Visitor, site: Site, tmp_path: Path) -> None:
    await fill(visitor, site, tmp_path / "stock")
    await examine(visitor, "/ada/engine", "/ada/engine/blob/main/src/store.py", "/ada/engine/compare/v1...carriage-2")


@pytest.mark.nightly
@pytest.mark.timeout(900)
@pytest.mark.parametrize("look", list(LOOKS))
async def test_all_code_stands_up_to_axe(chromium: "Browser", site: Site, tmp_path: Path, look: str) -> None:
    ada = await visit(chromium, site, **LOOKS[look])
    await fill(ada, site, tmp_path / "stock")
    await examine(ada, *READING)
    assert ada.complaints == []


@pytest.mark.nightly
async def test_all_code_fits_a_phone_and_keeps_to_the_content_policy(
    chromium: "Browser", site: Site, tmp_path: Path
) -> None:
    phone = await visit(
        chromium, site, viewport={"width": 360, "height": 740}, color_scheme="dark", has_touch=True, is_mobile=True
    )
    await fill(phone, site, tmp_path / "stock")
    for path in READING:
        await phone.open(path)
        assert (path, await phone.overflow(), phone.complaints) == (path, 0, [])


async def test_code_is_read_without_script(chromium: "Browser", site: Site, tmp_path: Path) -> None:
    ada = await visit(chromium, site, java_script_enabled=False)
    await fill(ada, site, tmp_path / "stock")
    said = {
        "/ada/engine": "Carry the one",
        "/ada/engine/blob/main/README.md": "By the engineer.",
        "/ada/engine/blob/main/data/masses.csv": "granite",
        "/ada/engine/blob/main/src/store.py": "return wheel + 1",
        "/ada/engine/blame/main/src/store.py": "Carry the one",
        "/ada/engine/find/main?q=store": "src/store.py",
        "/ada/engine/search?q=wheel": "return wheel + 1",
        "/ada/engine/commit/v1": "return wheel + 1",
        "/ada/engine/compare/v1...carriage-2": "def anticipate(now)",
        "/ada/engine/branches": "carriage-2",
        "/ada/engine/contributors": "4 commits",
    }
    for path, words in said.items():
        await ada.open(path)
        assert (path, words in await ada.page.inner_text("main")) == (path, True)


@pytest.mark.nightly
async def test_every_page_of_code_opens_without_script_and_offers_nothing_that_needs_it(
    chromium: "Browser", site: Site, tmp_path: Path
) -> None:
    ada = await visit(chromium, site, java_script_enabled=False)
    await fill(ada, site, tmp_path / "stock")
    for path in READING:
        answer = await ada.page.goto(site.origin + path)
        assert answer is not None
        assert (path, answer.status) == (path, 200)
        assert (path, await ada.page.locator(".needs-script:visible").count()) == (path, 0)


@pytest.mark.parametrize(
    "path",
    ["/ada/engine", "/ada/engine/blob/main/src/store.py", "/ada/engine/compare/v1...carriage-2"],
    ids=["home", "file", "compare"],
)
async def test_the_keyboard_alone_reaches_everything_and_shows_where_it_is(
    visitor: Visitor, site: Site, tmp_path: Path, path: str
) -> None:
    await fill(visitor, site, tmp_path / "stock")
    await visitor.page.goto(site.origin + path, wait_until="networkidle")
    page = visitor.page
    for _ in range(STOPS_MAX):
        await page.keyboard.press("Tab")
        if not await page.evaluate(MARK):
            break
    assert await page.evaluate(UNREACHED) == []
    assert await page.evaluate("window.unseen ?? []") == []
    menus = page.locator("details[data-menu] > summary:visible")
    for at in range(await menus.count()):
        await menus.nth(at).focus()
        await page.keyboard.press("Enter")
        assert await page.locator("details[data-menu][open]").count() == 1
        await page.keyboard.press("Escape")
        assert await page.locator("details[data-menu][open]").count() == 0
        assert await menus.nth(at).evaluate("e => e === document.activeElement")


async def test_keys_lead_through_a_repository_and_can_be_switched_off(
    visitor: Visitor, site: Site, tmp_path: Path
) -> None:
    await fill(visitor, site, tmp_path / "stock")
    page = visitor.page
    await visitor.open("/ada/engine")
    await page.keyboard.press("g")
    await page.keyboard.press("m")
    await page.wait_for_url(re.compile("/ada/engine/commits"))
    await page.keyboard.press("?")
    shown = page.locator("dialog[open]")
    assert {"Code", "Branches", "Explore"} <= set(await shown.locator("dd").all_inner_texts())
    await page.keyboard.press("g")
    await page.keyboard.press("c")
    assert await shown.count() == 1, "no key works behind a dialog"
    await page.keyboard.press("Escape")
    assert await shown.count() == 0
    await visitor.open("/new")
    await page.focus("[name=name]")
    await page.keyboard.type("g c ? t")
    assert await page.input_value("[name=name]") == "g c ? t"
    assert await shown.count() == 0
    await visitor.open("/-/appearance?next=/ada/engine")
    await page.uncheck("[name=shortcuts]")
    await page.click("main form button[type=submit]")
    await page.wait_for_url(re.compile("/ada/engine$"))
    await page.keyboard.press("?")
    await page.keyboard.press("g")
    await page.keyboard.press("m")
    assert await shown.count() == 0
    await page.click("footer >> text=Keyboard shortcuts")
    assert await shown.count() == 1, "the link still works"
    assert page.url.endswith("/ada/engine")


@pytest.mark.nightly
async def test_what_is_read_brings_no_more_than_it_may(chromium: "Browser", site: Site, tmp_path: Path) -> None:
    """Each page in an empty browser stays below 100 KB with all it loads, and asks no other host."""
    ada = await visit(chromium, site)
    await fill(ada, site, tmp_path / "stock")
    for path in ("/", "/explore", "/ada", *READING):
        assert (path, await weight(chromium, site, path) <= BYTES_MAX) == (path, True)


async def test_the_most_read_pages_bring_no_more_than_they_may(chromium: "Browser", site: Site, tmp_path: Path) -> None:
    ada = await visit(chromium, site)
    await fill(ada, site, tmp_path / "stock")
    for path in ("/", "/ada/engine", "/ada/engine/blob/main/src/store.py", "/ada/engine/commit/main"):
        assert (path, await weight(chromium, site, path) <= BYTES_MAX) == (path, True)


async def weight(browser: "Browser", site: Site, path: str) -> int:
    """Return what a page brings into an empty browser, in bytes as they travel; it asks no other host."""
    reader = await visit(browser, site)
    found: list[Any] = []
    reader.page.on("requestfinished", lambda request: found.append(request))  # noqa: PLW0108 (Playwright wants a function)
    await reader.page.goto(site.origin + path, wait_until="networkidle")
    sizes = {request.url: (await request.sizes())["responseBodySize"] for request in found}
    await reader.context.close()
    assert [url for url in sizes if not url.startswith(site.origin)] == []
    print(path, sum(sizes.values()))
    return sum(sizes.values())
