"""Forks over REST: GitHub's shape and statuses, who may, and what a caller may not learn."""

from tests.factories.forge import Forge
from tests.factories.forking import fork, heads, view_of
from tests.factories.work import do_what_is_due

from cairn.access.roles import Role, Visibility
from cairn.repositories.models import WorkKind
from cairn.repositories.network import work_of


async def test_forking_answers_202_with_the_fork_and_its_parent(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", files={"a": b"1"}, description="Mill")
    answer = await forge.api(ben).call("POST", "/repos/ada/engine/forks")
    assert answer.status_code == 202
    body = answer.json()
    assert (body["full_name"], body["fork"], body["description"]) == ("ben/engine", True, "Mill")
    assert body["parent"]["full_name"] == body["source"]["full_name"] == "ada/engine"
    assert body["parent"]["fork"] is False
    assert body["permissions"]["admin"] is True
    await do_what_is_due(forge.engine)
    seen = (await forge.api(ben).get("/repos/ada/engine")).json()
    assert (seen["forks"], seen["forks_count"], seen["network_count"], seen["allow_forking"]) == (1, 1, 1, True)
    assert "parent" not in seen
    again = await forge.api(ben).call("POST", "/repos/ada/engine/forks", json={"name": "other"})
    assert (again.status_code, again.json()["id"]) == (202, body["id"])
    assert again.json()["created_at"] == body["created_at"]
    assert await heads(forge, parent) == await heads(forge, await view_of(forge, ben, parent))


async def test_name_and_default_branch_only_are_honoured(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", files={"a": b"1"})
    await forge.commit(ada, parent, {"b": b"2"}, branch=b"refs/heads/side")
    wanted = {"name": "motor", "default_branch_only": True, "organization": "ben"}
    answer = await forge.api(ben).call("POST", "/repos/ada/engine/forks", json=wanted)
    assert answer.json()["full_name"] == "ben/motor"
    await do_what_is_due(forge.engine)
    branches = await forge.api(ben).get("/repos/ben/motor/branches")
    assert [branch["name"] for branch in branches.json()] == ["main"]


async def test_wrong_wishes_are_refused_with_the_field(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    await forge.repository(ada, "engine", files={"a": b"1"})
    await forge.repository(ben, "taken")
    for wanted, field in (
        ({"name": "a b"}, "name"),
        ({"name": "taken"}, "name"),
        ({"organization": "no"}, "organization"),
    ):
        answer = await forge.api(ben).call("POST", "/repos/ada/engine/forks", json=wanted)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    mine = await forge.api(ada).call("POST", "/repos/ada/engine/forks")
    assert mine.status_code == 422


async def test_who_may_not_fork_learns_no_more_than_before(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    await forge.repository(ada, "open", files={"a": b"1"})
    await forge.repository(ada, "secret", visibility=Visibility.PRIVATE, files={"a": b"1"})
    reading = await forge.token(ben.account, "read:user")
    for who, path, status in (
        (None, "open", 401),
        (reading, "open", 403),
        (ben, "secret", 404),
        (None, "secret", 404),
        (ben, "absent", 404),
    ):
        answer = await forge.api(who).call("POST", f"/repos/ada/{path}/forks")
        assert answer.status_code == status, (path, answer.text)
        listed = await forge.api(who).get(f"/repos/ada/{path}/forks")
        assert listed.status_code == (200 if path == "open" else 404)
    assert (await forge.api(ben).get("/repos/ben/open")).status_code == 404


async def test_forks_are_listed_as_far_as_they_are_visible(forge: Forge) -> None:
    ada, ben, cleo, dan = [await forge.person(name) for name in ("ada", "ben", "cleo", "dan")]
    parent = await forge.repository(ada, "engine", files={"a": b"1"})
    for person in (ben, cleo):
        await fork(forge, person, parent)
    closed = await forge.api(cleo).call("PATCH", "/repos/cleo/engine", json={"private": True})
    assert closed.status_code == 200
    for who, wanted in ((dan, ["ben/engine"]), (cleo, ["cleo/engine", "ben/engine"]), (None, ["ben/engine"])):
        answer = await forge.api(who).get("/repos/ada/engine/forks")
        assert [one["full_name"] for one in answer.json()] == wanted
        counted = (await forge.api(who).get("/repos/ada/engine")).json()["forks_count"]
        assert counted == len(wanted)
    oldest = await forge.api(cleo).get("/repos/ada/engine/forks?sort=oldest&per_page=1")
    assert [one["full_name"] for one in oldest.json()] == ["ben/engine"]
    assert 'rel="next"' in oldest.headers["link"]
    assert (await forge.api(cleo).call("PUT", "/user/starred/ben/engine")).status_code == 204
    starred = await forge.api(cleo).get("/repos/ada/engine/forks?sort=stargazers")
    assert [one["full_name"] for one in starred.json()] == ["ben/engine", "cleo/engine"]
    assert (await forge.api(cleo).get("/repos/ada/engine/forks?sort=best")).status_code == 422


async def test_a_hidden_parent_is_no_member_of_the_answer(forge: Forge) -> None:
    ada, ben, cleo = [await forge.person(name) for name in ("ada", "ben", "cleo")]
    parent = await forge.repository(ada, "engine", visibility=Visibility.PRIVATE, files={"a": b"1"})
    await forge.grant(parent, ben, Role.READ)
    mine = await fork(forge, ben, parent)
    await forge.grant(mine, cleo, Role.READ)
    body = (await forge.api(cleo).get("/repos/ben/engine")).json()
    assert body["fork"] is True
    assert {"parent", "source"}.isdisjoint(body)
    assert "parent" in (await forge.api(ben).get("/repos/ben/engine")).json()


async def test_merge_upstream_speaks_githubs_words(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", files={"a": b"1"})
    mine = await fork(forge, ben, parent)
    path = "/repos/ben/engine/merge-upstream"
    await forge.commit(ada, parent, {"b": b"2"})
    done = await forge.api(ben).call("POST", path, json={"branch": "main"})
    assert (done.status_code, done.json()) == (
        200,
        {
            "message": "Successfully fetched and fast-forwarded from upstream ada:main.",
            "merge_type": "fast-forward",
            "base_branch": "ada:main",
        },
    )
    assert (await forge.api(ben).call("POST", path, json={"branch": "main"})).json()["merge_type"] == "none"
    await forge.commit(ada, parent, {"b": b"theirs"})
    await forge.commit(ben, mine, {"b": b"ours"})
    refused = await forge.api(ben).call("POST", path, json={"branch": "main"})
    assert refused.status_code == 409
    assert "cannot be merged" in refused.json()["message"]
    assert (await forge.api(ben).call("POST", path, json={"branch": "nowhere"})).status_code == 422
    assert (await forge.api(ben).call("POST", path, json={})).status_code == 422
    assert (await forge.api(ada).call("POST", path, json={"branch": "main"})).status_code == 403
    assert (await forge.api().call("POST", path, json={"branch": "main"})).status_code == 401
    assert (
        await forge.api(ada).call("POST", "/repos/ada/engine/merge-upstream", json={"branch": "main"})
    ).status_code == 422


async def test_a_fork_may_not_be_wider_than_its_parent(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", visibility=Visibility.PRIVATE, files={"a": b"1"})
    await forge.grant(parent, ben, Role.READ)
    await fork(forge, ben, parent)
    answer = await forge.api(ben).call("PATCH", "/repos/ben/engine", json={"private": False})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "visibility")


async def test_closing_a_repository_is_shown_as_work_until_its_packs_are_its_own(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", files={"a": b"1"})
    await fork(forge, ben, parent)
    assert (await forge.api(ada).call("PATCH", "/repos/ada/engine", json={"private": True})).status_code == 200
    async with forge.database.read() as session:
        assert await work_of(session, parent.id, WorkKind.SEPARATE) is not None
    page = await forge.browser(ada).get("/ada/engine/settings")
    assert "separated from its forks" in page.text
    await do_what_is_due(forge.engine)
    assert "separated from its forks" not in (await forge.browser(ada).get("/ada/engine/settings")).text
