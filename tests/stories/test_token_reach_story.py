"""What a token may do to its own person: every account route by every scope and permission there is, one at a time.

The table below is the test's own. A route that is not in it fails, so whoever adds one says which tokens it is for.
"""

from pathlib import Path

import pytest
from tests.identity.web_support import People, open_people

from cairn.access.actions import IMPLIED_SCOPES, KNOWN_SCOPES, Resource
from cairn.access.permissions import PERMISSIONS, PermissionKind
from cairn.db.database import Database
from cairn.identity.tokens import create_fine_grained_token
from cairn.web.routing import DeclaredRoute, declared_routes

ANY = frozenset({"any"})
NONE: frozenset[str] = frozenset()
PROFILE = frozenset({"user", "profile:write"})
EMAILS = frozenset({"user", "email_addresses:write"})
READS_EMAILS = frozenset({"user", "user:email", "email_addresses:read", "email_addresses:write"})
KEYS = frozenset({"admin:public_key", "write:public_key", "git_ssh_keys:write"})
READS_KEYS = KEYS | {"read:public_key", "git_ssh_keys:read"}
SIGNS = frozenset({"admin:ssh_signing_key", "write:ssh_signing_key", "ssh_signing_keys:write"})
READS_SIGNS = SIGNS | {"read:ssh_signing_key", "ssh_signing_keys:read"}
GPG = frozenset({"admin:gpg_key", "write:gpg_key", "gpg_keys:write"})
READS_GPG = GPG | {"read:gpg_key", "gpg_keys:read"}
READS = frozenset({"user", "read:user"})
ORGANIZATIONS = frozenset({"admin:org", "write:org"})
READS_ORGANIZATIONS = ORGANIZATIONS | {"read:org"}

MAY: tuple[tuple[str, str, frozenset[str]], ...] = (
    ("GET", "/api/v3/user/emails", READS_EMAILS),
    ("GET", "/api/v3/user/public_emails", READS_EMAILS),
    ("*", "/api/v3/user/emails", EMAILS),
    ("*", "/api/v3/user/email/", EMAILS),
    ("*", "/settings/emails", EMAILS),
    ("GET", "/api/v3/user/ssh_signing_keys", READS_SIGNS),
    ("*", "/api/v3/user/ssh_signing_keys", SIGNS),
    ("*", "/settings/keys/signing", SIGNS),
    ("GET", "/api/v3/user/gpg_keys", READS_GPG),
    ("*", "/api/v3/user/gpg_keys", GPG),
    ("*", "/settings/keys/gpg", GPG),
    ("GET", "/settings/keys/new", KEYS),
    ("GET", "/api/v3/user/keys", READS_KEYS),
    ("GET", "/settings/keys", READS_KEYS),
    ("*", "/api/v3/user/keys", KEYS),
    ("GET", "/api/v3/user/outgoing_key", READS_KEYS),
    ("*", "/api/v3/user/outgoing_key", KEYS),
    ("GET", "/api/v3/user/known_hosts", READS_KEYS),
    ("*", "/api/v3/user/known_hosts", KEYS),
    ("*", "/settings/keys", KEYS),
    ("*", "/settings/sessions", NONE),
    ("*", "/settings/password", NONE),
    ("*", "/settings/tokens", NONE),
    ("*", "/settings/account", NONE),
    ("GET", "/settings/organizations", READS),
    ("*", "/settings/profile", PROFILE),
    ("PATCH", "/api/v3/user", PROFILE),
    ("GET", "/api/v3/user", ANY),
    ("GET", "/api/v3/users/", ANY),
)
"""Method, beginning of the address, and who may: classic scopes and fine-grained permissions. The first that fits."""
SPECIAL = ("/login", "/logout", "/-/", "/join", "/invitation", "/password", "/set-up", "/organizations", "/orgs")
"""Signing in and the like, which no token may, and what is about organizations."""


def expected(route: DeclaredRoute) -> frozenset[str]:
    """Return who may use a route, by the table."""
    for method, start, who in MAY:
        if method in {"*", route.method} and (route.path == start or route.path.startswith(start.rstrip("/") + "/")):
            if start == "/api/v3/user" and route.path != start and "account_id" not in route.path:
                continue
            return who
    pytest.fail(f"say in MAY which tokens {route.method} {route.path} is for")


async def tokens_of(people: People) -> dict[str, str]:
    """Return a token with each classic scope, and one with each permission, by its name; the person is ``ada``."""
    ada = await people.account("ada")
    assert ada.account_id is not None
    made = {scope: await people.token(ada, scope) for scope in sorted(KNOWN_SCOPES)}
    for name, facts in PERMISSIONS.items():
        if facts.kind is PermissionKind.ORGANIZATION:
            continue
        for level in facts.levels:
            async with people.database.write() as session:
                new = await create_fine_grained_token(
                    session,
                    ada,
                    ada.account_id,
                    name=name,
                    owner_id=ada.account_id,
                    permissions={name: level.value},
                )
            made[f"{name}:{level.value}"] = new.secret
    return made


async def status_of(people: People, route: DeclaredRoute, token: str) -> int:
    """Return what a token gets at a route; nothing is sent along, so that what is allowed changes nothing."""
    path = route.path.replace("{username}", "ada").replace("{key_id}", "999999").replace("{account_id}", "1")
    path = path.replace("{token_id}", "1").replace("{gpg_key_id}", "999999").replace("{ssh_signing_key_id}", "999999")
    client = people.program(token)
    if route.declaration.kind == "api":
        return (await client.request(route.method, path, json={} if route.method != "GET" else None)).status_code
    if route.method == "GET":
        return (await client.get(path)).status_code
    page = await client.get("/-/appearance")
    csrf = page.text.split('name="csrf_token" value="')[1].split('"')[0]
    origin = people.running.settings.origin
    return (await client.post(path, data={"csrf_token": csrf}, headers={"origin": origin})).status_code


async def test_every_account_route_by_every_token(tmp_path: Path, database: Database) -> None:
    async with open_people(tmp_path, database) as people:
        tokens = await tokens_of(people)
        routes = [
            route
            for route in declared_routes(people.running.app.litestar)
            if route.declaration.action.facts.resource is Resource.ACCOUNT
            and route.method != "HEAD"
            and not route.path.startswith(SPECIAL)
            and route.path != "/settings"
        ]
        assert len(routes) > 30
        wrong: list[str] = []
        for route in routes:
            who = expected(route)
            for name, token in tokens.items():
                may = who == ANY or bool(_carried(name) & who)
                # A change of what signs in wants a session that proved itself lately: a token is refused there too.
                status = await status_of(people, route, token)
                if (status not in {401, 403}) != may and not (may and route.declaration.sudo):
                    wrong.append(f"{route.method} {route.path} with {name}: {status}")
        assert not wrong, "\n".join(wrong)


def _carried(name: str) -> frozenset[str]:
    """Return a scope with what it brings along, all levels down."""
    found = {name}
    for scope in IMPLIED_SCOPES.get(name, ()):
        found |= _carried(scope)
    return frozenset(found)
