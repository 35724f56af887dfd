"""A long history comes from another server while somebody looks on: no reload, no script of its own, no guess."""

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.conftest import Site, Visitor
from tests.browser.test_begin import NAMELESS, TWICE
from tests.factories.git_http import serve_git
from tests.factories.importing import HERE, make_source
from tests.factories.work import do_what_is_due

from cairn.repositories.code.browse import COUNTED_COMMITS_MAX

if TYPE_CHECKING:
    from playwright.async_api import Page

LOOKING_SECONDS = 60


@pytest.fixture
def site_settings() -> dict[str, Any]:
    """The forge may reach this machine."""
    return dict(HERE)


async def seen_beyond(page: "Page", percent: int) -> int:
    """Return how far the page shows the import to be, as soon as that is more than so many percent."""
    async with asyncio.timeout(LOOKING_SECONDS):
        while True:
            shown = int(await page.locator("#import-percent").evaluate("it => it.value"))
            if shown > percent:
                return shown
            await asyncio.sleep(0.1)


async def shows_well(visitor: Visitor, name: str) -> None:
    """Hold the page to its width at a desk and on a phone, in both colours; SHOTS=folder keeps what it looks like."""
    for width, scheme in ((1280, "light"), (390, "dark")):
        await visitor.page.set_viewport_size({"width": width, "height": 800})
        await visitor.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        assert await visitor.overflow() <= 0
        assert await visitor.page.evaluate(NAMELESS) == []
        assert await visitor.page.evaluate(TWICE) == []
        if folder := os.environ.get("SHOTS"):
            await visitor.page.screenshot(path=f"{folder}/import-{name}-{scheme}-{width}.png", full_page=True)


@pytest.mark.parametrize(("commits", "filler"), [(300, 8000), pytest.param(10_000, 400, marks=pytest.mark.nightly)])
async def test_a_history_comes_while_somebody_looks_on(
    visitor: Visitor, site: Site, tmp_path: Path, commits: int, filler: int
) -> None:
    (tmp_path / "served").mkdir()
    # More than a few of the packets that git sends packs in, so that its own progress moves between the pauses.
    source = make_source(tmp_path / "served", commits=commits, filler=filler)
    whole = len(source.pack(["refs/heads/trunk"]))
    gates = [asyncio.Event(), asyncio.Event()]
    page = visitor.page
    await visitor.join("ada")
    await visitor.open("/new/import")
    async with serve_git(tmp_path / "served") as server:
        server.pauses = [(whole * (number + 1) // 3, gate) for number, gate in enumerate(gates)]
        await page.fill("[name=url]", server.url("r.git"))
        await page.fill("[name=name]", "engine")
        await page.click("main form button[type=submit]")
        await page.wait_for_selector("text=Waiting for a worker")
        working = asyncio.create_task(do_what_is_due(site.services.engine))
        try:
            first = await seen_beyond(page, 6)
            assert await page.locator("[aria-current=step]").count() == 1
            await shows_well(visitor, "running")
            await page.focus("#cancel-import")
            gates[0].set()
            second = await seen_beyond(page, first)
            assert await page.evaluate("document.activeElement.id") == "cancel-import"
            gates[1].set()
            assert first < second < 60  # percent, while the last third of the default branch is not sent
            await page.wait_for_selector("text=Everything is here.", timeout=LOOKING_SECONDS * 1000)
        finally:
            for gate in gates:
                gate.set()
            await working
    assert await seen_beyond(page, 99) == 100
    await shows_well(visitor, "done")
    await page.click("text=Open the repository")
    counted = f"{commits:,}" + ("+" if commits >= COUNTED_COMMITS_MAX else "")
    await page.wait_for_selector(f"text={counted} commits")
