"""What rulesets found, over REST."""

import pytest
from tests.factories.forge import Forge
from tests.repositories.rules.test_insights_pages import BYPASS, FAIL, PASS, note

from cairn.access.roles import Role
from cairn.base.ids import random_id
from cairn.git.quarantine import Quarantine
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID
from cairn.repositories.accept_push import make_within

SUITES = "/repos/ada/engine/rulesets/rule-suites"


async def test_what_was_found_is_answered_and_filtered(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    client = forge.api(ada)
    assert (await client.get(SUITES)).json() == []
    await note(forge, repository.id, 1, "bob", b"refs/heads/main", FAIL, FAIL)
    await note(forge, repository.id, 2, "ada", b"refs/heads/main", BYPASS, BYPASS)
    await note(forge, repository.id, 3, "ada", b"refs/tags/v1", PASS, FAIL)
    found = (await client.get(SUITES)).json()
    assert [one["result"] for one in found] == ["pass", "bypass", "fail"]
    assert (found[0]["evaluation_result"], found[0]["ref"]) == ("fail", "refs/tags/v1")
    assert (found[0]["repository_name"], found[0]["actor_name"]) == ("engine", "ada")
    for query, number in (
        ("?rule_suite_result=bypass", 1),
        ("?actor_name=ADA", 2),
        ("?ref=main", 2),
        ("?ref=refs/tags/v1&time_period=month", 1),
        ("?ref=other", 0),
    ):
        assert len((await client.get(SUITES + query)).json()) == number, query
    first = await client.get(f"{SUITES}?per_page=2")
    assert 'rel="next"' in first.headers["link"]
    assert "link" not in (await client.get(f"{SUITES}?per_page=3")).headers
    one = (await client.get(f"{SUITES}/{found[2]['id']}")).json()
    [evaluation] = one["rule_evaluations"]
    assert (evaluation["rule_type"], evaluation["rule_source"]["name"]) == ("deletion", "Mine")
    assert (await client.get(f"{SUITES}/999999")).status_code == 404
    assert (await client.get(f"{SUITES}?time_period=year")).status_code == 422


@pytest.mark.parametrize("path", [SUITES, f"{SUITES}/1"])
async def test_only_administrators_are_told(forge: Forge, path: str) -> None:
    ada, mia = await forge.person("ada"), await forge.person("mia")
    repository = await forge.repository(ada, "engine")
    await forge.grant(repository, mia, Role.MAINTAIN)
    await note(forge, repository.id, 1, "bob", b"refs/heads/main", FAIL, FAIL)
    assert (await forge.api(mia).get(path)).status_code == 403
    assert (await forge.api().get(path)).status_code == 401


@pytest.mark.parametrize("door", ["contents", "ref", "two refs"])
async def test_what_is_refused_at_every_door_is_told(forge: Forge, door: str) -> None:
    """A change of all or nothing is rolled back when it is refused; what the rules found stays."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"a.txt": b"a"})
    tip = await forge.commit(ada, repository, {"b.txt": b"b"}, branch=b"refs/heads/topic")
    api = forge.api(ada)
    rules = {"name": "Mine", "enforcement": "active", "rules": [{"type": "deletion"}, {"type": "update"}]}
    wanted = rules | {"conditions": {"ref_name": {"include": ["~ALL"], "exclude": []}}}
    assert (await api.call("POST", "/repos/ada/engine/rulesets", json=wanted)).status_code == 201
    match door:
        case "contents":
            body = {"message": "b", "content": "Yg==", "branch": "main"}
            refused = await api.call("PUT", "/repos/ada/engine/contents/b.txt", json=body)
            assert (refused.status_code, "ruleset 'Mine'" in refused.text) == (422, True)
        case "ref":
            refused = await api.call("POST", "/repos/ada/engine/branches/main/rename", json={"new_name": "trunk"})
            assert refused.status_code == 422, refused.text
        case "two refs":
            updates = [RefUpdate(b"refs/heads/topic", tip, ZERO_OID), RefUpdate(b"refs/heads/new", ZERO_OID, tip)]

            async def write(quarantine: Quarantine) -> list[RefUpdate]:
                return updates

            staged = await forge.engine.stage(repository.store_id, write)
            outcomes = await forge.engine.land(
                staged, push_id=random_id(), actor="ada", within=make_within(ada.actor, repository.id)
            )
            assert not any(outcome.moved for outcome in outcomes)
    [suite] = (await api.get(SUITES)).json()
    name = "refs/heads/topic" if door == "two refs" else "refs/heads/main"
    assert (suite["ref"], suite["result"], suite["actor_name"]) == (name, "fail", "ada")
