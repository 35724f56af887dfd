"""The pages of mirrors in a real browser: set up, synced, failing and ended, at a desk and on a phone in the dark."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.browser.conftest import Site, Visitor, visit
from tests.browser.test_begin import NAMELESS, TWICE
from tests.factories.git_http import serve_git
from tests.factories.importing import HERE, make_source
from tests.factories.mirroring import empty_target
from tests.factories.work import do_what_is_due

if TYPE_CHECKING:
    from playwright.async_api import Browser

PAGE = "/ada/engine/settings/mirroring"


@pytest.fixture
def site_settings() -> dict[str, Any]:
    """The forge may reach this machine."""
    return dict(HERE)


async def shows_well(visitor: Visitor, name: str, path: str) -> None:
    """Hold a page to its width at a desk and on a phone, in both colours; SHOTS=folder keeps what it looks like."""
    for width, scheme in ((1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")):
        await visitor.page.set_viewport_size({"width": width, "height": 800})
        await visitor.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        await visitor.open(path)
        if folder := os.environ.get("SHOTS"):
            await visitor.page.screenshot(path=f"{folder}/mirrors-{name}-{scheme}-{width}.png", full_page=True)
        assert await visitor.overflow() <= 0
        assert await visitor.page.evaluate(NAMELESS) == []
        assert await visitor.page.evaluate(TWICE) == []


async def press(visitor: Visitor, text: str) -> None:
    """Press the first button of that text which is seen."""
    await visitor.page.click(f"main button:has-text('{text}') >> visible=true")


async def test_a_mirror_is_set_up_watched_and_ended(chromium: "Browser", site: Site, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    source = make_source(tmp_path / "served")
    empty_target(tmp_path / "served")
    ada = await visit(chromium, site, viewport={"width": 1280, "height": 800})
    await ada.join("ada")
    await ada.create("engine")
    await shows_well(ada, "none", PAGE)
    await shows_well(ada, "new-pull", f"{PAGE}/new?direction=pull")
    await shows_well(ada, "new-push", f"{PAGE}/new?direction=push")
    await shows_well(ada, "import", "/new/import")
    async with serve_git(tmp_path / "served") as server:
        await ada.open(f"{PAGE}/new?direction=pull")
        await ada.page.fill("[name=url]", server.url("r.git"))
        await ada.page.uncheck("[name=overwrites]")
        await press(ada, "Follow it")
        await ada.page.wait_for_selector("text=begins within a minute")
        await shows_well(ada, "waiting", PAGE)
        await shows_well(ada, "front-waiting", "/ada/engine")
        await ada.open(PAGE)
        await press(ada, "Sync now")
        await do_what_is_due(site.services.engine)
        await ada.open("/ada/engine")
        await ada.page.wait_for_selector("text=last in step")
        await shows_well(ada, "front", "/ada/engine")
        source.git("update-ref", "refs/heads/topic-1", source.oid("refs/heads/trunk~2"))
        await ada.open(f"{PAGE}/new?direction=push")
        await ada.page.fill("[name=url]", server.url("copy.git"))
        await press(ada, "Add push mirror")
        for number in range(2):
            await ada.open(PAGE)
            await ada.page.locator("main button:has-text('Sync now')").nth(number).click()
        await do_what_is_due(site.services.engine)
        server.credentials = "ada:another"
        await ada.open(PAGE)
        await ada.page.locator("main button:has-text('Sync now')").nth(1).click()
        await do_what_is_due(site.services.engine)
    await ada.open(PAGE)
    await ada.page.wait_for_selector("text=1 ref was left as it was")
    await ada.page.wait_for_selector("text=wants a user and password or token")
    await shows_well(ada, "both", PAGE)
    await ada.page.click("main a:has-text('Edit')")
    await ada.page.wait_for_selector("text=Edit the mirror")
    await shows_well(ada, "edit", ada.page.url.removeprefix(site.origin))
    await ada.open(PAGE)
    await ada.page.click("summary:has-text('Stop mirroring')")
    await ada.page.locator("button:has-text('Stop mirroring') >> visible=true").click()
    await ada.page.wait_for_selector("text=It follows nothing")
    assert ada.complaints == []
