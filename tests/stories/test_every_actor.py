"""A1 for an organization: every route and every way in for git, by everybody who can come, against a table.

The program's own app answers, in process and over its own database; who asks carries real sessions, tokens and keys.
Every write is taken back at its commit, so all of them are tried by everybody, the allowed ones too, on one database.
"""

import re
from base64 import b64encode
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncssh
import httpx2
import pytest
from litestar import Litestar, get
from tests.stories.actor_table import (
    DELETING_A_TEAM,
    ORGANIZATION,
    REPOSITORY,
    TEAM,
    Asker,
    Verdict,
    on_organization,
    on_repository,
    on_team,
)
from tests.stories.organization_world import KEY, ORIGIN, Somebody, World, open_world
from tests.stories.walked_addresses import FORKING, GENERATING, LIKING, NOTHING_THERE, WHO_ASKS
from tests.stories.walked_bodies import BODIES

from cairn.access.actions import Action
from cairn.web.routing import DeclaredRoute, RouteUndeclared, declared_routes

FOR_OTHERS = {
    ("DELETE", "/api/v3/repos/{owner}/{repo}/collaborators/{username}"): "repository:administer",
    ("POST", "/{owner}/{repo}/settings/access/people/remove"): "repository:administer",
    ("POST", "/orgs/{org}/people/remove"): "organization:edit_members",
    ("POST", "/orgs/{org}/people/visibility"): "organization:edit_members",
    ("DELETE", "/api/v3/orgs/{org}/public_members/{username}"): "organization:edit_members",
    ("DELETE", "/api/v3/orgs/{org}/teams/{slug}/memberships/{username}"): "team:edit",
    ("POST", "/orgs/{org}/teams/{slug}/members/remove"): "team:edit",
    ("DELETE", "/api/v3/orgs/{org}/teams/{slug}"): DELETING_A_TEAM,
    ("POST", "/orgs/{org}/teams/{slug}/settings/delete"): DELETING_A_TEAM,
}
"""Declared for what everybody may do to themselves, as leaving; what is asked here is about somebody else. And to
delete a team takes more than to edit it."""
FOR_ONESELF = {
    ("DELETE", "/api/v3/orgs/{org}/members/{username}"),
    ("DELETE", "/api/v3/orgs/{org}/memberships/{username}"),
    ("DELETE", "/api/v3/orgs/{org}/public_members/{username}"),
    ("PUT", "/api/v3/orgs/{org}/public_members/{username}"),
}
"""The plain member is whom these name: who leaves or shows the own membership needs nobody."""
ONLY_ONESELF = ("PUT", "/api/v3/orgs/{org}/public_members/{username}")
NUMBERS_OF_NOTHING = {
    "key_id",
    "gpg_key_id",
    "ssh_signing_key_id",
    "pat_id",
    "invitation_id",
    "announcement_id",
    "job_id",
    "mail_id",
    "avatar_id",
    "tag_sha",
    *("release_id", "asset_id", "ruleset_id", "suite_id", "deleted_id", "mirror_id"),
}
NAMES_NOTHING = {
    *("/api/v3/orgs/{org}/members/{username}", "/api/v3/orgs/{org}/public_members/{username}"),
    *("/api/v3/orgs/{org}/teams/{slug}/memberships/{username}", "/orgs/{org}/teams/{slug}/members/remove"),
    *("/orgs/{org}/people/remove", "/orgs/{org}/people/visibility", "/orgs/{org}/outside-collaborators/remove"),
    *("/api/v3/repos/{owner}/{repo}/collaborators/{username}", "/{owner}/{repo}/settings/access/people/remove"),
    *(
        "/{owner}/{repo}/settings/keys/delete",
        "/{owner}/{repo}/settings/lfs/unlock",
        "/api/v3/user/memberships/orgs/{org}",
    ),
    *("/api/v3/orgs/{org}/personal-access-tokens", "/organizations/{org}/settings/tokens/revoke"),
    *(f"{method} /api/v3/repos/{{owner}}/{{repo}}/branches/{{address}}" for method in ("PATCH", "POST", "DELETE")),
}
"""Whoever may ask is told that there is no such thing: a number of nothing, somebody who is not there."""


def _names_nothing(route: DeclaredRoute) -> bool:
    is_unliked = route.path in WHO_ASKS and route.method == "GET"
    names = {route.path, f"{route.method} {route.path}"}
    return bool(route.parameters & NUMBERS_OF_NOTHING or is_unliked or names & (NAMES_NOTHING | NOTHING_THERE))


def expected(route: DeclaredRoute, asker: Asker, *, is_private: bool) -> Verdict | None:
    """Return what must come back by the route's declaration; None where another file's table says it."""
    which, is_page = (route.method, route.path), route.declaration.kind == "page"
    declared = route.declaration.action
    is_oneself = asker.name == "organization member" and "username" in route.parameters
    action = declared.value if is_oneself else FOR_OTHERS.get(which, declared.value)
    if is_page and asker.token is not None and asker.name not in TOKENS_ALONE:
        asker = replace(asker, token=None)  # at the keyboard
    if asker.is_refused and not (is_page and asker.name == "suspended owner"):
        return Verdict.REFUSED
    if which in FOR_ONESELF and is_oneself:
        return Verdict.ALLOWED
    if which == ONLY_ONESELF:
        return Verdict.REFUSED
    if declared is Action.SITE_ADMINISTER:
        if not asker.administers:
            return Verdict.REFUSED if asker.name == "administrator's token without site_admin" else Verdict.HIDDEN
        return Verdict.ALLOWED
    is_reading = route.method in {"GET", "HEAD"}
    if route.declaration.resource == "repository":
        if {"slug", "repo"} <= route.parameters and route.method == "DELETE":
            # Maintainers of the team, too; everybody else administers the repository.
            maintains = on_team("team:edit", asker) is Verdict.ALLOWED
            action = "repository:see" if maintains else "repository:administer"
        verdict = on_repository(action, asker, is_private=is_private, is_reading=is_reading)
        if route.path in FORKING | GENERATING and not is_reading and verdict is Verdict.ALLOWED:
            return Verdict.ALLOWED if _may_create(asker) else Verdict.REFUSED
        if route.path in LIKING and not is_reading and verdict is Verdict.ALLOWED:
            return Verdict.ALLOWED if _may_like(asker) else Verdict.REFUSED
        if route.path in WHO_ASKS and not asker.is_known and verdict is Verdict.ALLOWED:
            return Verdict.REFUSED
        if {"slug", "repo"} <= route.parameters:
            return verdict if on_team("team:read", asker) is not Verdict.HIDDEN else Verdict.HIDDEN
        return verdict
    if route.path == "/api/v3/user/memberships/orgs/{org}" and not asker.is_known:
        return Verdict.REFUSED
    if action in TEAM or action == DELETING_A_TEAM:
        return on_team(action, asker)
    if action in ORGANIZATION and route.declaration.resource == "account":
        return on_organization(action, asker)
    return None


def _may_create(asker: Asker) -> bool:
    if asker.token is None or asker.token.permissions is None:
        return asker.token is None or bool(asker.token.scopes & {"repo", "public_repo"})
    return asker.name == "token of another resource owner"  # its own person's


def _may_like(asker: Asker) -> bool:
    if asker.token is None or asker.token.permissions is None:
        return asker.token is None or bool(asker.token.scopes & {"repo", "public_repo", "notifications", "user"})
    return "starring:write" in asker.token.permissions


TOKENS_ALONE = {
    *("token for chosen repositories", "token for another repository", "token of another resource owner"),
    *("token for all repositories", "token that may only read", "administrator's token without site_admin"),
    *("narrow token", "expired token"),
}


async def ask(world: World, somebody: Somebody, route: DeclaredRoute, repository: str) -> tuple[str, int]:
    """Return what a well-filled request amounts to, in one word, and its status."""
    url, reading = world.url(route, repository), route.method in {"GET", "HEAD"}
    filled = BODIES.get((route.method, route.path)) or (KEY if route.path.endswith("/keys") else {})
    body = {
        name: value.replace("{repo}", repository) if isinstance(value, str) else value for name, value in filled.items()
    }
    before = world.commits
    if route.declaration.kind == "api":
        answer = await somebody.api.request(route.method, url, json=None if reading else body)
    elif reading:
        answer = await somebody.pages.request(route.method, url)
    else:
        fields = body | {"csrf_token": await _csrf(somebody)}
        answer = await somebody.pages.request(route.method, url, data=fields, headers={"origin": ORIGIN})
    return _outcome(answer, was_kept=world.commits > before), answer.status_code


async def _csrf(somebody: Somebody) -> str:
    if not somebody.csrf:
        shown = await somebody.pages.get("/-/appearance")
        found = re.search(r'name="csrf_token" value="([^"]+)"', shown.text)
        somebody.csrf = found[1] if found else "none"
    return somebody.csrf


def _outcome(answer: httpx2.Response, *, was_kept: bool) -> str:
    status = answer.status_code
    if status in {401, 403} or (
        status in {302, 303} and urlsplit(answer.headers["location"]).path in {"/login", "/-/sudo"}
    ):
        return "refused"
    if status == 404 and not was_kept:
        return "hidden"
    # What was written would have stayed, and what the body lacks is only told to who may.
    return "allowed" if status < 400 or status in {400, 409, 422} or was_kept else f"error {status}"


@pytest.mark.timeout(900)
async def test_every_route_by_everybody_is_answered_as_the_table_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_world(tmp_path, monkeypatch) as world:
        wrong, counted = [], Counter[Verdict]()
        for route in world.routes:
            if route.method == "HEAD":
                continue  # the same handler as GET's
            repositories = ("secret", "open") if route.declaration.resource == "repository" else ("secret",)
            for somebody in (one for one in world.everybody if hasattr(one, "api")):
                for repository in repositories:
                    verdict = expected(route, somebody.asker, is_private=repository == "secret")
                    if verdict is None:
                        continue
                    counted[verdict] += 1
                    found, status = await ask(world, somebody, route, repository)
                    if found != verdict.value and not (
                        verdict is Verdict.ALLOWED and found == "hidden" and _names_nothing(route)
                    ):
                        wrong.append(
                            f"{route.method} {route.path} ({repository}) as {somebody.asker.name}: "
                            f"{found} ({status}), wanted {verdict.value}"
                        )
    assert not wrong, f"{len(wrong)} of {counted.total()}\n" + "\n".join(wrong)
    assert min(counted[verdict] for verdict in Verdict) > 200, counted


SERVICES = {"git-upload-pack": "repository:read", "git-receive-pack": "repository:push"}
LARGE = {"git-upload-pack": "download", "git-receive-pack": "upload"}
"""What Git LFS calls the same of large objects."""


async def test_git_by_everybody_is_answered_as_the_table_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over HTTP each address of each service, over SSH each command with a key that signs."""
    async with open_world(tmp_path, monkeypatch) as world:
        wrong = []
        for somebody in world.everybody:
            for repository in ("secret", "open"):
                for service, action in SERVICES.items():
                    for way, found in await _ways_in(world, somebody, repository, service):
                        wanted = _git_verdict(somebody.asker, action, repository, way)
                        if found != wanted.value:
                            wrong.append(
                                f"{service} of {repository} over {way} as {somebody.asker.name}: "
                                f"{found}, wanted {wanted.value}"
                            )
    assert not wrong, "\n".join(wrong)


async def _ways_in(world: World, somebody: Somebody, repository: str, service: str) -> list[tuple[str, str]]:
    found = []
    if hasattr(somebody, "pages"):
        basic = {"authorization": "Basic " + b64encode(f"x:{somebody.secret}".encode()).decode()}
        transport = httpx2.ASGITransport(app=world.app, client=("192.0.2.7", 5000))
        async with httpx2.AsyncClient(
            transport=transport, base_url=ORIGIN, headers=basic if somebody.secret else {}
        ) as client:
            body = b"0014command=ls-refs\n0000" if service == "git-upload-pack" else b"0000"
            told = {"content-type": f"application/x-{service}-request", "git-protocol": "version=2"}
            answers = (
                await client.get(f"/acme/{repository}.git/info/refs?service={service}"),
                await client.post(f"/acme/{repository}.git/{service}", content=body, headers=told),
                await client.post(
                    f"/acme/{repository}.git/info/lfs/objects/batch",
                    json={"operation": LARGE[service], "objects": []},
                ),
            )
        found += [("HTTP", _outcome(answer, was_kept=False)) for answer in answers]
    if somebody.key:
        commands = [service, "git-upload-archive"] if service == "git-upload-pack" else [service]
        lines = [f"{one} 'acme/{repository}.git'" for one in commands]
        lines.append(f"git-lfs-authenticate acme/{repository}.git {LARGE[service]}")
        found += [("SSH", await _over_ssh(world, somebody.key, line)) for line in lines]
    return found


async def _over_ssh(world: World, key: asyncssh.SSHKey, command: str) -> str:
    options: dict[str, Any] = {"known_hosts": None, "config": None, "agent_path": None, "password": None}
    try:
        connecting = asyncssh.connect("127.0.0.1", world.ssh_port, username="git", client_keys=[key], **options)
        async with connecting as connection:
            request = b"0012argument HEAD\n0000" if "archive" in command else b"0000"
            done = await connection.run(command, input=request, encoding=None)
    except asyncssh.PermissionDenied:
        return "refused"
    is_large = "lfs" in command
    said = done.stderr if is_large else done.stdout
    assert isinstance(said, bytes)
    said = said[:1000]
    if b"not found" in said:
        return "hidden"
    if done.exit_status == 0:
        return "allowed"
    is_told = any(why in said for why in (b"this needs the write role", b"This deploy key may only read"))
    return "refused" if (is_large or said[4:8] == b"ERR ") and is_told else f"error {said!r}"


def _git_verdict(asker: Asker, action: str, repository: str, way: str) -> Verdict:
    if asker.name.startswith("deploy key"):
        if asker.name.endswith("another repository") or repository == "open":
            return Verdict.HIDDEN
        is_allowed = action == "repository:read" or asker.name.endswith("writes")
        return Verdict.ALLOWED if is_allowed else Verdict.REFUSED
    if asker.is_refused:
        return Verdict.REFUSED
    if way == "SSH":
        asker = replace(asker, token=None)
    verdict = on_repository(action, asker, is_private=repository == "secret", is_reading=action == "repository:read")
    # Nobody is told what they may not see; a client without a name is asked for one.
    return Verdict.REFUSED if verdict is Verdict.HIDDEN and asker.name == "anonymous" else verdict


def test_a_route_without_a_declaration_stops_the_start() -> None:
    @get("/undeclared")
    async def undeclared() -> str:
        return ""

    with pytest.raises(RouteUndeclared, match="/undeclared"):
        declared_routes(Litestar([undeclared], openapi_config=None))


def test_every_action_of_a_repository_an_organization_and_a_team_is_in_the_table() -> None:
    known = REPOSITORY.keys() | ORGANIZATION.keys() | TEAM.keys()
    about = ("repository:", "organization:", "team:")
    assert {action.value for action in Action if action.value.startswith(about)} - {"organization:create"} == known
