"""Pins are chosen by a form and stand first on the profile."""

from tests.factories.forge import Forge


async def test_pins_are_chosen_and_shown(forge: Forge) -> None:
    ada = await forge.person("ada")
    made = await forge.repository(ada, "engine", description="Mill of numbers")
    browser = forge.browser(ada)
    assert "ada/engine" in (await browser.get("/settings/pins")).text
    done = await browser.submit("/settings/pins", {"repositories": str(made.id)})
    assert (done.status_code, done.headers["location"]) == (303, "/ada")
    assert 'class="pins"' in (await forge.browser().get("/ada")).text
    wrong = await browser.submit("/settings/pins", {"repositories": "999999"})
    assert wrong.status_code == 422
    await browser.submit("/settings/pins", {})
    assert 'class="pins"' not in (await forge.browser().get("/ada")).text
