"""RELIABILITY M1: no script runs from stored text, in a real browser, on each page that shows it.

Two things are held apart: that nothing ran (the content policy would stop much of it), and that the sanitiser left
nothing for the policy to stop: the browser's own parser is asked what it made of the page.
"""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.conftest import Visitor, visit
from tests.browser.test_rendered_files import publish
from tests.factories.hostile_markup import PAYLOADS, RST_PAYLOADS

if TYPE_CHECKING:
    from playwright.async_api import Browser, Route

STEP = 40
"""Each commit tries every so manieth payload, each night all of them."""

_WATCH = """
  window.ran = [];
  for (const name of ["alert", "confirm", "prompt", "msgbox"]) window[name] = (said) => { window.ran.push(name); };
"""
_STIR = """() => {
  const kinds = ["click", "mouseover", "pointerenter", "focus", "blur", "toggle", "load", "error", "input", "copy"];
  for (const element of document.querySelectorAll(".prose *, main pre *")) {
    if (element.closest(".outline") || element.matches("a[href], summary, button")) continue;
    for (const kind of kinds) element.dispatchEvent(new Event(kind, { bubbles: true }));
  }
}"""
_LEFT = """() => {
  const found = [];
  const allowed = new Set(["http:", "https:", "mailto:", "data:"]);
  for (const element of document.querySelectorAll(".prose *")) {
    const name = element.localName;
    if (/^(script|style|iframe|object|embed|form|base|meta|link|template|textarea|select|video|audio)$/.test(name)) {
      if (!element.matches("iframe.diagram-frame[sandbox='allow-scripts']")) found.push(name);
    }
    if (element.namespaceURI.endsWith("svg") && !element.closest("svg.icon")) found.push(`svg ${name}`);
    for (const { name: attribute, value } of element.attributes) {
      const acts = /^on|^style$|^hx-|^srcdoc$|^formaction$|^xlink/.test(attribute);
      if (acts && !element.matches("iframe")) found.push(attribute);
      if (attribute === "id" && !value.startsWith("user-content-")) found.push(`id ${value}`);
      if (/^(href|src)$/.test(attribute) && !allowed.has(new URL(value, location).protocol)) found.push(value);
    }
    if (element.matches("a[href^='data:']")) found.push("a link to data");
  }
  return found;
}"""


def files_of(payloads: tuple[str, ...], suffix: str) -> dict[str, str | bytes]:
    """Return a folder for each payload, with a README of it."""
    return {f"{suffix}/{number}/README.{suffix}": text for number, text in enumerate(payloads)}


def notebook_of(payload: str) -> str:
    """Return a notebook whose words and whose output are the payload."""
    output = {"output_type": "execute_result", "data": {"text/html": payload}}
    cells = [
        {"cell_type": "markdown", "source": payload},
        {"cell_type": "code", "source": payload, "outputs": [output, {"output_type": "stream", "text": payload}]},
    ]
    return json.dumps({"cells": cells})


async def look(browser: "Browser", visitor: Visitor, paths: list[str]) -> list[str]:
    """Open each page, stir what is on it, and return everything that is not as it should be."""
    reader = await visit(browser, visitor.site)
    await reader.context.add_init_script(_WATCH)
    asked: list[str] = []

    async def answer(route: "Route") -> None:
        request = route.request
        if request.url.startswith(visitor.site.origin):
            await route.continue_()
            return
        if request.resource_type != "image":
            asked.append(f"{request.resource_type} {request.url}")
        await route.abort()

    await reader.context.route("**/*", answer)
    wrong: list[str] = []
    for path in paths:
        await reader.open(path)
        await reader.page.evaluate(_STIR)
        ran: Any = await reader.page.evaluate("window.ran")
        left: Any = await reader.page.evaluate(_LEFT)
        wrong += [f"{path}: {what}" for what in (*ran, *left)]
        if not reader.page.url.startswith(visitor.site.origin + path.split("?")[0]):
            wrong.append(f"{path}: led to {reader.page.url}")
    wrong += [complaint for complaint in reader.complaints if "script" in complaint.lower()]
    await reader.context.close()
    return wrong + asked


async def hunt(visitor: Visitor, chromium: "Browser", folder: Path, step: int) -> None:
    """Publish payloads and look at every page that shows them."""
    markdown, rst = PAYLOADS[::step], RST_PAYLOADS[:: max(1, step // 4)]
    files = files_of(markdown, "md") | files_of(rst, "rst")
    files["all.ipynb"] = notebook_of("\n\n".join(markdown))
    files["all.csv"] = "\n".join(markdown)
    await publish(visitor, folder, files)
    paths = ["/ada/engine/blob/main/all.ipynb", "/ada/engine/blob/main/all.csv", "/ada/engine/commit/main"]
    for suffix, payloads in (("md", markdown), ("rst", rst)):
        for number in range(len(payloads)):
            paths.append(f"/ada/engine/tree/main/{suffix}/{number}")
            file = f"/ada/engine/blob/main/{suffix}/{number}/README.{suffix}"
            paths += [file] if step > 1 else [file, f"{file}?plain=1"]
    half = (len(paths) + 1) // 2
    found = await asyncio.gather(*(look(chromium, visitor, part) for part in (paths[:half], paths[half:])))
    wrong = [line for part in found for line in part]
    assert wrong == [], "\n".join(wrong)


async def test_no_script_runs_from_a_text(visitor: Visitor, chromium: "Browser", tmp_path: Path) -> None:
    await hunt(visitor, chromium, tmp_path / "client", STEP)


@pytest.mark.nightly
async def test_no_script_runs_from_any_of_all_texts(visitor: Visitor, chromium: "Browser", tmp_path: Path) -> None:
    assert len(PAYLOADS) >= 200
    await hunt(visitor, chromium, tmp_path / "client", 1)


async def test_the_hunt_sees_what_it_is_for(visitor: Visitor, chromium: "Browser") -> None:
    """A page on which everything was left in, without any policy: each of the watches must cry."""
    reader = await visit(chromium, visitor.site)
    await reader.context.add_init_script(_WATCH)
    await reader.context.route("**/bad", lambda route: route.fulfill(content_type="text/html", body=_BAD))
    await reader.open("/bad")
    await reader.page.evaluate(_STIR)
    ran: Any = await reader.page.evaluate("window.ran")
    left: Any = await reader.page.evaluate(_LEFT)
    assert len(ran) >= 2
    assert {"script", "onerror", "javascript:alert(2)", "id main"} <= set(left)


_BAD = """<!doctype html><div class=prose><script>alert(1)</script><img src=x onerror=alert(1)>
<a href="javascript:alert(2)">x</a><p id=main onclick=alert(3)>x</p></div>"""
