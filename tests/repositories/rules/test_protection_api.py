"""Branch protection over REST: what is said comes back, and it is a ruleset like any other."""

from typing import Any

import pytest
from tests.factories.forge import Forge, Person

from cairn.access.roles import Role
from cairn.repositories.rules.protection_api import split_protection

MAIN = "/repos/ada/engine/branches/main"
PROTECTION = f"{MAIN}/protection"
NOTHING: dict[str, Any] = {
    "required_status_checks": None,
    "enforce_admins": None,
    "required_pull_request_reviews": None,
    "restrictions": None,
}
FLAGS = (
    *("required_linear_history", "allow_force_pushes", "allow_deletions", "block_creations", "lock_branch"),
    *("required_conversation_resolution", "allow_fork_syncing", "required_signatures", "enforce_admins"),
)


@pytest.fixture
async def ada(forge: Forge) -> Person:
    """Ada with a repository of two branches; bob may push to it, mia maintains it."""
    person = await forge.person("ada")
    repository = await forge.repository(person, "engine", files={"README.md": b"# Engine"})
    await forge.commit(person, repository, {"x": b"x"}, branch=b"refs/heads/feature/x")
    for login, role in (("bob", Role.WRITE), ("mia", Role.MAINTAIN)):
        await forge.grant(repository, await forge.person(login), role)
    return person


async def test_what_is_not_protected_says_so(forge: Forge, ada: Person) -> None:
    client = forge.api(ada)
    for path, said in (
        (PROTECTION, "Branch not protected"),
        (f"{PROTECTION}/required_status_checks", "Branch not protected"),
        ("/repos/ada/engine/branches/feature/x/protection", "Branch not protected"),
        ("/repos/ada/engine/branches/none/protection", "Not Found"),
        ("/repos/ada/engine/branches/protection", "Not Found"),
    ):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["message"]) == (404, said), path
    deleted = await client.call("DELETE", PROTECTION)
    assert (deleted.status_code, deleted.json()["message"]) == (404, "Branch not protected")
    branch = (await client.get(MAIN)).json()
    assert (branch["protected"], branch["protection"]["enabled"]) == (False, False)
    assert (await client.get("/repos/ada/engine/branches?protected=true")).json() == []


async def test_what_is_put_comes_back(forge: Forge, ada: Person) -> None:
    client = forge.api(ada)
    wanted = {
        "required_status_checks": {"strict": True, "checks": [{"context": "ci"}, {"context": "lint", "app_id": 7}]},
        "enforce_admins": True,
        "required_pull_request_reviews": {
            "dismiss_stale_reviews": True,
            "require_code_owner_reviews": True,
            "required_approving_review_count": 2,
            "require_last_push_approval": True,
            "dismissal_restrictions": {"users": ["ada"], "teams": []},
            "bypass_pull_request_allowances": {"users": ["bob"]},
        },
        "restrictions": {"users": ["bob"], "teams": [], "apps": []},
        "required_linear_history": True,
        "allow_force_pushes": True,
        "allow_deletions": True,
        "block_creations": True,
        "required_conversation_resolution": True,
    }
    put = await client.call("PUT", PROTECTION, json=wanted)
    assert put.status_code == 200, put.text
    said = (await client.get(PROTECTION)).json()
    assert said == put.json()
    assert said["url"].endswith("/api/v3/repos/ada/engine/branches/main/protection")
    checks = said["required_status_checks"]
    assert (checks["strict"], checks["contexts"]) == (True, ["ci", "lint"])
    assert checks["checks"] == [{"context": "ci", "app_id": None}, {"context": "lint", "app_id": 7}]
    reviews = said["required_pull_request_reviews"]
    for name in ("dismiss_stale_reviews", "require_code_owner_reviews", "require_last_push_approval"):
        assert reviews[name] is True
    assert reviews["required_approving_review_count"] == 2
    assert [one["login"] for one in reviews["dismissal_restrictions"]["users"]] == ["ada"]
    assert [one["login"] for one in reviews["bypass_pull_request_allowances"]["users"]] == ["bob"]
    assert [one["login"] for one in said["restrictions"]["users"]] == ["bob"]
    assert {name: said[name]["enabled"] for name in FLAGS} == {
        "required_linear_history": True,
        "allow_force_pushes": True,
        "allow_deletions": True,
        "block_creations": True,
        "lock_branch": False,
        "required_conversation_resolution": True,
        "allow_fork_syncing": False,
        "required_signatures": False,
        "enforce_admins": True,
    }
    for part in ("required_status_checks", "required_pull_request_reviews", "restrictions"):
        assert (await client.get(said[part]["url"])).json() == said[part]
    assert (await client.call("DELETE", PROTECTION)).status_code == 204
    assert (await client.get(PROTECTION)).status_code == 404
    assert (await client.get("/repos/ada/engine/rulesets")).json() == []


async def test_it_is_one_ruleset_and_lists_tell_of_it(forge: Forge, ada: Person) -> None:
    client = forge.api(ada)
    assert (await client.call("PUT", PROTECTION, json=NOTHING)).status_code == 200
    assert (await client.call("PUT", PROTECTION, json=NOTHING | {"lock_branch": True})).status_code == 200
    [ruleset] = (await client.get("/repos/ada/engine/rulesets")).json()
    full = (await client.get(ruleset["_links"]["self"]["href"])).json()
    assert full["name"] == "Protection of main"
    assert full["conditions"]["ref_name"] == {"include": ["refs/heads/main"], "exclude": []}
    assert [rule["type"] for rule in full["rules"]] == ["update", "deletion", "non_fast_forward"]
    assert full["bypass_actors"] == [{"actor_type": "RepositoryRole", "actor_id": 5, "bypass_mode": "always"}]
    names = {one["name"]: one["protected"] for one in (await client.get("/repos/ada/engine/branches")).json()}
    assert names == {"feature/x": False, "main": True}
    for value, wanted in (("true", ["main"]), ("false", ["feature/x"])):
        found = (await client.get(f"/repos/ada/engine/branches?protected={value}")).json()
        assert [one["name"] for one in found] == wanted
    checks = {"strict": False, "checks": [{"context": "ci"}]}
    await client.call("PUT", PROTECTION, json=NOTHING | {"required_status_checks": checks})
    branch = (await client.get(MAIN)).json()
    assert branch["protected"] is True
    assert branch["protection"]["required_status_checks"]["contexts"] == ["ci"]
    assert branch["protection_url"].endswith(PROTECTION)


async def test_rules_it_has_no_words_for_stay(forge: Forge, ada: Person) -> None:
    client = forge.api(ada)
    size = {"type": "max_file_size", "parameters": {"max_file_size": 5}}
    body = {
        "name": "Mine",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["main"]}},
        "rules": [{"type": "deletion"}, size],
    }
    made = (await client.call("POST", "/repos/ada/engine/rulesets", json=body)).json()
    assert (await client.get(PROTECTION)).json()["allow_deletions"] == {"enabled": False}
    put = await client.call("PUT", PROTECTION, json=NOTHING | {"allow_deletions": True, "enforce_admins": True})
    assert put.status_code == 200, put.text
    changed = (await client.get(f"/repos/ada/engine/rulesets/{made['id']}")).json()
    assert changed["rules"] == [{"type": "non_fast_forward"}, size]
    assert changed["name"] == "Mine"
    refused = await client.call("DELETE", PROTECTION)
    assert refused.status_code == 409
    assert "max_file_size" in refused.json()["message"]
    # On trial it protects nothing.
    await client.call("PUT", f"/repos/ada/engine/rulesets/{made['id']}", json={"enforcement": "evaluate"})
    assert (await client.get(PROTECTION)).status_code == 404
    assert (await client.get(MAIN)).json()["protected"] is False


async def test_parts_are_turned_on_and_off(forge: Forge, ada: Person) -> None:
    client = forge.api(ada)
    await client.call("PUT", PROTECTION, json=NOTHING)
    for part in ("required_signatures", "enforce_admins", "required_linear_history", "allow_deletions"):
        on = await client.call("POST", f"{PROTECTION}/{part}")
        assert (on.status_code, on.json()["enabled"]) == (200, True)
        assert (await client.get(f"{PROTECTION}/{part}")).json() == on.json()
        assert (await client.call("DELETE", f"{PROTECTION}/{part}")).status_code == 204
        assert (await client.get(f"{PROTECTION}/{part}")).json()["enabled"] is False
    await client.call("POST", f"{PROTECTION}/required_signatures")
    await client.call("PUT", PROTECTION, json=NOTHING)
    # Signatures have an address of their own, so a PUT that does not name them leaves them.
    assert (await client.get(f"{PROTECTION}/required_signatures")).json()["enabled"] is True


async def test_checks_are_edited_by_their_own_addresses(forge: Forge, ada: Person) -> None:
    client, checks = forge.api(ada), f"{PROTECTION}/required_status_checks"
    await client.call("PUT", PROTECTION, json=NOTHING)
    absent = await client.get(checks)
    assert (absent.status_code, absent.json()["message"]) == (404, "Required status checks not enabled")
    assert (await client.call("POST", f"{checks}/contexts", json=["ci"])).status_code == 404
    patched = await client.call("PATCH", checks, json={"strict": True, "contexts": ["ci"]})
    assert (patched.json()["strict"], patched.json()["contexts"]) == (True, ["ci"])
    contexts = f"{checks}/contexts"
    assert (await client.call("POST", contexts, json=["ci", "lint"])).json() == ["ci", "lint"]
    assert (await client.call("DELETE", contexts, json={"contexts": ["ci"]})).json() == ["lint"]
    assert (await client.call("PUT", contexts, json={"contexts": ["a", "b"]})).json() == ["a", "b"]
    assert (await client.get(contexts)).json() == ["a", "b"]
    assert (await client.call("PATCH", checks, json={"strict": False})).json()["contexts"] == ["a", "b"]
    assert (await client.call("DELETE", checks)).status_code == 204
    assert (await client.get(checks)).status_code == 404


async def test_reviews_and_who_may_push_are_edited_by_their_own_addresses(forge: Forge, ada: Person) -> None:
    client = forge.api(ada)
    await client.call("PUT", PROTECTION, json=NOTHING | {"restrictions": {"users": ["ada"], "teams": []}})
    users = f"{PROTECTION}/restrictions/users"
    for method, names, wanted in (
        ("POST", ["bob"], ["ada", "bob"]),
        ("DELETE", {"users": ["ada"]}, ["bob"]),
        ("PUT", ["mia", "MIA"], ["mia"]),
    ):
        answer = await client.call(method, users, json=names)
        assert [one["login"] for one in answer.json()] == wanted, answer.text
    assert [one["login"] for one in (await client.get(users)).json()] == ["mia"]
    assert (await client.get(f"{PROTECTION}/restrictions/teams")).json() == []
    assert (await client.get(f"{PROTECTION}/restrictions/apps")).json() == []
    unknown = await client.call("POST", users, json=["nobody-here"])
    assert (unknown.status_code, "nobody-here" in unknown.text) == (422, True)
    app = await client.call("POST", f"{PROTECTION}/restrictions/apps", json=["robot"])
    assert (app.status_code, "robot" in app.text) == (422, True)
    assert (await client.call("DELETE", f"{PROTECTION}/restrictions")).status_code == 204
    assert (await client.get(users)).status_code == 404
    reviews = f"{PROTECTION}/required_pull_request_reviews"
    assert (await client.get(reviews)).status_code == 404
    patched = await client.call("PATCH", reviews, json={"required_approving_review_count": 3})
    assert patched.json()["required_approving_review_count"] == 3
    patched = await client.call("PATCH", reviews, json={"dismiss_stale_reviews": True})
    assert patched.json()["required_approving_review_count"] == 3
    assert (await client.call("DELETE", reviews)).status_code == 204
    assert "required_pull_request_reviews" not in (await client.get(PROTECTION)).json()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"lock": True}, "lock"),
        ({"required_status_checks": {"strict": True, "foo": 1}}, "foo"),
        ({"restrictions": {"apps": ["robot"]}}, "robot"),
        ({"restrictions": {"teams": ["core"]}}, "core"),
        ({"lock_branch": True, "restrictions": {}}, "lock_branch"),
        ({"allow_fork_syncing": True}, "allow_fork_syncing"),
        ({"required_conversation_resolution": True}, "required_conversation_resolution"),
        ({"required_pull_request_reviews": {"required_approving_review_count": 9}}, "required_pull_request_reviews"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_cannot_be_kept_is_refused_by_name(
    forge: Forge, ada: Person, change: dict[str, Any], field: str
) -> None:
    client = forge.api(ada)
    answer = await client.call("PUT", PROTECTION, json=NOTHING | change)
    assert (answer.status_code, field in answer.text) == (422, True), answer.text
    assert (await client.get(PROTECTION)).status_code == 404


async def test_a_body_that_leaves_out_what_must_be_said_is_refused(forge: Forge, ada: Person) -> None:
    answer = await forge.api(ada).call("PUT", PROTECTION, json={"enforce_admins": True})
    assert (answer.status_code, "required_status_checks" in answer.text) == (422, True)


async def test_names_with_slashes_and_odd_letters_have_protection(forge: Forge, ada: Person) -> None:
    client, repository = forge.api(ada), "/repos/ada/engine/branches"
    for name in ("feature/x", "feature%2Fx"):
        put = await client.call("PUT", f"{repository}/{name}/protection", json=NOTHING)
        assert put.status_code == 200, put.text
    [ruleset] = (await client.get("/repos/ada/engine/rulesets")).json()
    assert ruleset["name"] == "Protection of feature/x"
    assert (await client.get(put.json()["url"])).status_code == 200
    assert (await client.get(PROTECTION)).status_code == 404


async def test_only_administrators_read_and_change_it(forge: Forge, ada: Person) -> None:
    await forge.api(ada).call("PUT", PROTECTION, json=NOTHING)
    stranger = await forge.person("sam")
    mia, bob = forge.people["mia"], forge.people["bob"]
    for method, part, body in (
        ("GET", "", None),
        ("PUT", "", NOTHING),
        ("DELETE", "", None),
        ("GET", "/enforce_admins", None),
        ("POST", "/required_signatures", None),
        ("PATCH", "/required_status_checks", {"strict": True}),
        ("DELETE", "/restrictions", None),
    ):
        for caller, wanted in ((stranger, 403), (bob, 403), (mia, 403), (None, 401)):
            answer = await forge.api(caller).call(method, PROTECTION + part, **({"json": body} if body else {}))
            assert answer.status_code == wanted, (method, part, caller)
    assert (await forge.api(ada).get(PROTECTION)).status_code == 200


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("main/protection", ("main", "")),
        ("a/protection/protection", ("a/protection", "")),
        ("a/protection/restrictions/users", ("a", "restrictions/users")),
        ("a/protection/other", None),
        ("protection", None),
        ("main", None),
        ("x/" * 20_000, None),
    ],
    ids=["a branch", "a branch with the word", "a part", "no part", "a branch of that name", "no word", "a long name"],
)
def test_the_words_at_the_end_are_told_from_the_name(address: str, found: tuple[str, str] | None) -> None:
    assert split_protection(address) == found
