"""Whatever is changed behind the program's back is found and named, and nothing else is."""

import pytest
from sqlalchemy import select
from tests.audit.log_support import findings, make_organization, seal, tamper, write

from cairn.audit.models import AuditEntry
from cairn.audit.sealing import in_log
from cairn.audit.verification import read_heads
from cairn.db.database import Database


async def _ids(database: Database, log_id: int = 0) -> list[int]:
    async with database.read() as session:
        return list(await session.scalars(select(AuditEntry.id).where(in_log(log_id)).order_by(AuditEntry.id)))


async def test_a_log_nobody_touched_is_whole(any_database: Database) -> None:
    assert await findings(any_database) == []
    for _ in range(3):
        await write(any_database, 2)
        await seal(any_database)
    await write(any_database, 1)  # not sealed yet: nothing is said about it
    assert await findings(any_database) == []


@pytest.mark.parametrize(
    "changes",
    [
        "actor = 'mallory'", "actor_id = 4", "action = 'other'", "target = 'else'", "account_id = 8",
        "repository_id = 9", "address = '192.0.2.9'", "user_agent = 'curl'", "request_id = 'f'",
        "details = '{}'", "changes = NULL", "at = '2020-01-01 00:00:00'",
    ],
)  # fmt: skip
async def test_a_change_of_any_column_is_found_and_the_entry_named(any_database: Database, changes: str) -> None:
    await write(any_database, 3)
    await seal(any_database)
    _, middle, _ = await _ids(any_database)
    await tamper(any_database, f"UPDATE audit_entry SET {changes} WHERE id = {middle}")
    assert await findings(any_database) == [f"entry {middle} was changed after seal 1 was set on it."]


async def test_removed_and_inserted_entries_are_named(any_database: Database) -> None:
    await write(any_database, 4)
    await seal(any_database)
    first, second, third, fourth = await _ids(any_database)
    await tamper(any_database, f"DELETE FROM audit_entry WHERE id IN ({first}, {third})")
    assert await findings(any_database) == [f"entries {first}, {third} were removed after seal 1 was set on it."]
    columns = "actor, action, target, address, user_agent, request_id, details, at"
    await tamper(
        any_database,
        f"INSERT INTO audit_entry (id, {columns}) SELECT {third}, {columns} FROM audit_entry WHERE id = {second}",
    )
    assert await findings(any_database) == [
        f"entry {third} was changed after seal 1 was set on it.",
        f"entry {first} was removed after seal 1 was set on it.",
    ]
    assert fourth in await _ids(any_database)


async def test_an_entry_moved_to_another_log_is_missed_in_its_own_and_strange_in_the_other(
    any_database: Database,
) -> None:
    async with any_database.write() as session:
        organization = await make_organization(session, "stones")
    await write(any_database, 1, account_id=organization.id)
    await write(any_database, 1)
    await seal(any_database)
    [theirs] = await _ids(any_database, organization.id)
    await tamper(any_database, f"UPDATE audit_entry SET organization_id = NULL WHERE id = {theirs}")
    assert await findings(any_database) == [
        f"entry {theirs} was put into the range of seal 1 later; no seal covers it.",
        f"entry {theirs} was removed after seal 1 was set on it.",
    ]


async def test_a_changed_a_missing_and_a_forged_link_are_named(any_database: Database) -> None:
    for _ in range(3):
        await write(any_database, 1)
        await seal(any_database)
    await tamper(any_database, "UPDATE audit_seal SET entries = 7 WHERE number = 1")
    assert await findings(any_database) == ["seal 1 itself was changed."]
    await tamper(any_database, "UPDATE audit_seal SET entries = 1 WHERE number = 1")
    assert await findings(any_database) == []
    await tamper(any_database, f"UPDATE audit_seal SET previous_sha256 = '{'1' * 64}' WHERE number = 2")
    assert await findings(any_database) == [
        "seal 2 does not follow from the seal before it.",
        "seal 2 itself was changed.",
    ]
    _, second, _ = await _ids(any_database)
    await tamper(any_database, "DELETE FROM audit_seal WHERE number = 2")
    assert await findings(any_database) == [
        "seals 2 to 2 are missing.",
        f"entry {second} was put into the range of seal 3 later; no seal covers it.",
    ]


async def test_of_many_findings_the_first_are_named_and_the_rest_counted(any_database: Database) -> None:
    await write(any_database, 25)
    await seal(any_database)
    await tamper(any_database, "UPDATE audit_entry SET actor = 'mallory'")
    [sentence] = await findings(any_database)
    assert " and 5 more were changed" in sentence


async def test_the_heads_are_what_to_keep_elsewhere(any_database: Database) -> None:
    await write(any_database, 1)
    await seal(any_database)
    [before] = await read_heads(any_database)
    await write(any_database, 1)
    await seal(any_database)
    [after] = await read_heads(any_database)
    assert (before.log_id, before.number, after.number) == (0, 1, 2)
    assert before.sha256 != after.sha256
