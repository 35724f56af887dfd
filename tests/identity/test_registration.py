"""The operator's setting is the widest there is; administrators narrow it while the installation runs."""

import pytest
from sqlalchemy import select
from tests.factories.accounts import actor_of, make_account

from cairn.audit.models import AuditEntry
from cairn.base.actor import SYSTEM
from cairn.base.errors import Invalid, NotFound
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.identity.registration import RegistrationClosed, RegistrationPolicy, choose_registration, read_registration

OPEN, CLOSED = Settings(), Settings(registration="closed")


async def _choose(database: Database, mode: str, *domains: str, settings: Settings = OPEN) -> None:
    async with database.write() as session:
        await choose_registration(session, SYSTEM, settings, mode=mode, domains=domains)


async def _read(database: Database, settings: Settings = OPEN) -> RegistrationPolicy:
    async with database.read() as session:
        return await read_registration(session, settings)


async def test_what_is_chosen_holds_and_is_audited(any_database: Database) -> None:
    assert (await _read(any_database)).mode == "open"
    await _choose(any_database, "invite", "X.test", "@x.test", " y.test ")
    policy = await _read(any_database)
    assert (policy.mode, policy.domains) == ("invite", ("x.test", "y.test"))
    await _choose(any_database, "open")
    assert (await _read(any_database)).mode == "open"
    async with any_database.read() as session:
        first, second = await session.scalars(select(AuditEntry).order_by(AuditEntry.id))
    assert first.changes == {"mode": ["open", "invite"], "domains": ["", "x.test, y.test"]}
    assert second.changes == {"mode": ["invite", "open"], "domains": ["x.test, y.test", ""]}


async def test_nothing_opens_what_the_operator_closed(database: Database) -> None:
    with pytest.raises(Invalid, match="CAIRN_REGISTRATION says closed"):
        await _choose(database, "open", settings=CLOSED)
    await _choose(database, "open")
    assert (await _read(database, CLOSED)).mode == "closed"


@pytest.mark.parametrize("domain", ["no domain", "x", "a@b", "x..test", "é"])
async def test_what_is_no_domain_is_refused(database: Database, domain: str) -> None:
    with pytest.raises(Invalid, match="is no domain"):
        await _choose(database, "open", domain)


async def test_only_administrators_choose(database: Database) -> None:
    async with database.write() as session:
        ada = actor_of(await make_account(session, "ada"))
        with pytest.raises(NotFound):
            await choose_registration(session, ada, OPEN, mode="closed", domains=[])


def test_who_may_sign_up() -> None:
    policy = RegistrationPolicy("open", ("x.test",), "open")
    policy.require(invitation="", email="a@X.test")
    with pytest.raises(Invalid, match=r"x\.test"):
        policy.require(invitation="", email="a@sub.x.test")
    invited = RegistrationPolicy("invite", ("x.test",), "invite")
    invited.require(invitation="secret", email="a@elsewhere.test")  # an administrator chose this person
    with pytest.raises(RegistrationClosed, match="invitation"):
        invited.require(invitation="", email="a@x.test")
    with pytest.raises(RegistrationClosed, match="closed"):
        RegistrationPolicy("closed", (), "closed").require(invitation="secret")
