import re
from pathlib import Path
from typing import Any

import pytest
from tests.web.support import Running, open_app, user

from cairn.web.pages import HOTKEYS


@pytest.fixture
async def running(tmp_path: Path) -> Any:
    async with open_app(tmp_path) as app:
        yield app


async def test_the_theme_is_chosen_without_script_and_kept(running: Running) -> None:
    browser = running.browser()
    assert "data-theme=" not in (await browser.get("/-/appearance")).text.split("<head>")[0]
    answer = await browser.submit("/-/appearance", {"theme": "dark", "shortcuts": "true", "next": "/-/components?a=1"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/-/components?a=1")
    assert '<html lang="en" data-theme="dark">' in (await browser.get("/-/components")).text
    wrong = await browser.submit("/-/appearance", {"theme": "pink"})
    assert wrong.status_code == 422
    assert "Choose one of the three." in wrong.text


async def test_contrast_and_shortcuts_are_chosen_without_script_and_kept(running: Running) -> None:
    browser = running.browser()
    chosen = {"theme": "auto", "contrast": "more", "shortcuts": ""}
    assert (await browser.submit("/-/appearance", chosen)).status_code == 303
    assert '<html lang="en" data-contrast="more" data-hotkeys="off">' in (await browser.get("/-/components")).text
    form = (await browser.get("/-/appearance")).text
    assert 'name="contrast" value="more" checked' in form
    assert re.search(r'name="shortcuts"[^>]* checked', form) is None
    assert (await browser.submit("/-/appearance", {"theme": "auto", "contrast": "some"})).status_code == 422


async def test_the_page_of_shortcuts_names_every_key_that_a_template_has(running: Running) -> None:
    text = (await running.browser().get("/-/shortcuts")).text
    sources = Path(__file__).parents[2] / "src/cairn"
    used = set()
    for template in sources.glob("*/templates/**/*.html"):
        found = re.findall(r'(?:data-hotkey|data-keys)="([^"{]+)"', template.read_text())
        used |= {keys for alternatives in found for keys in alternatives.split(", ")}
    frame = (sources / "repositories/templates/repositories/frame.html").read_text()
    used |= set(re.findall(r'"\w+": "(g \w)"', frame))
    assert {"?", "g h", "g c"} <= used
    listed = {keys for _, rows in HOTKEYS for keys, _ in rows}
    assert used - listed == set()
    for keys in listed:
        assert "".join(f"<kbd>{key}</kbd>" for key in keys.split()) in text


async def test_the_theme_form_does_not_lead_away(running: Running) -> None:
    answer = await running.browser().submit("/-/appearance", {"theme": "light", "next": "//evil.test"})
    assert answer.headers["location"] == "/"


async def test_a_forged_theme_cookie_changes_nothing(running: Running) -> None:
    browser = running.browser()
    browser.client.cookies.set("cairn_theme", '"onload=x')
    assert '<html lang="en">' in (await browser.get("/-/components")).text


async def test_every_component_is_shown(running: Running) -> None:
    macros = Path(__file__).parents[2] / "src/cairn/web/templates/web/ui.html"
    shown = (macros.parent / "components.html").read_text()
    names = [line.split()[2].split("(")[0] for line in macros.read_text().splitlines() if line.startswith("{% macro")]
    assert [name for name in names if f"{name}(" not in shown and name not in {"logo", "fallen_cairn"}] == []
    assert (await running.browser(user(1, "ada")).get("/-/components")).status_code == 200


async def test_the_old_icon_address_leads_to_the_new(running: Running) -> None:
    answer = await running.client().get("/favicon.ico")
    assert answer.status_code == 302
    assert (await running.client().get(answer.headers["location"])).headers["content-type"] == "image/svg+xml"


async def test_a_page_repeats_no_secret_of_a_one_time_link(running: Running) -> None:
    """What leads back to a page stands in addresses, and addresses are logged."""
    browser = running.browser(user(1, "ada"))
    for query in ("secret=Abc123", "invitation=Abc123", "x=1&secret=Abc123"):
        text = (await browser.get(f"/-/components?{query}")).text
        assert "Abc123" not in text
        assert 'href="/-/appearance?next=/-/components"' in text
    assert "next=/-/components%3Fpage%3D2" in (await browser.get("/-/components?page=2")).text


async def test_the_way_to_sign_in_repeats_no_secret_of_a_one_time_link(running: Running) -> None:
    text = (await running.client().get("/-/appearance?secret=Abc123")).text
    assert "Abc123" not in text
    assert 'href="/login?next=/-/appearance"' in text
    assert 'href="/login?next=/-/appearance%3Fx%3D1"' in (await running.client().get("/-/appearance?x=1")).text
