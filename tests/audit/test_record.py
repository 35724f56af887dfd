"""An audit entry stands and falls with the change it describes, and nothing here can take it back."""

import pkgutil
from importlib import import_module
from inspect import getmembers, isfunction

from sqlalchemy import select

import cairn.audit
from cairn.audit.models import AuditEntry
from cairn.audit.record import record
from cairn.base.actor import SYSTEM, Actor, ActorKind
from cairn.base.origin import Origin
from cairn.db.clock import database_now
from cairn.db.database import Database

ADA = Actor(ActorKind.USER, account_id=7, login="ada")


async def _entries(database: Database) -> list[AuditEntry]:
    async with database.read() as session:
        return list(await session.scalars(select(AuditEntry).order_by(AuditEntry.id)))


async def test_an_entry_says_who_did_what_to_what_from_where(any_database: Database) -> None:
    async with any_database.write() as session:
        before = await database_now(session)
        record(
            session,
            ADA,
            "repository.rename",
            "ada/engine",
            account_id=7,
            repository_id=9,
            details={"before": "motor", "after": "engine"},
            origin=Origin("192.0.2.1", "f" * 32),
        )
        record(session, SYSTEM, "account.create", "bob")
    entry, by_system = await _entries(any_database)
    assert (entry.actor_id, entry.actor, entry.action, entry.target) == (7, "ada", "repository.rename", "ada/engine")
    assert (entry.account_id, entry.repository_id) == (7, 9)
    assert (entry.address, entry.request_id) == ("192.0.2.1", "f" * 32)
    assert entry.details == {"before": "motor", "after": "engine"}
    assert entry.at >= before
    assert (by_system.actor_id, by_system.actor, by_system.address, by_system.details) == (None, "system", "", {})


async def test_what_is_rolled_back_was_not_decided(any_database: Database) -> None:
    async with any_database.write() as session:
        record(session, ADA, "repository.delete", "ada/engine")
        await session.flush()
        await session.rollback()
    assert await _entries(any_database) == []


async def test_overlong_text_is_cut_not_refused(any_database: Database) -> None:
    """An attacker who chooses a long name must not be able to prevent the entry or the change."""
    async with any_database.write() as session:
        record(session, ADA, "a", "t" * 5000, details={"d": "é" * 5000}, origin=Origin("a" * 500, "r" * 500))
    [entry] = await _entries(any_database)
    assert (len(entry.target), len(entry.details["d"]), len(entry.address), len(entry.request_id)) == (
        255, 1000, 64, 32,
    )  # fmt: skip


def test_no_function_changes_or_deletes_an_entry() -> None:
    functions = {
        f"{module.name}.{name}"
        for module in pkgutil.iter_modules(cairn.audit.__path__, "cairn.audit.")
        for name, function in getmembers(import_module(module.name), isfunction)
        if function.__module__ == module.name
    }
    assert functions == {"cairn.audit.record.record"}
