"""An organization's rules by stock git over both doors: where its repositories are, wherever they came from."""

import asyncio
import json
import secrets
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.factories.git_repositories import StockGitFailed, StockRepository
from tests.git_compat.fixtures import Place
from tests.git_compat.programs import LOGIN, cairnd

from cairn.base.actor import Actor, ActorKind
from cairn.db.database import open_database
from cairn.identity.organizations import create_organization
from cairn.identity.queries import find_account

WORDS = r"ruleset 'Frozen', creation: nobody but those it names creates refs here"


async def _found(place: Place, login: str) -> None:
    database = open_database(place.installation.settings.effective_database_url, pool_size=1)
    try:
        async with database.write() as session:
            account = await find_account(session, LOGIN)
            assert account is not None
            actor = Actor(ActorKind.USER, account_id=account.id, login=account.login)
            await create_organization(session, actor, login=login)
    finally:
        await database.close()


def _call(place: Place, token: str, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    request = urllib.request.Request(
        f"{place.installation.origin}/api/v3{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


def _point(place: Place, client: StockRepository, owner: str, name: str) -> None:
    address = place.installation.http_url if place.door == "http" else place.installation.ssh_url
    client.git("remote", "set-url", "origin", address(name, owner=owner))


def test_they_hold_in_old_new_and_transferred_repositories_and_not_after_one_left(place: Place) -> None:
    installation, company = place.installation, f"acme-{secrets.token_hex(4)}"
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, _found(place, company)).result()
    token = cairnd(installation.environ, "admin", "create-token", LOGIN, "--scopes", "repo,admin:org").strip()
    client, name = place.client(), place.repository.name
    client.commit({"a.txt": "one\n"}, "first")
    client.git("push", "-q", "origin", "main", "main:frozen/before")
    _call(place, token, "POST", f"/orgs/{company}/repos", {"name": "old"})
    conditions = {
        "ref_name": {"include": ["frozen/*"], "exclude": []},
        "repository_name": {"include": ["~ALL"], "exclude": ["free"]},
    }
    ruleset = {"name": "Frozen", "enforcement": "active", "conditions": conditions, "rules": [{"type": "creation"}]}
    made = _call(place, token, "POST", f"/orgs/{company}/rulesets", ruleset)
    for new in ("new", "free"):
        _call(place, token, "POST", f"/orgs/{company}/repos", {"name": new})
    client.git("push", "-q", "origin", "main:frozen/not-theirs-yet")
    _call(place, token, "POST", f"/repos/{LOGIN}/{name}/transfer", {"new_owner": company})
    for one in ("old", "new", name):
        _point(place, client, company, one)
        client.git("push", "-q", "origin", "main")
        with pytest.raises(StockGitFailed, match=WORDS) as failed:
            client.git("push", "origin", "main:frozen/1")
        assert f"/{company}/{one}/rules#ruleset-{made['id']}" in str(failed.value)
    _point(place, client, company, "free")
    client.git("push", "-q", "origin", "main:frozen/1")
    found = _call(place, token, "GET", f"/orgs/{company}/rulesets/rule-suites")
    assert [one["repository_name"] for one in found] == [name, "new", "old"]
    _call(place, token, "POST", f"/repos/{company}/{name}/transfer", {"new_owner": LOGIN})
    _point(place, client, LOGIN, name)
    client.git("push", "-q", "origin", "main:frozen/1")
    _call(place, token, "PUT", f"/orgs/{company}/rulesets/{made['id']}", {"enforcement": "disabled"})
    _point(place, client, company, "old")
    client.git("push", "-q", "origin", "main:frozen/1")
