"""Accounts over REST: GitHub's shape, and who may do what."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh
import httpx2
import pytest
from sqlalchemy import select, update
from tests.factories.accounts import LONG_AGO
from tests.identity.web_support import People, open_people
from tests.web.support import ORIGIN

from cairn.base.actor import Actor
from cairn.db.database import Database
from cairn.identity.models import Account, SshKey, Token
from cairn.identity.schemas import simple_user
from cairn.web.node_ids import NodeId, read_node_id

SIMPLE = {
    "login",
    "id",
    "node_id",
    "avatar_url",
    "gravatar_id",
    "url",
    "html_url",
    "followers_url",
    "following_url",
    "gists_url",
    "starred_url",
    "subscriptions_url",
    "organizations_url",
    "repos_url",
    "events_url",
    "received_events_url",
    "type",
    "site_admin",
    "user_view_type",
}
PUBLIC = SIMPLE | {
    "name",
    "company",
    "blog",
    "location",
    "email",
    "hireable",
    "bio",
    "twitter_username",
    "public_repos",
    "public_gists",
    "followers",
    "following",
    "created_at",
    "updated_at",
}
PRIVATE = PUBLIC | {
    "private_gists",
    "total_private_repos",
    "owned_private_repos",
    "disk_usage",
    "collaborators",
    "two_factor_authentication",
}
ALL_SCOPES = ("repo", "user", "admin:public_key")


@pytest.fixture
async def people(tmp_path: Path, database: Database) -> AsyncIterator[People]:
    async with open_people(tmp_path, database) as opened:
        yield opened


def public_key() -> str:
    key: bytes = asyncssh.generate_private_key("ssh-ed25519", comment="loom").export_public_key()
    return key.decode().strip()


@dataclass
class Callers:
    """A program for each kind of actor, all but the anonymous one with all scopes unless the name says otherwise."""

    owner: httpx2.AsyncClient
    stranger: httpx2.AsyncClient
    site_admin: httpx2.AsyncClient
    anonymous: httpx2.AsyncClient
    suspended: httpx2.AsyncClient
    expired: httpx2.AsyncClient
    narrow: httpx2.AsyncClient
    ada: Actor


@pytest.fixture
async def callers(people: People) -> Callers:
    """Ada is the owner; the narrow token is hers and can read public things only."""
    ada, bob = await people.account("ada"), await people.account("bob")
    root = await people.account("root1", is_site_admin=True)
    mallory, old = await people.account("mallory"), await people.account("old")
    tokens = {one.login: await people.token(one, *ALL_SCOPES) for one in (ada, bob, mallory, old)}
    tokens["root1"] = await people.token(root, *ALL_SCOPES, "site_admin")
    narrow = await people.token(ada)
    async with people.database.write() as session:
        await session.execute(update(Account).where(Account.login == "mallory").values(suspended_at=LONG_AGO))
        await session.execute(update(Token).where(Token.account_id == old.account_id).values(expires_at=LONG_AGO))
    return Callers(
        owner=people.program(tokens["ada"]),
        stranger=people.program(tokens["bob"]),
        site_admin=people.program(tokens["root1"]),
        anonymous=people.program(),
        suspended=people.program(tokens["mallory"]),
        expired=people.program(tokens["old"]),
        narrow=people.program(narrow),
        ada=ada,
    )


async def add(client: httpx2.AsyncClient, **changed: Any) -> dict[str, Any]:
    answer = await client.post("/api/v3/user/keys", json={"title": "loom", "key": public_key()} | changed)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


CALLERS = ("anonymous", "stranger", "owner", "site_admin", "suspended", "narrow", "expired")
TABLE: dict[tuple[str, str], tuple[int, ...]] = {
    # Who asks:                                  nobody  bob  ada  root  suspended  narrow  expired
    ("GET", "/api/v3/user"): (401, 200, 200, 200, 403, 200, 401),
    ("PATCH", "/api/v3/user"): (401, 200, 200, 200, 403, 403, 401),
    ("GET", "/api/v3/users/ada"): (200, 200, 200, 200, 403, 200, 401),
    ("GET", "/api/v3/users/ada/keys"): (200, 200, 200, 200, 403, 200, 401),
    ("GET", "/api/v3/user/emails"): (401, 200, 200, 200, 403, 403, 401),
    ("GET", "/api/v3/user/keys"): (401, 200, 200, 200, 403, 403, 401),
    ("POST", "/api/v3/user/keys"): (401, 201, 201, 201, 403, 403, 401),
    # A key belongs to one account: others have no such key, whoever they are.
    ("GET", "/api/v3/user/keys/KEY"): (401, 404, 200, 404, 403, 403, 401),
    ("DELETE", "/api/v3/user/keys/KEY"): (401, 404, 204, 404, 403, 403, 401),
}


@pytest.mark.parametrize(("method", "path"), list(TABLE))
@pytest.mark.parametrize("caller", CALLERS)
async def test_who_may_do_what(callers: Callers, caller: str, method: str, path: str) -> None:
    key_id = (await add(callers.owner))["id"] if "KEY" in path else ""
    body = {"POST": {"key": public_key(), "title": "x"}, "PATCH": {"name": "New"}}.get(method)
    client: httpx2.AsyncClient = getattr(callers, caller)
    answer = await client.request(method, path.replace("KEY", str(key_id)), json=body)
    assert answer.status_code == TABLE[method, path][CALLERS.index(caller)], answer.text
    if answer.status_code >= 400:
        assert set(answer.json()) >= {"message", "documentation_url", "status"}


async def test_every_refusal_left_everything_as_it_was(people: People, callers: Callers) -> None:
    key = await add(callers.owner)
    for name in ("anonymous", "stranger", "site_admin", "suspended", "narrow", "expired"):
        await getattr(callers, name).delete(f"/api/v3/user/keys/{key['id']}")
        if name not in {"stranger", "site_admin"}:
            await getattr(callers, name).post("/api/v3/user/keys", json={"key": public_key()})
            await getattr(callers, name).patch("/api/v3/user", json={"name": "Mallory"})
    async with people.database.read() as session:
        assert (await session.scalars(select(SshKey.id))).all() == [key["id"]]
        assert set((await session.scalars(select(Account.name))).all()) == {""}


@pytest.mark.parametrize(
    ("scope", "reads_private", "reads_emails", "edits", "reads_keys", "edits_keys"),
    [
        ("user", True, True, True, False, False),
        ("read:user", True, False, False, False, False),
        ("user:email", False, True, False, False, False),
        ("read:public_key", False, False, False, True, False),
        ("write:public_key", False, False, False, True, True),
        ("admin:public_key", False, False, False, True, True),
        ("repo", False, False, False, False, False),
    ],
)
async def test_a_scope_opens_its_own_operations_only(
    people: People,
    scope: str,
    *,
    reads_private: bool,
    reads_emails: bool,
    edits: bool,
    reads_keys: bool,
    edits_keys: bool,
) -> None:
    client = people.program(await people.token(await people.account("ada"), scope))
    asked = {
        "emails": (await client.get("/api/v3/user/emails")).status_code == 200,
        "edit": (await client.patch("/api/v3/user", json={"name": "x"})).status_code == 200,
        "keys": (await client.get("/api/v3/user/keys")).status_code == 200,
        "add": (await client.post("/api/v3/user/keys", json={"key": public_key()})).status_code == 201,
    }
    assert asked == {"emails": reads_emails, "edit": edits, "keys": reads_keys, "add": edits_keys}
    assert (set((await client.get("/api/v3/user")).json()) == PRIVATE) is reads_private


async def test_an_account_sees_its_private_part_and_others_do_not(callers: Callers) -> None:
    own = (await callers.owner.get("/api/v3/user")).json()
    assert set(own) == PRIVATE
    assert (own["email"], own["user_view_type"]) == ("ada@example.test", "private")
    assert (own["public_repos"], own["total_private_repos"], own["disk_usage"]) == (2, 3, 40)
    for client in (callers.stranger, callers.site_admin, callers.anonymous, callers.narrow):
        seen = (await client.get("/api/v3/users/ada")).json()
        assert set(seen) == PUBLIC
        assert (seen["email"], seen["user_view_type"]) == (None, "public")
    narrow = (await callers.narrow.get("/api/v3/user")).json()
    assert set(narrow) == PUBLIC
    assert narrow["email"] is None


async def test_an_account_has_githubs_shape(callers: Callers) -> None:
    seen = (await callers.anonymous.get("/api/v3/users/ADA")).json()
    assert seen["login"] == "ada"
    assert read_node_id(seen["node_id"]) == NodeId("U", str(seen["id"]))
    assert seen["url"] == f"{ORIGIN}/api/v3/users/ada"
    assert seen["html_url"] == f"{ORIGIN}/ada"
    assert seen["following_url"] == f"{ORIGIN}/api/v3/users/ada/following{{/other_user}}"
    assert seen["starred_url"] == f"{ORIGIN}/api/v3/users/ada/starred{{/owner}}{{/repo}}"
    assert (seen["type"], seen["site_admin"], seen["name"], seen["bio"]) == ("User", False, None, None)
    assert seen["created_at"] == "2020-01-02T03:04:05Z"
    picture = await callers.anonymous.get(seen["avatar_url"].removeprefix(ORIGIN))
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert (await callers.anonymous.get("/api/v3/users/root1")).json()["site_admin"] is True


async def test_a_mention_is_the_same_account(callers: Callers) -> None:
    seen = (await callers.anonymous.get("/api/v3/users/ada")).json()
    mention = simple_user(ORIGIN, account_id=seen["id"], login="ada")
    assert {name: seen[name] for name in SIMPLE} == {name: getattr(mention, name) for name in SIMPLE}


@pytest.mark.parametrize("login", ["nobody", "a--b", "..", "%00", "x" * 200])
async def test_an_unknown_name_is_not_found(callers: Callers, login: str) -> None:
    for path in (f"/api/v3/users/{login}", f"/api/v3/users/{login}/keys"):
        answer = await callers.owner.get(path)
        assert (answer.status_code, answer.json()["message"]) == (404, "Not Found")


async def test_the_profile_changes_in_part(callers: Callers) -> None:
    answer = await callers.owner.patch("/api/v3/user", json={"name": "Ada", "bio": "Weaves."})
    assert (answer.json()["name"], answer.json()["bio"]) == ("Ada", "Weaves.")
    answer = await callers.owner.patch("/api/v3/user", json={"bio": "", "company": None, "hireable": False})
    assert (answer.json()["name"], answer.json()["bio"]) == ("Ada", None)
    assert set(answer.json()) == PRIVATE


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"name": "Ada", "twitter_username": "ada"}, "twitter_username", "unprocessable"),
        ({"email": "x@y.test"}, "email", "invalid"),
        ({"name": "x" * 256}, "name", "invalid"),
        ({"name": 7}, "name", "invalid"),
    ],
)
async def test_what_cannot_be_kept_is_refused_not_ignored(
    callers: Callers, body: dict[str, Any], field: str, code: str
) -> None:
    answer = await callers.owner.patch("/api/v3/user", json=body)
    assert answer.status_code == 422
    assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [(field, code)]
    assert (await callers.owner.get("/api/v3/user")).json()["name"] is None


async def test_addresses_have_githubs_shape(callers: Callers) -> None:
    assert (await callers.owner.get("/api/v3/user/emails")).json() == [
        {"email": "ada@example.test", "primary": True, "verified": False, "visibility": "private"}
    ]


async def test_a_key_is_added_read_and_deleted(callers: Callers) -> None:
    pasted = public_key()
    answer = await callers.owner.post("/api/v3/user/keys", json={"title": "loom", "key": pasted})
    made = answer.json()
    assert answer.headers["location"] == made["url"] == f"{ORIGIN}/api/v3/user/keys/{made['id']}"
    assert set(made) == {
        "id",
        "key",
        "url",
        "title",
        "created_at",
        "verified",
        "read_only",
        "added_by",
        "last_used",
    }
    assert (made["title"], made["key"]) == ("loom", pasted.rsplit(" ", 1)[0])
    assert (made["verified"], made["read_only"], made["last_used"]) == (True, False, None)
    assert (await callers.owner.get(f"/api/v3/user/keys/{made['id']}")).json() == made
    assert (await callers.owner.get("/api/v3/user/keys")).json() == [made]
    gone = await callers.owner.delete(f"/api/v3/user/keys/{made['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    for method in ("GET", "DELETE"):
        assert (await callers.owner.request(method, f"/api/v3/user/keys/{made['id']}")).status_code == 404


async def test_everybody_sees_the_keys_but_not_what_their_owner_calls_them(callers: Callers) -> None:
    made = await add(callers.owner, title="secret project laptop")
    answer = await callers.anonymous.get("/api/v3/users/ada/keys")
    assert answer.json() == [{"id": made["id"], "key": made["key"], "created_at": made["created_at"]}]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_field"),
        ({"title": "x"}, "missing_field"),
        ({"key": "nonsense"}, "invalid"),
        ({"key": 1}, "invalid"),
    ],
)
async def test_a_refused_key_names_the_field(callers: Callers, body: dict[str, Any], code: str) -> None:
    answer = await callers.owner.post("/api/v3/user/keys", json=body)
    assert answer.status_code == 422
    assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [("key", code)]


async def test_a_key_that_somebody_has_is_refused(callers: Callers) -> None:
    made = await add(callers.stranger)
    answer = await callers.owner.post("/api/v3/user/keys", json={"key": made["key"]})
    assert answer.status_code == 422
    [problem] = answer.json()["errors"]
    assert (problem["resource"], problem["field"], problem["code"]) == ("PublicKey", "key", "already_exists")


async def test_keys_come_in_pages(callers: Callers) -> None:
    made = [(await add(callers.owner, title=f"k{number}"))["id"] for number in range(3)]
    for path in ("/api/v3/user/keys", "/api/v3/users/ada/keys"):
        first = await callers.owner.get(f"{path}?per_page=2")
        assert [key["id"] for key in first.json()] == made[:2]
        assert f'<{ORIGIN}{path}?per_page=2&page=2>; rel="next"' in first.headers["link"]
        second = await callers.owner.get(f"{path}?per_page=2&page=2")
        assert [key["id"] for key in second.json()] == made[2:]


async def test_a_browser_writes_through_the_api_only_with_its_form_token(people: People) -> None:
    """A page elsewhere makes the victim's browser post JSON as text/plain, with the session's cookie."""
    await people.account("ada")
    browser = await people.signed_in("ada")
    body = f'{{"key": "{public_key()}"}}'.encode()
    answer = await browser.client.post("/api/v3/user/keys", content=body, headers={"content-type": "text/plain"})
    assert answer.status_code == 403
    assert (await browser.client.get("/api/v3/user/keys")).json() == []
