"""The page that tells everybody which rules a branch or a tag has."""

from tests.factories.forge import Forge
from tests.stories.browser import forms_of

from cairn.access.roles import Visibility

PAGE = "/ada/engine/rules"
API = "/repos/ada/engine/rulesets"


async def test_readers_see_the_rules_in_force_of_a_ref(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    stranger = forge.browser()
    assert "No rules" in (await stranger.get(PAGE)).text
    for name, state in (("Held", "active"), ("Tried", "evaluate"), ("Off", "disabled")):
        body = {
            "name": name,
            "enforcement": state,
            "conditions": {"ref_name": {"include": ["release/*"]}},
            "rules": [{"type": "max_file_size", "parameters": {"max_file_size": 7}}],
        }
        made = (await forge.api(ada).call("POST", API, json=body)).json()
        if state == "active":
            anchor = f"ruleset-{made['id']}"
    for path in (PAGE, f"{PAGE}?ref=release/1", f"{PAGE}?ref=refs/heads/release/1"):
        shown = (await stranger.get(path)).text
        assert "Held" in shown
        assert "No new file is larger than 7 MiB." in shown
        assert f'id="{anchor}"' in shown
        assert "Tried" not in shown
        assert "Off" not in shown
        assert "Change rules" not in shown
    for path in (f"{PAGE}?ref=other", f"{PAGE}?ref=release/1&kind=tag", f"{PAGE}?ref=refs/tags/release/1"):
        assert "No rules apply" in (await stranger.get(path)).text
    assert "Change rules" in (await forge.browser(ada).get(PAGE)).text


async def test_branches_that_take_no_push_and_can_be_deleted_have_a_warning(forge: Forge) -> None:
    """Attack: delete a branch that only pull requests may move, and push it anew."""
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    browser = forge.browser(ada)
    warning = "Nothing here forbids deleting these branches"

    async def make(name: str, *kinds: str) -> str:
        body = {
            "name": name,
            "enforcement": "active",
            "conditions": {"ref_name": {"include": ["~ALL"]}},
            "rules": [{"type": kind} for kind in kinds],
        }
        made = await forge.api(ada).call("POST", API, json=body)
        assert made.status_code == 201, made.text
        return f"/ada/engine/settings/rules/{made.json()['id']}"

    open_form = await make("Reviewed", "pull_request")
    assert warning in (await browser.get(open_form)).text
    form = next(one for one in forms_of((await browser.get(open_form)).text) if one.action == open_form)
    saved = await browser.post(open_form, form.fields)
    assert saved.status_code == 303, saved.text
    assert warning in (await browser.get(saved.headers["location"])).text
    for path in (PAGE, f"{PAGE}?ref=main"):
        assert warning in (await browser.get(path)).text
    kept_form = await make("Kept", "deletion")
    assert warning not in (await browser.get(kept_form)).text
    assert warning in (await browser.get(PAGE)).text, "the two need not be about the same branches"
    assert warning not in (await browser.get(f"{PAGE}?ref=main")).text


async def test_what_may_not_be_read_has_no_such_page(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine", visibility=Visibility.PRIVATE)
    assert (await forge.browser(await forge.person("sam")).get(PAGE)).status_code == 404
