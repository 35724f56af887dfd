"""Refs over REST: made, moved, deleted, renamed and merged, with every rule and every error of GitHub's shape."""

from typing import Any

from tests.factories.forge import ApiClient, Forge, Person
from tests.factories.forking import fork, heads

from cairn.access.roles import Role
from cairn.repositories.queries import RepositoryView

AT = "/repos/ada/engine"


async def make(forge: Forge) -> tuple[Person, RepositoryView, ApiClient, list[str]]:
    """Return ada's repository with three commits on main."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"a": b"0\n"})
    first = (await heads(forge, repository))["refs/heads/main"]
    rest = [await forge.commit(ada, repository, {"a": b"%d\n" % n}) for n in (1, 2)]
    return ada, repository, forge.api(ada), [first, *rest]


async def test_a_ref_is_made_moved_and_deleted(forge: Forge) -> None:
    _, repository, api, (first, second, third) = await make(forge)
    answer = await api.call("POST", f"{AT}/git/refs", json={"ref": "refs/heads/feature/x", "sha": first})
    assert answer.status_code == 201, answer.text
    assert answer.json()["object"] | {"url": ""} == {"type": "commit", "sha": first, "url": ""}
    assert answer.headers["location"] == answer.json()["url"]
    answer = await api.call("PATCH", f"{AT}/git/refs/heads/feature/x", json={"sha": second})
    assert (answer.status_code, answer.json()["object"]["sha"]) == (200, second), answer.text
    answer = await api.call("PATCH", f"{AT}/git/refs/heads/feature/x", json={"sha": first})
    assert (answer.status_code, answer.json()["message"][:30]) == (422, "Update is not a fast forward: ")
    answer = await api.call("PATCH", f"{AT}/git/refs/heads/feature/x", json={"sha": first, "force": True})
    assert answer.status_code == 200
    assert (await heads(forge, repository))["refs/heads/feature/x"] == first
    assert (await api.call("DELETE", f"{AT}/git/refs/heads/feature/x")).status_code == 204
    assert await heads(forge, repository) == {"refs/heads/main": third}
    answer = await api.call("POST", f"{AT}/git/refs", json={"ref": "refs/tags/v1", "sha": third})
    assert answer.status_code == 201


async def test_each_error_has_githubs_status_and_says_why(forge: Forge) -> None:
    _, repository, api, (first, _, third) = await make(forge)
    before = await heads(forge, repository)
    cases: list[tuple[str, str, dict[str, Any] | None, int, str]] = [
        ("POST", "git/refs", {"ref": "refs/heads/main", "sha": first}, 422, "Reference already exists"),
        ("POST", "git/refs", {"ref": "heads/x", "sha": first}, 422, "does not start with refs/"),
        ("POST", "git/refs", {"ref": "refs/x", "sha": first}, 422, "two levels"),
        ("POST", "git/refs", {"ref": "refs/heads/a..b", "sha": first}, 422, "holds '..'"),
        ("POST", "git/refs", {"ref": "refs/heads/x", "sha": "1" * 40}, 422, "Object does not exist"),
        ("POST", "git/refs", {"ref": "refs/heads/x", "sha": "main"}, 422, "not an object id"),
        ("POST", "git/refs", {"ref": "refs/pull/1/head", "sha": first}, 422, "reserved"),
        ("POST", "git/refs", {"ref": "refs/cairn/kept", "sha": first}, 422, "reserved"),
        ("POST", "git/refs", {"ref": "refs/heads/main/sub", "sha": first}, 422, "name conflict"),
        ("POST", "git/refs", {"ref": "refs/heads/x"}, 422, '"sha" wasn\'t supplied'),
        ("PATCH", "git/refs/heads/no", {"sha": first}, 422, "Reference does not exist"),
        ("PATCH", "git/refs/pull/1/head", {"sha": first}, 422, "reserved"),
        ("PATCH", "git/refs/heads/main", {"sha": "2" * 40, "force": True}, 422, "Object does not exist"),
        ("DELETE", "git/refs/heads/no", None, 422, "Reference does not exist"),
        ("DELETE", "git/refs/heads/main", None, 422, "is the default branch"),
        ("POST", "branches/no/rename", {"new_name": "x"}, 404, "Not Found"),
        ("POST", "branches/main/rename", {"new_name": "main"}, 422, "exists already"),
        ("POST", "branches/main/rename", {"new_name": "a b"}, 422, "holds ' '"),
        ("POST", "branches/main/rename", {}, 422, "new_name"),
        ("POST", "merges", {"base": "no", "head": "main"}, 404, "Not Found"),
        ("POST", "merges", {"base": "main", "head": "no"}, 404, "Not Found"),
    ]
    for method, path, body, status, message in cases:
        answer = await api.call(method, f"{AT}/{path}", json=body)
        assert (answer.status_code, message in answer.json()["message"]) == (status, True), (path, body, answer.text)
    tree = (await api.get(f"{AT}/git/commits/{third}")).json()["tree"]["sha"]
    answer = await api.call("POST", f"{AT}/git/refs", json={"ref": "refs/heads/x", "sha": tree})
    assert (answer.status_code, "branches point to commits" in answer.text) == (422, True)
    assert await heads(forge, repository) == before


async def test_no_ref_is_made_on_an_object_of_another_repository(forge: Forge) -> None:
    """Attack: a private fork's commit lies in packs beside the parent's; its id is guessed or leaked."""
    ada, repository, api, _ = await make(forge)
    ben = await forge.person("ben")
    mine = await fork(forge, ben, repository)
    hidden = await forge.commit(ben, mine, {"secret": b"s\n"})
    for body in ({"ref": "refs/heads/stolen", "sha": hidden}, {"ref": "refs/tags/stolen", "sha": hidden}):
        answer = await api.call("POST", f"{AT}/git/refs", json=body)
        assert (answer.status_code, "does not exist" in answer.text) == (422, True)
    answer = await api.call("PATCH", f"{AT}/git/refs/heads/main", json={"sha": hidden, "force": True})
    assert answer.status_code == 422
    answer = await api.call("POST", f"{AT}/merges", json={"base": "main", "head": hidden})
    assert answer.status_code == 404
    # And upwards: what the parent has since the fork is not the fork's.
    later = await forge.commit(ada, repository, {"later": b"l\n"})
    answer = await forge.api(ben).call(
        "POST", f"/repos/{mine.full_name}/git/refs", json={"ref": "refs/heads/later", "sha": later}
    )
    assert answer.status_code == 422, answer.text


async def test_a_branch_is_renamed_and_the_default_one_stays_it(forge: Forge) -> None:
    ada, repository, api, (_, _, third) = await make(forge)
    ben = await forge.person("ben")
    await forge.grant(repository, ben, Role.WRITE)
    await api.call("POST", f"{AT}/git/refs", json={"ref": "refs/heads/feature/x", "sha": third})
    answer = await forge.api(ben).call("POST", f"{AT}/branches/feature/x/rename", json={"new_name": "feature/y/z"})
    assert (answer.status_code, answer.json()["name"]) == (201, "feature/y/z"), answer.text
    answer = await forge.api(ben).call("POST", f"{AT}/branches/main/rename", json={"new_name": "trunk"})
    assert answer.status_code == 403, answer.text
    assert sorted(await heads(forge, repository)) == ["refs/heads/feature/y/z", "refs/heads/main"]
    answer = await api.call("POST", f"{AT}/branches/main/rename", json={"new_name": "trunk"})
    assert answer.status_code == 201, answer.text
    assert await heads(forge, repository) == {"refs/heads/feature/y/z": third, "refs/heads/trunk": third}
    assert (await api.get(AT)).json()["default_branch"] == "trunk"
    del ada


async def test_a_merge_is_made_found_done_or_refused(forge: Forge) -> None:
    ada, repository, api, (first, _, third) = await make(forge)
    await api.call("POST", f"{AT}/git/refs", json={"ref": "refs/heads/side", "sha": first})
    side = await forge.commit(ada, repository, {"b": b"side\n"}, branch=b"refs/heads/side")
    answer = await api.call("POST", f"{AT}/merges", json={"base": "main", "head": "side"})
    assert answer.status_code == 201, answer.text
    merged = answer.json()
    assert [parent["sha"] for parent in merged["parents"]] == [third, side]
    assert merged["commit"]["message"] == "Merge side into main"
    assert (await heads(forge, repository))["refs/heads/main"] == merged["sha"]
    assert (await api.call("POST", f"{AT}/merges", json={"base": "main", "head": side})).status_code == 204
    await forge.commit(ada, repository, {"a": b"other\n"}, branch=b"refs/heads/side")
    body = {"base": "main", "head": "side", "commit_message": "Both"}
    answer = await api.call("POST", f"{AT}/merges", json=body)
    assert (answer.status_code, answer.json()["message"][:14]) == (409, "Merge conflict")
    assert (await heads(forge, repository))["refs/heads/main"] == merged["sha"]


async def test_who_may_not_write_moves_nothing(forge: Forge) -> None:
    ada, repository, api, (first, _, _) = await make(forge)
    ben, cleo = await forge.person("ben"), await forge.person("cleo")
    await forge.grant(repository, ben, Role.READ)
    before = await heads(forge, repository)
    calls: list[tuple[str, str, dict[str, Any] | None]] = [
        ("POST", "git/refs", {"ref": "refs/heads/x", "sha": first}),
        ("PATCH", "git/refs/heads/main", {"sha": first, "force": True}),
        ("DELETE", "git/refs/heads/main", None),
        ("POST", "branches/main/rename", {"new_name": "x"}),
        ("POST", "merges", {"base": "main", "head": first}),
        ("POST", "git/blobs", {"content": "x"}),
        ("POST", "git/trees", {"tree": []}),
        ("POST", "git/commits", {"message": "m", "tree": first}),
        ("POST", "git/tags", {"tag": "t", "message": "m", "object": first}),
    ]
    callers = {
        "anonymous": (forge.api(), 401),
        "reader": (forge.api(ben), 403),
        "stranger": (forge.api(cleo), 403),
        "token without a scope": (forge.api(await forge.token(ada.account)), 403),
    }
    for name, (caller, status) in callers.items():
        for method, path, body in calls:
            answer = await caller.call(method, f"{AT}/{path}", json=body)
            assert answer.status_code == status, (name, path, answer.text)
    await api.call("PATCH", AT, json={"archived": True})
    for method, path, body in calls:
        assert (await api.call(method, f"{AT}/{path}", json=body)).status_code == 403, path
    assert await heads(forge, repository) == before
