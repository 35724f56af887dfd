"""An audit entry stands and falls with the change it describes, and nothing here can take it back."""

import re
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.audit.log_support import make_organization
from tests.factories.accounts import make_account
from tests.factories.repositories import make_repository

import cairn
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
            details={"reason": "it runs"},
            changes={"name": ("motor", "engine")},
            origin=Origin("192.0.2.1", "f" * 32, "git/2.39.5"),
        )
        record(session, SYSTEM, "account.create", "bob")
    entry, by_system = await _entries(any_database)
    assert (entry.actor_id, entry.actor, entry.action, entry.target) == (7, "ada", "repository.rename", "ada/engine")
    assert (entry.account_id, entry.repository_id) == (7, 9)
    assert (entry.address, entry.request_id) == ("192.0.2.1", "f" * 32)
    assert (entry.details, entry.changes) == ({"reason": "it runs"}, {"name": ["motor", "engine"]})
    assert (entry.user_agent, entry.organization_id) == ("git/2.39.5", None)
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
        record(
            session, ADA, "a", "t" * 5000, details={"d": "é" * 5000}, origin=Origin("a" * 500, "r" * 500, "u\n" * 500)
        )
    [entry] = await _entries(any_database)
    assert (len(entry.target), len(entry.details["d"]), len(entry.address), len(entry.request_id)) == (
        255, 1000, 64, 32,
    )  # fmt: skip
    assert entry.user_agent == "u" * 128


@pytest.mark.parametrize("by", ["account", "repository", "deleted repository"])
async def test_the_organization_whose_log_it_is_is_found(any_database: Database, by: str) -> None:
    """Nobody who records a decision has to know whether an owner is an organization."""
    async with any_database.write() as session:
        organization, person = await make_organization(session, "stones"), await make_account(session, "ada")
        for owner in (organization, person):
            repository = None if by == "account" else await make_repository(session, owner)
            record(
                session,
                SYSTEM,
                "test.change",
                owner.login,
                account_id=None if by == "repository" else owner.id,
                repository_id=None if repository is None else repository.id + 7 * (by == "deleted repository"),
            )
    assert [(entry.target, entry.organization_id) for entry in await _entries(any_database)] == [
        ("stones", organization.id),
        ("ada", None),
    ]


def test_only_retention_deletes_entries_and_nothing_changes_them() -> None:
    sources = Path(cairn.__file__).parent
    writers = {
        f"{path.relative_to(sources)}: {found[1]}"
        for path in sources.rglob("*.py")
        for found in re.finditer(r"\b(update|delete|insert)\((?:AuditEntry|AuditSeal)\b", path.read_text("utf-8"))
    }
    assert writers == {"audit/retention.py: delete"}
