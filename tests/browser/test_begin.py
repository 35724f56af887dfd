"""A team begins: from the front page to browsing what was pushed, in a real browser with stock git beside it."""

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.conftest import PASSWORD, Site, Visitor, visit
from tests.factories.git_repositories import init

if TYPE_CHECKING:
    from playwright.async_api import Browser

FILES = {
    "README.md": "# Engine\n\nA **mill** and a [store](src/store.py).\n",
    "src/store.py": "def store(wheel: int) -> int:\n    return wheel\n",
    "src/" + "a-very-long-name-" * 8 + ".txt": "x" * 400,
}
PAGES = (
    "/",
    "/explore",
    "/ada",
    "/new",
    "/ada/engine",
    "/ada/engine/tree/main/src",
    "/ada/engine/blob/main/src/store.py",
    "/ada/engine/blob/main/README.md",
    "/ada/engine/commits",
    "/ada/engine/commit/main",
    "/ada/engine/branches",
    "/ada/engine/tags",
    "/ada/engine/settings",
    "/ada/engine/settings/access",
    "/ada/bare",
    "/settings/profile",
    "/settings/tokens",
    "/-/components",
    "/nothing/here",
)
NAMELESS = """() => [...document.querySelectorAll("a, button, input:not([type=hidden]), select, textarea, summary")]
  .filter(e => e.checkVisibility() && !e.closest("[aria-hidden=true]"))
  .filter(e => !(e.textContent.trim() || e.ariaLabel || e.title || e.labels?.length || e.placeholder))
  .map(e => e.outerHTML.slice(0, 200))"""
TWICE = """() => { const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
  return ids.filter((id, at) => ids.indexOf(id) !== at); }"""


async def push(site: Site, folder: Path) -> None:
    """Push FILES to ada/engine with stock git, over HTTP with ada's password."""
    client = init(folder)
    client.commit(FILES, "Lay the first stone\n\nBecause it must begin.")
    client.git("tag", "v1")
    await asyncio.to_thread(client.git, "push", "-q", site.git_url("ada", "engine"), "main", "v1")


async def test_from_the_front_page_to_pushed_code(visitor: Visitor, site: Site, tmp_path: Path) -> None:
    page = visitor.page
    await visitor.open("/")
    await page.click("text=Create an account")
    await page.wait_for_url(re.compile("/join"))
    await visitor.join("ada")
    await visitor.open("/")
    await page.click(".steps a[href='/new']")
    await page.fill("[name=name]", "engine")
    await page.click("main form button[type=submit]")
    await page.wait_for_selector("text=Lay the first stone")
    assert f"git remote add origin {site.origin}/ada/engine.git" in await page.inner_text("main")
    await push(site, tmp_path / "client")
    await page.reload()
    assert await page.inner_text(".readme h1") == "Engine"
    await page.click(".readme >> text=store")
    await page.wait_for_selector("#L2")
    assert "return wheel" in await page.inner_text("#L2")
    await page.click(".commit-history")
    await page.click("text=Lay the first stone")
    await page.wait_for_selector(".diff-add")
    assert "Because it must begin." in await page.inner_text(".commit-body")
    await visitor.open("/ada/engine/tags")
    assert "v1" in await page.inner_text("main")


async def test_somebody_else_sees_what_is_theirs_to_see(chromium: "Browser", visitor: Visitor, site: Site) -> None:
    await visitor.join("ada")
    await visitor.create("secret", visibility="private", readme="yes")
    await visitor.create("shared", readme="yes")
    stranger = await visit(chromium, site)
    await stranger.open("/ada")
    text = await stranger.page.inner_text("main")
    assert ("shared" in text, "secret" in text) == (True, False)
    await stranger.open("/ada/secret")
    assert "Nothing here" in await stranger.page.inner_text("main")


async def test_settings_change_and_delete_with_the_typed_name(visitor: Visitor) -> None:
    await visitor.join("ada")
    await visitor.create("engine", readme="yes")
    page = visitor.page
    await page.click(".tabs >> text=Settings")
    await page.fill("[name=description]", "Mill and store")
    await page.click("text=Save")
    await page.wait_for_selector("text=The settings are saved.")
    await page.click("summary:has-text('Delete this repository')")
    await page.fill("[name=full_name]", "ada/engine")
    await page.click("text='Delete it'")
    await page.wait_for_selector("text=ada/engine is deleted.")


async def test_everything_is_reached_by_the_keyboard(visitor: Visitor) -> None:
    page = visitor.page
    await visitor.join("ada")
    await visitor.open("/")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip-link"
    await page.keyboard.press("Enter")
    assert await page.evaluate("document.activeElement.id") == "main"
    await visitor.open("/")
    await page.focus("summary[aria-label=Create]")
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.textContent") == "New repository"
    await page.keyboard.press("Escape")
    assert await page.evaluate("document.activeElement.ariaLabel") == "Create"
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("/new$"))
    # The name has the focus already; Enter sends the form.
    await page.keyboard.type("engine")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("/ada/engine$"))


async def test_the_focus_is_always_visible(visitor: Visitor) -> None:
    await visitor.join("ada")
    await visitor.create("engine", readme="yes")
    for path in ("/ada/engine", "/ada/engine/settings", "/new"):
        await visitor.open(path)
        for _ in range(25):
            await visitor.page.keyboard.press("Tab")
            seen: Any = await visitor.page.evaluate(
                """() => { const e = document.activeElement, f = e.type === "radio" ? (e.nextElementSibling ?? e) : e;
                const shows = x => getComputedStyle(x).outlineStyle !== "none";
                return e === document.body || shows(e) || shows(f) ? "" : e.outerHTML.slice(0, 200); }"""
            )
            assert (path, seen) == (path, "")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_fits_a_phone(chromium: "Browser", site: Site, tmp_path: Path, scheme: str) -> None:
    phone = await visit(
        chromium, site, viewport={"width": 360, "height": 740}, color_scheme=scheme, has_touch=True, is_mobile=True
    )
    await phone.join("ada")
    await phone.create("bare")
    await phone.create("engine")
    await push(site, tmp_path / "client")
    for path in PAGES:
        await phone.open(path)
        assert (path, await phone.overflow()) == (path, 0)
        if path == "/-/components":
            continue  # it shows one form twice, so that names stand twice too
        assert (path, await phone.page.evaluate(NAMELESS)) == (path, [])
        assert (path, await phone.page.evaluate(TWICE)) == (path, [])
    await phone.open("/ada/engine")
    await phone.page.tap("summary:has-text('Clone')")
    box = await phone.page.locator(".clone-menu").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360


async def test_without_script_everything_works(chromium: "Browser", site: Site, tmp_path: Path) -> None:
    plain = await visit(chromium, site, java_script_enabled=False)
    await plain.join("ada")
    await plain.create("engine")
    await push(site, tmp_path / "client")
    await plain.open("/ada/engine")
    await plain.page.click("summary:has-text('Clone')")
    shown = [await field.input_value() for field in await plain.page.locator(".clone-menu input[readonly]").all()]
    assert [address.split(":")[0] for address in shown] == ["http", "ssh"]
    await plain.page.click(".tree >> text=src")
    await plain.page.click("text=store.py")
    assert "def store" in await plain.page.inner_text(".code")
    await plain.page.click("summary[aria-label='Your menu, ada']")
    await plain.page.click("text=Sign out")
    await plain.open("/login")
    await plain.page.fill("[name=name]", "ada")
    await plain.page.fill("[name=password]", PASSWORD)
    await plain.page.click("main form button[type=submit]")
    await plain.page.wait_for_selector("summary[aria-label='Your menu, ada']")
