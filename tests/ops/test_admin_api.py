"""Site administrators do over the API what they do on the pages, with a token that says so."""

import pytest
from sqlalchemy import select
from tests.factories.forge import ApiClient, Forge
from tests.ops.admin_support import administrator, site

from cairn.audit.models import AuditEntry
from cairn.identity.models import Account

__all__ = ["site"]

OPERATIONS = [
    ("POST", "/admin/users"),
    ("PATCH", "/admin/users/ada"),
    ("DELETE", "/admin/users/ada"),
    ("PUT", "/users/ada/suspended"),
    ("DELETE", "/users/ada/suspended"),
    ("PUT", "/users/ada/site_admin"),
    ("DELETE", "/users/root/site_admin"),
    ("GET", "/enterprise/stats/all"),
]


async def _root(site: Forge) -> ApiClient:
    root = await administrator(site)
    return site.api(await site.token(root.account, "site_admin"))


async def _account(site: Forge, login: str) -> Account:
    async with site.database.read() as session:
        return (await session.scalars(select(Account).where(Account.login == login))).one()


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
async def test_nobody_else_may(site: Forge, method: str, path: str) -> None:
    root, ada = await administrator(site), await site.person("ada")
    narrow = await site.token(root.account, "repo", "user")
    own = await site.token(ada.account, "repo", "user", "site_admin")
    body = {"login": "new-1", "email": "n@x.test"} if method in {"POST", "PATCH"} else None
    for token in (None, own, narrow):
        answer = await site.api(token).call(method, path, json=body)
        assert answer.status_code in {401, 403, 404}, answer.text
    assert (await _account(site, "ada")).suspended_at is None
    assert not (await _account(site, "ada")).is_site_admin


async def test_an_account_is_deleted_with_its_repositories_and_keeps_its_name(site: Forge) -> None:
    root, ada = await administrator(site), await site.person("ada")
    await site.repository(ada, "engine", files={"README.md": b"# Engine"})
    narrow = site.api(await site.token(root.account, "site_admin"))
    assert (await narrow.call("DELETE", "/admin/users/ada")).status_code == 403, "the token may delete no repository"
    assert (await site.api().get("/repos/ada/engine")).status_code == 200
    api = site.api(await site.token(root.account, "site_admin", "delete_repo"))
    assert (await api.call("DELETE", "/admin/users/ada")).status_code == 204
    assert (await site.api().get("/repos/ada/engine")).status_code == 404
    assert (await api.call("DELETE", "/admin/users/ada")).status_code == 404
    assert (await site.browser(ada).get("/settings/profile")).status_code != 200
    again = await api.call("POST", "/admin/users", json={"login": "ada", "email": "a@x.test"})
    assert (again.status_code, again.json()["errors"][0]["field"]) == (422, "login")
    async with site.database.read() as session:
        entry = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "account.delete"))).one()
        ghost = await session.get_one(Account, ada.account.id)
    assert (entry.actor, entry.target, ghost.login) == ("root", "ada", f"ghost-{ada.account.id}")


async def test_an_administrator_deletes_others_only(site: Forge) -> None:
    root = await administrator(site)
    api = site.api(await site.token(root.account, "site_admin", "delete_repo"))
    assert (await api.call("DELETE", "/admin/users/root")).status_code == 403
    assert (await api.call("DELETE", "/admin/users/nobody")).status_code == 404
    assert (await _account(site, "root")).deleted_at is None


async def test_an_account_is_made_suspended_let_in_promoted_and_renamed(site: Forge) -> None:
    api = await _root(site)
    made = await api.call("POST", "/admin/users", json={"login": "new-1", "email": "n@x.test", "suspended": True})
    assert (made.status_code, made.json()["login"]) == (201, "new-1")
    assert (await _account(site, "new-1")).suspended_at is not None
    assert (await api.call("DELETE", "/users/new-1/suspended")).status_code == 204
    assert (await _account(site, "new-1")).suspended_at is None
    assert (await api.call("PUT", "/users/new-1/suspended", json={"reason": "left"})).status_code == 204
    assert (await api.call("DELETE", "/users/new-1/suspended")).status_code == 204
    assert (await api.call("PUT", "/users/new-1/site_admin")).status_code == 204
    assert (await _account(site, "new-1")).is_site_admin
    assert (await api.call("DELETE", "/users/new-1/site_admin")).status_code == 204
    renamed = await api.call("PATCH", "/admin/users/new-1", json={"login": "new-2"})
    assert renamed.status_code == 202
    assert (await _account(site, "new-2")).login_key == "new-2"
    async with site.database.read() as session:
        entries = (await session.scalars(select(AuditEntry).order_by(AuditEntry.id))).all()
    assert [entry.details.get("reason") for entry in entries if entry.action == "account.suspend"] == [None, "left"]
    assert {"account.create", "account.suspend", "account.unsuspend", "account.administer"} <= {
        entry.action for entry in entries
    }


async def test_refusals_have_githubs_shape(site: Forge) -> None:
    api = await _root(site)
    taken = await api.call("POST", "/admin/users", json={"login": "root", "email": "n@x.test"})
    assert taken.status_code == 422
    assert taken.json()["errors"][0]["field"] == "login"
    assert (await api.call("PUT", "/users/nobody/suspended")).status_code == 404
    assert (await api.call("PUT", "/users/root/suspended")).status_code == 403
    assert (await api.call("DELETE", "/users/root/site_admin")).status_code == 409
    assert (await api.call("PUT", "/users/root/suspended", json={"reason": "x" * 501})).status_code == 422


async def test_the_installation_in_numbers(site: Forge) -> None:
    api = await _root(site)
    ada = await site.person("ada")
    await site.repository(ada, "engine")
    answer = (await api.get("/enterprise/stats/all")).json()
    assert answer["repos"]["total_repos"] == 1
    assert answer["users"] == {"total_users": 2, "admin_users": 1, "suspended_users": 0}
