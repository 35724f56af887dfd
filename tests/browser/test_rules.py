"""Rulesets in a real browser: by the keyboard alone, on a phone, in the dark, and what a checker says."""

import re
from typing import TYPE_CHECKING

import pytest
from tests.browser.conftest import Site, Visitor, visit
from tests.browser.test_teams import fits

if TYPE_CHECKING:
    from playwright.async_api import Browser

PAGE = "/ada/engine/settings/rules"


async def test_a_preset_is_taken_by_the_keyboard(visitor: Visitor) -> None:
    await visitor.join("ada")
    await visitor.create("engine", readme="yes")
    await visitor.open(PAGE)
    page = visitor.page
    await page.focus("a.preset >> nth=0")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("preset=default-branch"))
    await page.focus("[name=name]")
    await page.keyboard.press("End")
    await page.keyboard.type(" of ours")
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("/settings/rules$"))
    assert await page.locator(".rule-row .list-title").inner_text() == "Default branch of ours Active"
    await page.focus("main [name=ref]")
    await page.keyboard.type("main")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".rule-answer >> text=has 1 ruleset")
    await visitor.open("/ada/engine/rules?ref=main")
    assert await page.locator("text=Block force pushes").count() == 1


@pytest.mark.nightly
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 360])
async def test_every_page_fits(chromium: "Browser", site: Site, scheme: str, width: int) -> None:
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    ada = await visit(chromium, site, **options)
    await ada.join("ada")
    await ada.create("engine", readme="yes")
    for preset in ("default-branch", "release-tags"):
        await ada.open(f"{PAGE}/new?preset={preset}")
        await ada.page.click("main form button[type=submit] >> nth=0")
        await ada.page.wait_for_selector(".alert-success, .alert-notice")
    own = await ada.page.locator(".rule-row .list-title a >> nth=0").get_attribute("href")
    assert own is not None
    pages = (PAGE, f"{PAGE}/new", own, f"{PAGE}/insights", f"{PAGE}?ref=main", "/ada/engine/rules?ref=main")
    await fits(ada, *pages)
    assert ada.complaints == []
