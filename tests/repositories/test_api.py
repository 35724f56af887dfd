"""Repositories over REST: GitHub's shape, and who may do what (A1, A3)."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import event as sqlalchemy_event
from tests.factories.forge import Forge, Person
from tests.web.support import ORIGIN

from cairn.access.roles import Role, Visibility
from cairn.base.clock import utc_now
from cairn.db.database import PointQuery, Row
from cairn.repositories.queries import RepositoryView

# The members of GitHub's full-repository as they are known to clients; not generated from its OpenAPI description.
REQUIRED = """
    archive_url assignees_url blobs_url branches_url collaborators_url comments_url commits_url compare_url contents_url
    contributors_url deployments_url description downloads_url events_url fork forks_url full_name git_commits_url
    git_refs_url git_tags_url hooks_url html_url id node_id issue_comment_url issue_events_url issues_url keys_url
    labels_url languages_url merges_url milestones_url name notifications_url owner private pulls_url releases_url
    stargazers_url statuses_url subscribers_url subscription_url tags_url teams_url trees_url url clone_url
    default_branch forks forks_count git_url has_downloads has_issues has_projects has_wiki has_pages has_discussions
    homepage language archived disabled mirror_url open_issues open_issues_count license pushed_at size ssh_url
    stargazers_count svn_url watchers watchers_count created_at updated_at network_count subscribers_count visibility
    permissions
"""


async def test_a_repository_has_every_member_github_requires(forge: Forge) -> None:
    ada = await forge.person("ada")
    made = await forge.repository(ada, "engine", files={"a": b"1" * 3000}, description="Mill and store")
    answer = await forge.api(ada).get("/repos/Ada/ENGINE")
    assert answer.status_code == 200
    body = answer.json()
    assert [name for name in REQUIRED.split() if name not in body] == []
    assert (body["id"], body["full_name"], body["description"]) == (made.id, "ada/engine", "Mill and store")
    assert (body["private"], body["visibility"], body["default_branch"]) == (False, "public", "main")
    assert body["url"] == f"{ORIGIN}/api/v3/repos/ada/engine"
    assert body["contents_url"] == f"{ORIGIN}/api/v3/repos/ada/engine/contents/{{+path}}"
    assert body["clone_url"] == f"{ORIGIN}/ada/engine.git"
    assert body["ssh_url"] == "ssh://git@cairn.test:2222/ada/engine.git"
    assert body["owner"]["login"] == "ada"
    assert body["size"] >= 1
    assert body["homepage"] is None
    assert body["permissions"] == dict.fromkeys(("admin", "maintain", "push", "triage", "pull"), True)
    assert body["created_at"].endswith("Z")
    assert "." not in body["created_at"]


async def test_a_visitor_is_told_no_permissions(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    body = (await forge.api().get("/repos/ada/engine")).json()
    assert "permissions" not in body
    assert [name for name in REQUIRED.split() if name not in body] == ["permissions"]


async def test_permissions_are_what_a_token_leaves(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    token = await forge.token(ada.account, "user")
    body = (await forge.api(token).get("/repos/ada/engine")).json()
    assert body["permissions"] == {
        "admin": False,
        "maintain": False,
        "push": False,
        "triage": False,
        "pull": True,
    }


async def test_head_works_where_get_does(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine", files={"a": b"1"})
    for path in ("", "/repos/ada/engine", "/repos/ada/engine/commits/main", "/repos/ada/engine/contents/a"):
        answer = await forge.api(ada).call("HEAD", path)
        assert answer.status_code == 200, path


async def test_an_answer_is_not_sent_twice(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    client = forge.api(ada)
    etag = (await client.get("/repos/ada/engine")).headers["etag"]
    assert (await client.get("/repos/ada/engine", headers={"if-none-match": etag})).status_code == 304


async def test_a_repository_is_made_with_everything_said_about_it(forge: Forge) -> None:
    ada = await forge.person("ada")
    body = {
        "name": "notes",
        "description": "On the engine",
        "homepage": "https://example.org",
        "private": True,
        "auto_init": True,
        "has_wiki": False,
        "has_projects": True,
    }
    answer = await forge.api(ada).call("POST", "/user/repos", json=body)
    assert answer.status_code == 201
    made = answer.json()
    assert (made["private"], made["visibility"], made["homepage"]) == (True, "private", "https://example.org")
    assert made["has_wiki"] is False
    # What there is no word for is passed over, and the answer says so.
    assert made["has_projects"] is False
    readme = await forge.api(ada).get("/repos/ada/notes/readme", headers={"accept": "application/vnd.github.raw"})
    assert readme.text == "# notes\n\nOn the engine\n"


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "name", "missing_field"),
        ({"name": "engine"}, "name", "already_exists"),
        ({"name": "a b"}, "name", "invalid"),
        ({"name": "x", "homepage": "javascript:alert(1)"}, "homepage", "invalid"),
        ({"name": "x", "visibility": "secret"}, "visibility", "invalid"),
        ({"name": "x", "license_template": "mine-1.0"}, "license_template", "invalid"),
        ({"name": "x", "gitignore_template": "Cobol-68"}, "gitignore_template", "invalid"),
    ],
)
async def test_a_repository_that_cannot_be_made_names_the_field(
    forge: Forge, body: dict[str, Any], field: str, code: str
) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    answer = await forge.api(ada).call("POST", "/user/repos", json=body)
    assert answer.status_code == 422
    problem = answer.json()["errors"][0]
    assert (problem["field"], problem["code"]) == (field, code)


async def test_a_change_touches_only_what_is_sent(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine", description="Mill")
    client = forge.api(ada)
    changed = await client.call("PATCH", "/repos/ada/engine", json={"homepage": "https://example.org"})
    assert (changed.json()["description"], changed.json()["homepage"]) == ("Mill", "https://example.org")
    cleared = await client.call("PATCH", "/repos/ada/engine", json={"description": None, "private": True})
    assert (cleared.json()["description"], cleared.json()["visibility"]) == (None, "private")
    archived = await client.call("PATCH", "/repos/ada/engine", json={"archived": True})
    assert archived.json()["archived"] is True


async def test_an_unknown_default_branch_is_refused(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine", files={"a": b"1"})
    answer = await forge.api(ada).call("PATCH", "/repos/ada/engine", json={"default_branch": "nowhere"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "default_branch")


async def test_the_old_name_leads_to_the_new_with_method_and_rest(forge: Forge) -> None:
    ada = await forge.person("ada")
    made = await forge.repository(ada, "engine", files={"a b": b"1"})
    client = forge.api(ada)
    assert (await client.call("PATCH", "/repos/ada/engine", json={"name": "mill"})).json()["name"] == "mill"
    moved = await client.get("/repos/ada/engine?x=a/b")
    assert (moved.status_code, moved.headers["location"]) == (
        301,
        f"{ORIGIN}/api/v3/repositories/{made.id}?x=a/b",
    )
    assert (await client.get(moved.headers["location"])).json()["full_name"] == "ada/mill"
    below = await client.get("/repos/ada/engine/contents/a%20b?ref=main")
    assert (below.status_code, below.headers["location"]) == (
        301,
        f"{ORIGIN}/api/v3/repos/ada/mill/contents/a%20b?ref=main",
    )
    assert (await client.get(below.headers["location"])).json()["name"] == "a b"
    change = await client.call("PATCH", "/repos/ada/engine", json={"description": "x"})
    assert change.status_code == 307
    followed = await client.call("PATCH", change.headers["location"], json={"description": "x"})
    assert followed.json()["description"] == "x"
    gone = await client.call("DELETE", "/repos/ada/engine")
    assert gone.status_code == 307
    assert (await client.call("DELETE", gone.headers["location"])).status_code == 204
    assert (await client.get("/repos/ada/mill")).status_code == 404


async def test_a_rename_is_not_told_to_who_may_not_see_the_repository(forge: Forge) -> None:
    """The attack: ask for old names to learn the new ones of private repositories."""
    ada, eve = await forge.person("ada"), await forge.person("eve")
    await forge.repository(ada, "secret", visibility=Visibility.PRIVATE)
    await forge.api(ada).call("PATCH", "/repos/ada/secret", json={"name": "plans"})
    for client in (forge.api(eve), forge.api()):
        assert (await client.get("/repos/ada/secret")).status_code == 404
        assert (await client.get("/repos/ada/secret/commits")).status_code == 404


async def test_lists_hold_what_the_caller_may_see_page_by_page(forge: Forge) -> None:
    ada, grace = await forge.person("ada"), await forge.person("grace")
    for name in ("a", "b", "c"):
        await forge.repository(ada, name)
    hidden = await forge.repository(ada, "hidden", visibility=Visibility.PRIVATE)
    await forge.repository(grace, "own")

    def names(answer: Any) -> list[str]:
        return [item["full_name"] for item in answer.json()]

    assert names(await forge.api().get("/users/ada/repos")) == ["ada/a", "ada/b", "ada/c"]
    assert names(await forge.api(grace).get("/users/ada/repos?sort=full_name&direction=desc")) == [
        "ada/c",
        "ada/b",
        "ada/a",
    ]
    first = await forge.api(ada).get("/users/ada/repos?per_page=2")
    assert names(first) == ["ada/a", "ada/b"]
    assert f'<{ORIGIN}/api/v3/users/ada/repos?per_page=2&page=2>; rel="next"' in first.headers["link"]
    assert names(await forge.api(grace).get("/user/repos")) == ["grace/own"]
    await forge.grant(hidden, grace, Role.READ)
    assert names(await forge.api(grace).get("/user/repos")) == ["ada/hidden", "grace/own"]
    assert names(await forge.api(grace).get("/user/repos?affiliation=owner")) == ["grace/own"]
    assert names(await forge.api(grace).get("/user/repos?type=member")) == ["ada/hidden"]
    assert names(await forge.api(grace).get("/user/repos?visibility=private")) == ["ada/hidden"]
    assert (await forge.api().get("/user/repos")).json()["message"] == "Requires authentication"
    for query in ("type=all&visibility=all", "sort=size", "affiliation=friends", "since=2020-01-01", "direction=up"):
        assert (await forge.api(grace).get(f"/user/repos?{query}")).status_code == 422, query
    assert (await forge.api().get("/users/nobody/repos")).status_code == 404


OPERATIONS: dict[str, tuple[str, str, Any]] = {
    "get": ("GET", "", None),
    "edit": ("PATCH", "", {"description": "changed"}),
    "rename": ("PATCH", "", {"name": "other"}),
    "delete": ("DELETE", "", None),
    "contents": ("GET", "/contents/README.md", None),
    "readme": ("GET", "/readme", None),
    "commits": ("GET", "/commits", None),
    "commit": ("GET", "/commits/main", None),
    "branches": ("GET", "/branches", None),
    "branch": ("GET", "/branches/main", None),
    "tags": ("GET", "/tags", None),
    "ref": ("GET", "/git/ref/heads/main", None),
    "refs": ("GET", "/git/matching-refs/heads", None),
    "tree": ("GET", "/git/trees/main", None),
    "blob": ("GET", "/git/blobs/{blob}", None),
    "git commit": ("GET", "/git/commits/{commit}", None),
    "collaborators": ("GET", "/collaborators", None),
    "collaborator": ("GET", "/collaborators/grace", None),
    "permission": ("GET", "/collaborators/grace/permission", None),
    "add": ("PUT", "/collaborators/grace", {"permission": "pull"}),
    "remove": ("DELETE", "/collaborators/grace", None),
}
NOT_READS = frozenset({"edit", "rename", "delete", "collaborators", "collaborator", "permission", "add", "remove"})
READS = frozenset(OPERATIONS) - NOT_READS
MAINTAINS = READS | {"edit"}
ALL = frozenset(OPERATIONS)


async def _people(forge: Forge, repository: RepositoryView, ada: Person) -> dict[str, str | None]:
    """Return a token for each kind of actor; None is anonymous."""
    tokens: dict[str, str | None] = {"anonymous": None, "admin": ada.token}
    tokens["stranger"] = (await forge.person("stranger")).token
    await forge.grant(repository, await forge.person("grace"), Role.READ)
    tokens["reader"] = forge.people["grace"].token
    for role in (Role.WRITE, Role.MAINTAIN):
        person = await forge.person(role.value)
        await forge.grant(repository, person, role)
        tokens[role.value] = person.token
    suspended = await forge.person("suspended", suspended_at=utc_now())
    await forge.grant(repository, suspended, Role.ADMIN)
    tokens["suspended"] = suspended.token
    tokens["narrow"] = await forge.token(ada.account, "user")
    tokens["other repository"] = await forge.token(ada.account, *("repo", "delete_repo"), repository_ids=[987654])
    tokens["expired"] = await forge.token(ada.account, "repo", expires_at=utc_now() - timedelta(minutes=1))
    return tokens


ALLOWED_PRIVATE = {
    "anonymous": frozenset[str](),
    "stranger": frozenset[str](),
    "reader": READS | {"remove"},  # grace is the reader: people may leave by themselves
    "write": READS,
    "maintain": MAINTAINS,
    "admin": ALL,
    "suspended": frozenset[str](),
    "narrow": frozenset[str](),
    "other repository": frozenset[str](),
    "expired": frozenset[str](),
}
HIDDEN = {"anonymous", "stranger", "narrow", "other repository"}


@pytest.mark.parametrize("who", list(ALLOWED_PRIVATE))
async def test_on_a_private_repository_each_actor_may_what_the_rule_says(forge: Forge, who: str) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(
        ada, "engine", visibility=Visibility.PRIVATE, files={"README.md": b"# Engine\n"}
    )
    commit = (await forge.api(ada).get("/repos/ada/engine/commits/main")).json()["sha"]
    blob = (await forge.api(ada).get("/repos/ada/engine/contents/README.md")).json()["sha"]
    tokens = await _people(forge, repository, ada)
    found: dict[str, int] = {}
    # What ends the repository, or its name, comes last.
    for name in sorted(OPERATIONS, key=lambda each: {"remove": 1, "rename": 2, "delete": 3}.get(each, 0)):
        method, path, body = OPERATIONS[name]
        here = "other" if name == "delete" and who == "admin" else "engine"
        url = f"/repos/ada/{here}{path.format(commit=commit, blob=blob)}"
        found[name] = (await forge.api(tokens[who]).call(method, url, json=body)).status_code
    assert {name for name, status in found.items() if status < 300} == ALLOWED_PRIVATE[who]
    refused = {status for name, status in found.items() if name not in ALLOWED_PRIVATE[who]}
    if who in HIDDEN:
        assert refused == {404}
    elif who == "expired":
        assert refused == {401}
    else:
        assert refused <= {403, 404}


async def test_on_a_public_repository_visitors_read_and_are_asked_to_sign_in_for_more(forge: Forge) -> None:
    ada, eve = await forge.person("ada"), await forge.person("eve")
    await forge.repository(ada, "engine", files={"README.md": b"# Engine\n"})
    for name in sorted(READS - {"blob", "git commit"}):
        assert (await forge.api().get(f"/repos/ada/engine{OPERATIONS[name][1]}")).status_code == 200, name
    for name in sorted(ALL - READS):
        method, path, body = OPERATIONS[name]
        anonymous = await forge.api().call(method, f"/repos/ada/engine{path}", json=body)
        stranger = await forge.api(eve).call(method, f"/repos/ada/engine{path}", json=body)
        assert (name, anonymous.status_code, stranger.status_code) == (name, 401, 403)


async def test_a_session_changes_nothing_over_the_api_without_its_form_token(forge: Forge) -> None:
    """The attack: another site posts JSON to the API, and the browser adds the cookie."""
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    browser = forge.browser(ada)
    answer = await browser.client.request("DELETE", "/api/v3/repos/ada/engine")
    assert answer.status_code == 403
    assert (await forge.api(ada).get("/repos/ada/engine")).status_code == 200


async def test_token_permission_and_repository_are_two_statements(
    forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One for the token and its owner, one for the repository with the role there; a third adds what packs take."""
    ada, rita = await forge.person("ada"), await forge.person("rita")
    secret = await forge.repository(ada, "secret", visibility=Visibility.PRIVATE)
    await forge.grant(secret, rita, Role.READ)
    said: list[str] = []
    fetch = forge.database.fetch

    async def counted(query: PointQuery, **values: object) -> Row | None:
        said.append(query.sql)
        return await fetch(query, **values)

    def note(*arguments: Any) -> None:
        said.append(arguments[2])

    client = forge.api(rita)
    assert (await client.get("/repos/ada/secret")).status_code == 200
    monkeypatch.setattr(forge.database, "fetch", counted)
    sqlalchemy_event.listen(SqlEngine, "before_cursor_execute", note)
    try:
        assert (await client.get("/repos/ada/secret")).status_code == 200
    finally:
        sqlalchemy_event.remove(SqlEngine, "before_cursor_execute", note)
    asked = [statement for statement in said if statement.lstrip().startswith("SELECT")]
    assert len(asked) == 3, said
    assert "account_token" in asked[0]
    assert "access_grant" in asked[1]
    assert "pack_bytes" in asked[2]
