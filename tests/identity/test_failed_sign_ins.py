"""Refused sign-ins leave a trace, and no attacker can make it grow without bound."""

from collections.abc import Sequence

import pytest
from sqlalchemy import select
from tests.factories.accounts import make_account
from tests.factories.authentication import ADDRESS, PASSWORD, make_authentication

from cairn.audit.models import AuditEntry
from cairn.base.errors import CairnError
from cairn.base.origin import Origin, bind_origin
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity.failed_sign_ins import COUNTED_MAX, ENTRIES_MAX, UNKNOWN, FailedSignIns, Refusal


async def _entries(database: Database) -> Sequence[AuditEntry]:
    async with database.read() as session:
        query = select(AuditEntry).where(AuditEntry.action == "session.refuse").order_by(AuditEntry.id)
        return (await session.scalars(query)).all()


async def test_wrong_passwords_of_a_minute_are_one_entry_with_their_number(database: Database) -> None:
    parts = make_authentication(database)
    async with database.write() as session:
        hashed = await parts.passwords.hash(PASSWORD)
        ada = await make_account(session, "ada", password_hash=hashed)
        await make_account(session, "sue", password_hash=hashed, suspended_at=await database_now(session))
    with bind_origin(Origin(ADDRESS, "f" * 32, "curl/8")):
        for name, password in [("ada", "wrong")] * 3 + [("my secret typed here", "x"), ("sue", PASSWORD)]:
            with pytest.raises(CairnError):
                await parts.authenticator.prove_password(name, password, address=ADDRESS)
        await parts.authenticator.prove_password("ada", PASSWORD, address=ADDRESS)
    assert await parts.authenticator.failed_sign_ins.flush(database) == 3
    wrong, suspended, unknown = await _entries(database)
    assert (wrong.actor, wrong.target, wrong.account_id) == ("anonymous", "ada", ada.id)
    assert (wrong.address, wrong.request_id, wrong.user_agent) == (ADDRESS, "f" * 32, "curl/8")
    assert (wrong.details["attempts"], wrong.details["reason"]) == ("3", Refusal.WRONG)
    assert (suspended.target, suspended.details["reason"]) == ("sue", Refusal.SUSPENDED)
    assert (unknown.target, unknown.account_id) == (UNKNOWN, None)
    assert await parts.authenticator.failed_sign_ins.flush(database) == 0


async def test_what_is_refused_for_its_number_is_counted_too(database: Database) -> None:
    parts = make_authentication(database)
    for _ in range(12):
        with pytest.raises(CairnError):
            await parts.authenticator.prove_password("nobody", "wrong", address=ADDRESS)
    await parts.authenticator.failed_sign_ins.flush(database)
    [entry] = await _entries(database)
    assert (entry.details["attempts"], entry.details["reason"]) == ("12", Refusal.TOO_MANY)


async def test_a_flood_becomes_a_bounded_number_of_entries(database: Database) -> None:
    """Attack: many names from many addresses, so that the log fills up and the one that matters drowns."""
    failed = FailedSignIns()
    attempts = COUNTED_MAX + 500
    for number in range(attempts):
        address = f"10.{number // 65536}.{number // 256 % 256}.{number % 256}"
        failed.note(account_id=None, login="x", address=address, reason=Refusal.WRONG)
        if number == 10:
            failed.note(account_id=7, login="ada", address=ADDRESS, reason=Refusal.WRONG)
    assert await failed.flush(database) == ENTRIES_MAX + 1
    entries = await _entries(database)
    assert len(entries) == ENTRIES_MAX + 1
    assert entries[0].target == "ada"
    assert sum(int(entry.details["attempts"]) for entry in entries) == attempts + 1
