"""The pages of rulesets: a list, a form that works without a script, import and export."""

import json
from typing import Any

import pytest
from tests.factories.forge import Forge, Person
from tests.web.support import csrf_token_of

from cairn.access.roles import Role
from cairn.repositories.rules.checks import RULESET_BYTES_MAX

PAGE = "/ada/engine/settings/rules"
API = "/repos/ada/engine/rulesets"


@pytest.fixture
async def ada(forge: Forge) -> Person:
    """Ada with a repository that bob may push to."""
    person = await forge.person("ada")
    repository = await forge.repository(person, "engine", files={"README.md": b"# Engine"})
    await forge.grant(repository, await forge.person("bob"), Role.WRITE)
    return person


async def only_ruleset(forge: Forge, ada: Person) -> dict[str, Any]:
    """Return the repository's only ruleset."""
    [found] = (await forge.api(ada).get(API)).json()
    full: dict[str, Any] = (await forge.api(ada).get(f"{API}/{found['id']}")).json()
    return full


async def test_a_ruleset_is_made_shown_changed_and_deleted(forge: Forge, ada: Person) -> None:
    browser = forge.browser(ada)
    empty = (await browser.get(PAGE)).text
    assert "No rules yet" in empty
    assert "Protect the default branch" in empty
    fields = {
        "name": "Releases",
        "target": "branch",
        "enforcement": "active",
        "takes_default": "true",
        "include": "release/*\nhotfix/**",
        "exclude": "release/old",
        "deletion.0": "true",
        "creation.0": "true",
        "creation.0.allowed_actors.add": "@bob",
        "commit_message_pattern.0": "true",
        "commit_message_pattern.0.operator": "regex",
        "commit_message_pattern.0.pattern": "^ENG-",
        "commit_message_pattern.1": "true",
        "commit_message_pattern.1.operator": "contains",
        "commit_message_pattern.1.pattern": "Signed",
        "max_file_size.0": "true",
        "max_file_size.0.max_file_size": "5",
        "required_status_checks.0": "true",
        "required_status_checks.0.required_status_checks": "ci\nlint = 7",
        "bypass.RepositoryRole.5": "always",
        "bypass.add": "bob",
        "bypass.mode": "pull_request",
    }
    made = await browser.submit(PAGE, fields, page=f"{PAGE}/new")
    assert (made.status_code, made.headers.get("location")) == (303, PAGE), made.text
    found = await only_ruleset(forge, ada)
    assert found["conditions"]["ref_name"] == {
        "include": ["~DEFAULT_BRANCH", "refs/heads/release/*", "refs/heads/hotfix/**"],
        "exclude": ["refs/heads/release/old"],
    }
    bob = forge.people["bob"].account.id
    assert found["bypass_actors"] == [
        {"actor_type": "RepositoryRole", "actor_id": 5, "bypass_mode": "always"},
        {"actor_type": "User", "actor_id": bob, "bypass_mode": "pull_request"},
    ]
    rules = {rule["type"]: rule.get("parameters") for rule in found["rules"]}
    assert rules["creation"] == {"allowed_actors": [{"actor_type": "User", "actor_id": bob}]}
    assert [rule["parameters"]["pattern"] for rule in found["rules"] if "pattern" in rule.get("parameters", {})] == [
        "^ENG-",
        "Signed",
    ]
    assert rules["required_status_checks"]["required_status_checks"][1] == {"context": "lint", "integration_id": 7}
    shown = (await browser.get(PAGE)).text
    for words in ("Releases", "Active", "6 rules", "the default branch"):
        assert words in shown
    own = f"{PAGE}/{found['id']}"
    form = (await browser.get(own)).text
    for words in ("release/*\nhotfix/**", "^ENG-", "lint = 7", "bob"):
        assert words in form
    saved = await browser.submit(own, fields | {"enforcement": "evaluate", "name": "Trial"}, page=own)
    assert saved.status_code == 303, saved.text
    assert "Dry run" in (await browser.get(PAGE)).text
    deleted = await browser.submit(f"{own}/delete", {}, page=own)
    assert deleted.headers["location"] == PAGE
    assert "No rules yet" in (await browser.get(PAGE)).text


@pytest.mark.parametrize("preset", ["default-branch", "release-tags", "secrets"])
async def test_a_preset_is_a_form_that_can_be_saved_as_it_is(forge: Forge, ada: Person, preset: str) -> None:
    from tests.stories.browser import forms_of

    browser = forge.browser(ada)
    page = (await browser.get(f"{PAGE}/new?preset={preset}")).text
    form = next(one for one in forms_of(page) if one.action == PAGE and one.method == "post")
    made = await browser.post(PAGE, form.fields)
    assert made.status_code == 303, made.text
    found = await only_ruleset(forge, ada)
    assert found["enforcement"] == "active"
    # What is opened and saved as it stands does not change.
    own = f"{PAGE}/{found['id']}"
    form = next(one for one in forms_of((await browser.get(own)).text) if one.action == own)
    assert (await browser.post(own, form.fields)).status_code == 303
    assert await only_ruleset(forge, ada) == found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": ""}, "Give the ruleset a name"),
        ({"include": "refs/tags/v1"}, "is not below refs/heads/"),
        ({"max_file_size.0": "true", "max_file_size.0.max_file_size": "many"}, "Give a whole number"),
        ({"commit_message_pattern.0": "true", "commit_message_pattern.0.pattern": ""}, "pattern"),
        (
            {
                "commit_message_pattern.0": "true",
                "commit_message_pattern.0.operator": "regex",
                "commit_message_pattern.0.pattern": "(",
            },
            "RE2",
        ),
        ({"secret_patterns.0": "true", "secret_patterns.0.custom": "nameless"}, "write name = expression"),
        ({"bypass.add": "nobody-here"}, "There is nobody called"),
        ({"creation.0": "true", "creation.0.allowed_actors.add": "acme/core"}, "no team of ada called"),
        ({"bypass.User.999999": "always"}, "There is no User 999999"),
        ({"bypass.Nobody.1": "always"}, "is nobody"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_refused_comes_back_with_what_was_typed(
    forge: Forge, ada: Person, change: dict[str, str], said: str
) -> None:
    browser = forge.browser(ada)
    fields = {"name": "Kept words", "target": "branch", "enforcement": "active", "include": "kept/*"}
    answer = await browser.submit(PAGE, fields | change, page=f"{PAGE}/new")
    assert (answer.status_code, said in answer.text) == (422, True), answer.text[-3000:]
    assert ("kept/*" in answer.text) or "include" in change
    assert (await forge.api(ada).get(API)).json() == []


async def test_what_somebody_else_changed_meanwhile_is_not_written_over(forge: Forge, ada: Person) -> None:
    browser = forge.browser(ada)
    fields = {"name": "One", "target": "branch", "enforcement": "active", "include": "a"}
    await browser.submit(PAGE, fields, page=f"{PAGE}/new")
    found = await only_ruleset(forge, ada)
    own = f"{PAGE}/{found['id']}"
    await forge.api(ada).call("PUT", f"{API}/{found['id']}", json={"name": "Two"})
    late = await browser.submit(own, fields | {"name": "Three", "version": "1"}, page=own)
    assert (late.status_code, "Somebody else changed" in late.text, 'value="Three"' in late.text) == (409, True, True)
    assert (await only_ruleset(forge, ada))["name"] == "Two"


async def test_a_file_that_was_exported_is_imported_as_a_form(forge: Forge, ada: Person) -> None:
    browser = forge.browser(ada)
    body = {
        "name": "Exported",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["main"]}},
        "rules": [{"type": "deletion"}],
    }
    made = (await forge.api(ada).call("POST", API, json=body)).json()
    file = await browser.get(f"{PAGE}/{made['id']}/export")
    assert "attachment" in file.headers["content-disposition"]
    exported = json.loads(file.text)
    assert exported["name"] == "Exported"
    exported["bypass_actors"] = [{"actor_type": "Team", "actor_id": 4711, "bypass_mode": "always"}]
    shown = await browser.submit(f"{PAGE}/import", {"json": json.dumps(exported)}, page=PAGE)
    assert shown.status_code == 200
    assert 'value="Exported"' in shown.text
    assert "are not known here" in shown.text
    assert len((await forge.api(ada).get(API)).json()) == 1
    for text, said in (("{", "This is no JSON"), ("[]", "no JSON object"), ('{"rules": [{"type": "x"}]}', "no rule x")):
        wrong = await browser.submit(f"{PAGE}/import", {"json": text}, page=PAGE)
        assert (wrong.status_code, said in wrong.text) == (422, True), wrong.text


async def test_the_page_tells_which_rules_a_name_has(forge: Forge, ada: Person) -> None:
    body = {"name": "Mine", "enforcement": "evaluate", "conditions": {"ref_name": {"include": ["rel/*"]}}}
    await forge.api(ada).call("POST", API, json=body)
    browser = forge.browser(ada)
    assert "has 1 ruleset" in (await browser.get(f"{PAGE}?ref=rel/1")).text
    assert "No ruleset is about the branch" in (await browser.get(f"{PAGE}?ref=other")).text
    assert "No ruleset is about the tag" in (await browser.get(f"{PAGE}?ref=rel/1&kind=tag")).text


async def test_only_administrators_see_and_change_rules(forge: Forge, ada: Person) -> None:
    made = (
        await forge.api(ada).call("POST", API, json={"name": "Mine", "enforcement": "active", "conditions": {}})
    ).json()
    own = f"{PAGE}/{made['id']}"
    bob = forge.browser(forge.people["bob"])
    for path in (PAGE, f"{PAGE}/new", own, f"{own}/export", f"{PAGE}/insights"):
        assert (await bob.get(path)).status_code == 403, path
    for path in (PAGE, own, f"{own}/delete", f"{PAGE}/import"):
        refused = await bob.submit(path, {"name": "x", "json": "{}"}, page="/-/appearance")
        assert refused.status_code == 403, path
    assert [one["name"] for one in (await forge.api(ada).get(API)).json()] == ["Mine"]
    assert (await forge.browser(ada).get(f"{PAGE}/999999")).status_code == 404


async def test_a_role_that_is_not_known_here_is_left_out_of_an_import(forge: Forge, ada: Person) -> None:
    """GitHub's own roles have numbers of theirs, and so has each role that an organization made there."""
    browser = forge.browser(ada)
    actors = [{"actor_type": "RepositoryRole", "actor_id": number, "bypass_mode": "always"} for number in (5, 1, 4711)]
    exported = {"name": "Theirs", "enforcement": "active", "rules": [{"type": "deletion"}], "bypass_actors": actors}
    shown = await browser.submit(f"{PAGE}/import", {"json": json.dumps(exported)}, page=PAGE)
    assert shown.status_code == 200
    assert "2 of those who may bypass it are not known here" in shown.text
    refused = await browser.submit(
        PAGE, {"name": "", "bypass.RepositoryRole.9": "always", "bypass.RepositoryRole.": "always"}, page=f"{PAGE}/new"
    )
    assert refused.status_code == 422


async def test_a_file_is_imported_as_its_text_is(forge: Forge, ada: Person) -> None:
    browser = forge.browser(ada)
    token = csrf_token_of((await browser.get(PAGE)).text)
    exported = {"name": "Theirs", "enforcement": "active", "rules": [{"type": "deletion"}]}
    for content, status, said in (
        (json.dumps(exported).encode(), 200, 'value="Theirs"'),
        (b"x" * (RULESET_BYTES_MAX + 1), 422, "A ruleset has at most"),
    ):
        shown = await browser.client.post(
            f"{PAGE}/import",
            data={"csrf_token": token, "json": ""},
            files={"file": ("ruleset.json", content, "application/json")},
        )
        assert (shown.status_code, said in shown.text) == (status, True)
