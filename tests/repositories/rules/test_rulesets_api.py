"""Rulesets over REST, in GitHub's shape."""

from typing import Any

import pytest
from tests.factories.forge import Forge, Person

from cairn.access.roles import Role, Visibility

RULESETS = "/repos/ada/engine/rulesets"
WANTED: dict[str, Any] = {
    "name": "Releases",
    "target": "branch",
    "enforcement": "active",
    "conditions": {"ref_name": {"include": ["main", "refs/heads/release/**"], "exclude": ["release/old"]}},
    "bypass_actors": [{"actor_type": "RepositoryRole", "actor_id": 5, "bypass_mode": "always"}],
    "rules": [
        {"type": "deletion"},
        {"type": "commit_message_pattern", "parameters": {"operator": "regex", "pattern": "^ENG-", "name": None}},
        {"type": "max_file_size", "parameters": {"max_file_size": 5}},
    ],
}


@pytest.fixture
async def ada(forge: Forge) -> Person:
    """Ada with a public repository."""
    person = await forge.person("ada")
    await forge.repository(person, "engine", files={"README.md": b"# Engine"})
    return person


async def test_a_ruleset_is_made_read_changed_and_deleted(forge: Forge, ada: Person) -> None:
    client = forge.api(ada)
    made = await client.call("POST", RULESETS, json=WANTED)
    assert made.status_code == 201, made.text
    found = made.json()
    assert (found["name"], found["target"], found["enforcement"]) == ("Releases", "branch", "active")
    assert (found["source_type"], found["source"]) == ("Repository", "ada/engine")
    assert found["conditions"]["ref_name"] == {
        "include": ["refs/heads/main", "refs/heads/release/**"],
        "exclude": ["refs/heads/release/old"],
    }
    assert [rule["type"] for rule in found["rules"]] == ["deletion", "commit_message_pattern", "max_file_size"]
    assert found["rules"][0] == {"type": "deletion"}
    assert found["bypass_actors"] == WANTED["bypass_actors"]
    assert found["current_user_can_bypass"] == "always"
    assert (await client.get(found["_links"]["self"]["href"])).json() == found
    [listed] = (await client.get(RULESETS)).json()
    assert listed == {name: found[name] for name in listed}
    assert "rules" not in listed
    changed = await client.call("PUT", f"{RULESETS}/{found['id']}", json={"enforcement": "evaluate"})
    assert changed.status_code == 200
    assert (changed.json()["enforcement"], changed.json()["rules"]) == ("evaluate", found["rules"])
    # What was answered may be sent back as it came.
    again = await client.call("PUT", f"{RULESETS}/{found['id']}", json=found)
    assert again.json()["enforcement"] == "active"
    assert (await client.call("DELETE", f"{RULESETS}/{found['id']}")).status_code == 204
    assert (await client.get(f"{RULESETS}/{found['id']}")).status_code == 404
    assert (await client.get(RULESETS)).json() == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rules": [{"type": "workflows"}, {"type": "code_scanning"}]}, "code_scanning, workflows"),
        ({"rules": [{"type": "deletion", "sometimes": True}]}, "sometimes"),
        ({"rules": [{"type": "max_file_size", "parameters": {"max_file_size": -1}}]}, "max_file_size"),
        ({"rules": [{"type": "max_file_size"}]}, "parameters"),
        ({"rules": "all"}, "rules"),
        ({"rule": []}, "rule is nothing"),
        ({"enforcement": "on"}, "enforcement"),
        ({"name": ""}, "name"),
        ({"conditions": {"repository_name": {}}}, "repository_name"),
        ({"conditions": {"ref_name": {"include": ["refs/tags/v1"]}}}, "refs/tags/v1"),
        ({"bypass_actors": [{"actor_type": "Team", "actor_id": 99}]}, "Team 99"),
        ({"bypass_actors": [{"actor_type": "Integration", "actor_id": 1}]}, "Integration"),
        ({"rules": [{"type": "creation", "parameters": {"allowed_actors": [{"actor_type": "Nobody"}]}}]}, "Nobody"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_no_ruleset_is_refused_by_name(
    forge: Forge, ada: Person, change: dict[str, Any], said: str
) -> None:
    client = forge.api(ada)
    answer = await client.call("POST", RULESETS, json=WANTED | change)
    assert (answer.status_code, said in answer.text) == (422, True), answer.text
    assert answer.json()["errors"][0]["resource"] == "Ruleset"
    assert (await client.get(RULESETS)).json() == []


async def test_rules_that_apply_to_a_branch_say_where_they_come_from(forge: Forge, ada: Person) -> None:
    client = forge.api(ada)
    made = (await client.call("POST", RULESETS, json=WANTED)).json()
    trial = WANTED | {"name": "Trial", "enforcement": "evaluate"}
    assert (await client.call("POST", RULESETS, json=trial)).status_code == 201
    tags = WANTED | {"name": "Tags", "target": "tag", "conditions": {"ref_name": {"include": ["~ALL"]}}}
    assert (await client.call("POST", RULESETS, json=tags)).status_code == 201
    for branch, number in (("main", 3), ("release/1/x", 3), ("release/old", 0), ("other", 0)):
        found = (await client.get(f"/repos/ada/engine/rules/branches/{branch}")).json()
        assert len(found) == number, branch
    first = (await client.get("/repos/ada/engine/rules/branches/main?per_page=1")).json()[0]
    assert first == {
        "type": "deletion",
        "ruleset_source_type": "Repository",
        "ruleset_source": "ada/engine",
        "ruleset_id": made["id"],
    }
    for targets, names in (("tag", ["Tags"]), ("branch", ["Releases", "Trial"]), ("push", []), ("branch,tag", None)):
        found = [one["name"] for one in (await client.get(f"{RULESETS}?targets={targets}")).json()]
        assert found == (names if names is not None else ["Releases", "Trial", "Tags"])
    assert (await client.get(f"{RULESETS}?targets=commit")).status_code == 422
    assert (await client.get(f"{RULESETS}?includes_parents=no")).status_code == 422


async def test_readers_read_and_administrators_change(forge: Forge, ada: Person) -> None:
    client = forge.api(ada)
    made = (await client.call("POST", RULESETS, json=WANTED)).json()
    hidden = await forge.repository(ada, "hidden", visibility=Visibility.PRIVATE)
    stranger, mia = await forge.person("sam"), await forge.person("mia")
    await forge.grant(hidden, mia, Role.MAINTAIN)
    await client.call("POST", "/repos/ada/hidden/rulesets", json=WANTED)
    one = f"{RULESETS}/{made['id']}"
    for caller in (stranger, None):
        assert (await forge.api(caller).get(RULESETS)).status_code == 200
        read = (await forge.api(caller).get(one)).json()
        assert "bypass_actors" not in read
        assert [rule["type"] for rule in read["rules"]][:1] == ["deletion"]
        assert (await forge.api(caller).get("/repos/ada/hidden/rulesets")).status_code == 404
    assert len((await forge.api(mia).get("/repos/ada/hidden/rulesets")).json()) == 1
    for method, path, body in (("POST", RULESETS, WANTED), ("PUT", one, {"name": "x"}), ("DELETE", one, None)):
        for caller, wanted in ((stranger, 403), (None, 401)):
            answer = await forge.api(caller).call(method, path, **({"json": body} if body else {}))
            assert answer.status_code == wanted, (method, caller)
    assert (await forge.api(mia).call("POST", "/repos/ada/hidden/rulesets", json=WANTED)).status_code == 403
    # The ruleset of one repository is not found below another.
    assert (await client.get(f"/repos/ada/hidden/rulesets/{made['id']}")).status_code == 404
    assert (await client.call("DELETE", f"/repos/ada/hidden/rulesets/{made['id']}")).status_code == 404
