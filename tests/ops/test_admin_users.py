"""What administrators do to people, what is refused, and that each leaves a trace."""

import pytest
from sqlalchemy import func, select
from tests.factories.authentication import PASSWORD
from tests.factories.forge import Forge
from tests.ops.admin_support import administrator, site

from cairn.audit.models import AuditEntry
from cairn.identity.models import Account, Session

__all__ = ["site"]


async def _account(site: Forge, login: str) -> Account:
    async with site.database.read() as session:
        return (await session.scalars(select(Account).where(Account.login == login))).one()


async def _sessions(site: Forge, account: Account) -> int:
    async with site.database.read() as session:
        return await session.scalar(select(func.count()).where(Session.account_id == account.id)) or 0


async def _audit(site: Forge) -> list[tuple[str, str, str]]:
    async with site.database.read() as session:
        rows = await session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(row.actor, row.action, row.target) for row in rows]


async def _do(site: Forge, login: str, verb: str, **fields: str) -> int:
    browser = site.browser(site.people["root"])
    answer = await browser.submit(f"/admin/users/{login}/{verb}", fields, page=f"/admin/users/{login}")
    return answer.status_code


async def test_people_are_found_by_name_and_address(site: Forge) -> None:
    browser = site.browser(await administrator(site))
    for login in ("ada", "adam", "bob"):
        await site.person(login)
    page = (await browser.get("/admin/users?text=ada")).text
    assert "/admin/users/ada" in page
    assert "/admin/users/adam" in page
    assert "/admin/users/bob" not in page
    assert "/admin/users/bob" in (await browser.get("/admin/users?text=BOB@example")).text
    assert "/admin/users/ada" not in (await browser.get("/admin/users?after=adam")).text
    assert "Nothing matches" in (await browser.get("/admin/users?text=%25")).text


async def test_a_suspended_person_is_out_until_let_in_and_the_reason_is_kept(site: Forge) -> None:
    await administrator(site)
    ada = await site.person("ada")
    assert await _do(site, "ada", "suspend", reason="left the company") == 303
    assert (await _account(site, "ada")).suspended_at is not None
    assert await _sessions(site, ada.account) == 0
    shown = (await site.browser(site.people["root"]).get("/admin/users/ada")).text
    assert "Suspended" in shown
    assert "left the company" in shown
    assert await _do(site, "ada", "unsuspend") == 303
    assert (await _account(site, "ada")).suspended_at is None
    async with site.database.read() as session:
        entry = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "account.suspend"))).one()
    assert (entry.actor, entry.target, entry.details) == ("root", "ada", {"reason": "left the company"})


async def test_somebody_is_signed_out_everywhere(site: Forge) -> None:
    await administrator(site)
    ada = await site.person("ada")
    assert await _sessions(site, ada.account) == 1
    assert await _do(site, "ada", "sign-out") == 303
    assert await _sessions(site, ada.account) == 0
    assert ("root", "session.revoke_all", "ada") in await _audit(site)


async def test_rights_are_handed_over_but_never_the_last_ones_away(site: Forge) -> None:
    await administrator(site)
    await site.person("ada")
    assert await _do(site, "root", "demote") == 409
    assert (await _account(site, "root")).is_site_admin
    assert await _do(site, "ada", "promote") == 303
    assert (await _account(site, "ada")).is_site_admin
    assert await _do(site, "ada", "demote") == 303
    assert not (await _account(site, "ada")).is_site_admin
    assert [entry for entry in await _audit(site) if entry[1] == "account.administer"] == [
        ("root", "account.administer", "ada"), ("root", "account.administer", "ada"),
    ]  # fmt: skip


async def test_nobody_suspends_themselves(site: Forge) -> None:
    await administrator(site)
    assert await _do(site, "root", "suspend") == 403
    assert (await _account(site, "root")).suspended_at is None


async def test_a_reset_link_is_sent_on_an_administrators_word(site: Forge) -> None:
    await administrator(site)
    await site.person("ada")
    assert await _do(site, "ada", "reset-password") == 303
    assert ("root", "account.send_reset", "ada") in await _audit(site)


async def test_an_account_is_made_by_the_form(site: Forge) -> None:
    browser = site.browser(await administrator(site))
    fields = {"login": "new-1", "email": "n@x.test", "password": PASSWORD, "is_site_admin": "true"}
    assert (await browser.submit("/admin/users/new", fields)).status_code == 303
    assert (await _account(site, "new-1")).is_site_admin
    again = await browser.submit("/admin/users/new", fields)
    assert again.status_code == 422
    assert "taken" in again.text
    assert PASSWORD not in again.text


async def test_an_invitation_is_shown_once(site: Forge) -> None:
    browser = site.browser(await administrator(site))
    page = (await browser.submit("/admin/users/invite", {}, page="/admin/users/new")).text
    assert "/join?invitation=" in page
    assert ("root", "account.invite", "invitation") in await _audit(site)


@pytest.mark.parametrize("verb", ["suspend", "unsuspend", "sign-out", "promote", "demote", "reset-password"])
async def test_nobody_else_may(site: Forge, verb: str) -> None:
    """Attack: a plain user posts an administrator's form, for themselves or for others."""
    await administrator(site)
    ada = await site.person("ada")
    browser = site.browser(ada)
    for login in ("ada", "root"):
        answer = await browser.submit(f"/admin/users/{login}/{verb}", {}, page="/-/appearance")
        assert answer.status_code in {403, 404}
    assert not (await _account(site, "ada")).is_site_admin
    assert (await _account(site, "root")).suspended_at is None


async def test_who_does_not_exist_is_not_found(site: Forge) -> None:
    browser = site.browser(await administrator(site))
    assert (await browser.get("/admin/users/nobody")).status_code == 404
