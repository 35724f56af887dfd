"""Mirrors over REST: who may, what is answered, and that a password never is."""

import pytest
from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer
from tests.factories.importing import refs_of, wanted_refs
from tests.factories.mirroring import empty_target, settle, sync_due
from tests.factories.work import do_what_is_due

MIRROR, PUSH = "/repos/ada/engine/mirror", "/repos/ada/engine/push_mirrors"


async def test_a_mirror_is_made_watched_changed_and_ended(forge: Forge, ada: Person, server: GitServer) -> None:
    made = await forge.repository(ada, "engine")
    api = forge.api(ada)
    assert (await api.get(MIRROR)).status_code == 404
    server.credentials = "bot:s3cret"
    wanted = {"remote_address": server.url("r.git"), "remote_username": "bot", "remote_password": "s3cret"}
    begun = await api.call("PUT", MIRROR, json=wanted)
    assert begun.status_code == 201
    assert begun.headers["location"].endswith(f"/api/v3{MIRROR}")
    facts = begun.json()
    assert (facts["direction"], facts["state"], facts["has_credentials"]) == ("pull", "active", True)
    assert facts["last_update"] is None
    assert (await api.call("PUT", MIRROR, json=wanted)).status_code == 409
    await sync_due(forge)
    facts = (await api.get(MIRROR)).json()
    assert (facts["moved_count"], facts["skipped"], facts["last_error"]) == (4, [], None)
    assert facts["last_update"] is not None
    assert facts["next_update"] > facts["last_update"]
    assert "s3cret" not in begun.text + (await api.get(MIRROR)).text
    changed = (await api.call("PATCH", MIRROR, json={"interval_minutes": 180, "prune": False})).json()
    assert (changed["interval_minutes"], changed["prune"], changed["has_credentials"]) == (180, False, True)
    paused = (await api.call("PATCH", MIRROR, json={"paused": True})).json()
    assert (paused["state"], paused["next_update"]) == ("paused", None)
    assert (await api.call("POST", "/repos/ada/engine/mirror-sync")).status_code == 409
    assert (await api.call("PATCH", MIRROR, json={"paused": False})).json()["state"] == "active"
    assert (await api.call("POST", "/repos/ada/engine/mirror-sync")).status_code == 202
    before = len(server.requests)
    await do_what_is_due(forge.engine)
    assert len(server.requests) > before
    assert (await api.call("DELETE", MIRROR)).status_code == 204
    assert (await api.get(MIRROR)).status_code == 404
    assert len(await refs_of(forge, made)) == 4


async def test_followers_are_listed_and_synced_together(forge: Forge, ada: Person, server: GitServer) -> None:
    made = await forge.repository(ada, "engine", files={"a": b"1"})
    api, targets = forge.api(ada), [empty_target(server.root, f"copy-{n}.git") for n in range(2)]
    assert (await api.get(PUSH)).json() == []
    for number in range(2):
        body = {"remote_address": server.url(f"copy-{number}.git"), "lfs": False}
        answer = await api.call("POST", PUSH, json=body)
        assert answer.status_code == 201, answer.text
        assert (await api.get(answer.headers["location"])).json()["remote_address"] == body["remote_address"]
    first, second = (await api.get(PUSH)).json()
    assert (await api.call("PATCH", f"{PUSH}/{second['id']}", json={"paused": True})).json()["state"] == "paused"
    answer = await api.call("POST", "/repos/ada/engine/push_mirrors-sync")
    assert (answer.status_code, len(answer.json())) == (202, 2)
    await settle(forge)
    assert wanted_refs(targets[0]) == await refs_of(forge, made)
    assert wanted_refs(targets[1]) == {}
    assert (await api.call("DELETE", f"{PUSH}/{first['id']}")).status_code == 204
    assert [one["id"] for one in (await api.get(PUSH)).json()] == [second["id"]]


async def test_a_mirror_of_another_repository_or_direction_is_none(
    forge: Forge, ada: Person, server: GitServer
) -> None:
    await forge.repository(ada, "engine")
    await forge.repository(ada, "other")
    pull = (await forge.api(ada).call("PUT", MIRROR, json={"remote_address": server.url("r.git")})).json()
    push = await forge.api(ada).call("POST", PUSH, json={"remote_address": server.url("copy.git")})
    for path in (
        f"{PUSH}/{pull['id']}",
        f"/repos/ada/other/push_mirrors/{push.json()['id']}",
        f"{PUSH}/99999",
        "/repos/ada/other/mirror",
    ):
        for method, body in (("GET", None), ("PATCH", {"paused": True}), ("DELETE", None)):
            assert (await forge.api(ada).call(method, path, json=body)).status_code == 404, (method, path)


async def test_only_administrators_see_or_touch_any_of_it(forge: Forge, ada: Person, server: GitServer) -> None:
    await forge.repository(ada, "engine")
    body = {"remote_address": server.url("r.git")}
    made = (await forge.api(ada).call("POST", PUSH, json=body)).json()
    eve = await forge.person("eve")
    ways = [
        ("GET", MIRROR, None),
        ("PUT", MIRROR, body),
        ("PATCH", MIRROR, {"paused": True}),
        ("DELETE", MIRROR, None),
        ("POST", "/repos/ada/engine/mirror-sync", None),
        ("GET", PUSH, None),
        ("POST", PUSH, body),
        ("GET", f"{PUSH}/{made['id']}", None),
        ("PATCH", f"{PUSH}/{made['id']}", {"paused": True}),
        ("DELETE", f"{PUSH}/{made['id']}", None),
        ("POST", "/repos/ada/engine/push_mirrors-sync", None),
    ]
    for who in (eve, None):
        for method, path, sent in ways:
            answer = await forge.api(who).call(method, path, json=sent)
            assert answer.status_code in {401, 403, 404}, (method, path, answer.status_code)
            assert server.url("r.git") not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"remote_address": ""},
        {"remote_address": "ssh://h/r"},
        {"remote_address": "ssh://git@h/r", "remote_password": "s3cret"},
        {"remote_address": "http://127.0.0.1:9/r", "interval_minutes": 1},
        {"remote_address": "http://127.0.0.1:9/r", "refs": "some"},
        {"remote_address": "http://127.0.0.1:9/r", "refs": "pattern", "pattern": "/"},
        {"remote_address": "http://127.0.0.1:9/r", "remote_username": "a:b"},
    ],
)
async def test_what_makes_no_sense_is_refused(forge: Forge, ada: Person, body: dict[str, object]) -> None:
    await forge.repository(ada, "engine")
    for method, path in (("PUT", MIRROR), ("POST", PUSH)):
        assert (await forge.api(ada).call(method, path, json=body)).status_code in {400, 422}
    await forge.api(ada).call("PUT", MIRROR, json={"remote_address": "http://127.0.0.1:9/r.git"})
    assert (await forge.api(ada).call("PATCH", MIRROR, json={})).status_code == 422
