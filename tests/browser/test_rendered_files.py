"""Rendered texts in a real browser: drawn, reachable by keys, readable without JavaScript, and nothing of them runs."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.conftest import Visitor, visit
from tests.browser.test_begin import NAMELESS, TWICE
from tests.factories.git_repositories import init

if TYPE_CHECKING:
    from playwright.async_api import Browser

EVERYTHING = Path(__file__).parents[1] / "web/markup/everything.txt"
LOGO = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><circle cx="12" cy="12" r="10" fill="#0f6a5e"/></svg>'
)
NOTEBOOK = (
    '{"cells": [{"cell_type": "markdown", "source": "# Counting stones"}, {"cell_type": "code", "execution_count": 1, '
    '"source": "total = sum(range(10))\\ntotal", "outputs": [{"output_type": "stream", "text": "45\\n"}]}], '
    '"metadata": {"language_info": {"name": "python"}}}'
)
FILES: dict[str, str | bytes] = {
    "README.md": EVERYTHING.read_text("utf-8"),
    "docs/guide.md": "# Guide\n\n" + "Words.\n\n" * 80 + "## How it turns\n\nBy water.\n",
    "docs/guide.rst": "Guide\n=====\n\n.. note:: Turn it.\n\nPart\n----\n\n:math:`a`.\n\n.. code:: c\n\n   x = 1;\n",
    "stones.csv": "name;mass;note\n" + "".join(f"stone {n};{n};a note on it\n" for n in range(40)),
    "count.ipynb": NOTEBOOK,
    "logo.svg": LOGO,
    "logo-dark.svg": LOGO.replace("0f6a5e", "63c7b5"),
}


async def publish(visitor: Visitor, folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Be ada, with a repository that holds the files."""
    await visitor.join("ada")
    await visitor.create("engine", visibility="public")
    client = init(folder)
    client.commit(files, "Write it down")
    await asyncio.to_thread(client.git, "push", "-q", visitor.site.git_url("ada", "engine"), "main")


PAGES = (
    "/ada/engine",
    "/ada/engine/blob/main/README.md",
    "/ada/engine/blob/main/docs/guide.rst",
    "/ada/engine/blob/main/stones.csv",
    "/ada/engine/blob/main/count.ipynb",
)


@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        pytest.param("light", 390, id="phone"),
        pytest.param("light", 1280, id="light", marks=pytest.mark.nightly),
        pytest.param("dark", 1280, id="dark", marks=pytest.mark.nightly),
    ],
)
async def test_rendered_pages_stand_up_to_axe(
    visitor: Visitor, chromium: "Browser", tmp_path: Path, scheme: Any, width: int
) -> None:
    axe = pytest.importorskip("axe_playwright_python.async_playwright").Axe()
    await publish(visitor, tmp_path / "client", FILES)
    reader = await visit(chromium, visitor.site, color_scheme=scheme, viewport={"width": width, "height": 900})
    for path in PAGES:
        await reader.open(path)
        if path.endswith("README.md"):
            await reader.page.locator(".diagram").scroll_into_view_if_needed()
            await reader.page.wait_for_selector(".diagram.is-drawn")
            await reader.page.evaluate("scrollTo(0, 0)")
        import os

        if folder := os.environ.get("SHOTS"):
            await reader.page.screenshot(
                path=f"{folder}/{path.strip('/').replace('/', '_')}-{scheme}-{width}.png", full_page=True
            )
        found = await axe.run(reader.page)
        assert found.violations_count == 0, f"{path}: {found.generate_report()}"
        assert await reader.overflow() <= 0, path
        assert await reader.page.evaluate(NAMELESS) == [], path
        assert await reader.page.evaluate(TWICE) == [], path
    assert reader.complaints == []


async def test_diagrams_follow_the_theme_and_code_is_copied(
    visitor: Visitor, chromium: "Browser", tmp_path: Path
) -> None:
    await publish(visitor, tmp_path / "client", FILES)
    reader = await visit(chromium, visitor.site, color_scheme="light")
    await reader.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await reader.open("/ada/engine/blob/main/README.md")
    page = reader.page
    assert await page.get_attribute(".prose picture source", "media") == "(prefers-color-scheme: dark)"
    await page.locator(".diagram").scroll_into_view_if_needed()
    await page.wait_for_selector(".diagram.is-drawn")
    assert not await page.locator(".diagram pre").is_visible()
    frame = page.frame_locator(".diagram-frame")
    await frame.locator("text=Enough?").wait_for()
    assert await page.locator(".diagram-frame").get_attribute("sandbox") == "allow-scripts"

    await page.evaluate("document.documentElement.dataset.theme = 'dark'")
    await reader.until("document.querySelector('.prose picture source').media === 'all'")
    await frame.locator("#diagram-2").wait_for()

    await page.locator(".code-block").first.hover()
    await page.locator(".copy-code").first.click()
    await page.wait_for_selector(".copy-code.is-copied")
    assert "class Stone:" in await page.evaluate("navigator.clipboard.readText()")
    assert reader.complaints == []


async def test_a_link_to_a_heading_made_elsewhere_finds_it_and_long_tables_scroll_by_keys(
    visitor: Visitor, chromium: "Browser", tmp_path: Path
) -> None:
    await publish(visitor, tmp_path / "client", FILES)
    reader = await visit(chromium, visitor.site, viewport={"width": 390, "height": 800})
    page = reader.page
    await reader.open("/ada/engine/blob/main/docs/guide.md#how-it-turns")
    await reader.until("scrollY > 1000")
    await reader.open("/ada/engine/blob/main/README.md")
    await page.click(".prose a:text('Guide')")
    await page.wait_for_url("**/docs/guide.md#user-content-how-it-turns")
    await reader.until("scrollY > 1000")

    await reader.open("/ada/engine/blob/main/README.md")
    table = page.locator(".table-scroll").nth(1)
    assert await table.get_attribute("tabindex") == "0"
    await table.focus()
    await page.keyboard.press("ArrowRight")
    await reader.until("document.querySelectorAll('.table-scroll')[1].scrollLeft > 0")
    assert await reader.overflow() <= 0


async def test_without_javascript_everything_is_there_to_read(
    visitor: Visitor, chromium: "Browser", tmp_path: Path
) -> None:
    await publish(visitor, tmp_path / "client", FILES)
    reader = await visit(chromium, visitor.site, java_script_enabled=False)
    await reader.open("/ada/engine/blob/main/README.md")
    page = reader.page
    assert "B -- yes --> C[Grind]" in await page.inner_text(".diagram pre")
    assert await page.locator("math").count() == 4
    await page.click(".outline summary")
    await page.click(".outline a:text('Diagrams')")
    assert page.url.endswith("#user-content-diagrams")
    await page.click("nav[aria-label=View] >> text=Source")
    assert "> [!NOTE]" in await page.inner_text("main")
