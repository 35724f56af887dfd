"""The start-up check finds every setting that endangers data, on real servers."""

import pytest
from sqlalchemy import event
from tests.services.mariadb import mariadb_server as run_mariadb
from tests.services.postgresql import postgresql_server as run_postgresql
from tests.services.processes import ServiceMissing

from cairn.db.database import Database, DatabaseMisconfigured, open_database
from cairn.db.durability import Severity, check, require_durable


async def _found(url: str) -> dict[str, Severity]:
    database = open_database(url, pool_size=2)
    try:
        return {finding.setting: finding.severity for finding in await check(database)}
    finally:
        await database.close()


async def test_sqlite_as_cairn_opens_it_is_durable(tmp_path: object) -> None:
    assert await _found(f"sqlite:///{tmp_path}/cairn.db") == {}


async def test_sqlite_without_full_sync_is_refused(tmp_path: object) -> None:
    database = open_database(f"sqlite:///{tmp_path}/cairn.db", pool_size=2)

    @event.listens_for(database.engine.sync_engine, "connect")
    def _loosen(dbapi: object, record: object) -> None:
        cursor = dbapi.cursor()  # type: ignore[attr-defined]  # the driver's adapter
        cursor.execute("PRAGMA synchronous = NORMAL")
        cursor.close()

    try:
        with pytest.raises(DatabaseMisconfigured, match="synchronous is '1'"):
            await require_durable(database)
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("fsync", "options", "expected"),
    [
        (True, (), {}),
        (True, ("synchronous_commit=off",), {"synchronous_commit": Severity.WARNING}),
        (False, (), {"fsync": Severity.ERROR, "full_page_writes": Severity.ERROR}),
    ],
)
async def test_postgresql_settings_are_judged(
    fsync: bool, options: tuple[str, ...], expected: dict[str, Severity]
) -> None:
    try:
        with run_postgresql(fsync=fsync, options=options) as server:
            assert await _found(server.url(server.create_database())) == expected
    except ServiceMissing as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize(
    ("fsync", "options", "expected"),
    [
        (True, (), {}),
        (False, (), {"innodb_flush_log_at_trx_commit": Severity.WARNING}),
        (True, ("--log-bin", "--server-id=1", "--sync-binlog=0"), {"sync_binlog": Severity.WARNING}),
        (True, ("--skip-innodb-doublewrite",), {"innodb_doublewrite": Severity.ERROR}),
    ],
)
async def test_mariadb_settings_are_judged(
    fsync: bool, options: tuple[str, ...], expected: dict[str, Severity]
) -> None:
    try:
        with run_mariadb(fsync=fsync, options=options) as server:
            assert await _found(server.url(server.create_database())) == expected
    except ServiceMissing as missing:
        pytest.skip(str(missing))


async def test_a_warning_lets_a_program_start_and_is_returned(any_database: Database) -> None:
    """The servers of this suite skip waiting for the disk at commit: confirmed work may be lost, nothing breaks."""
    findings = await require_durable(any_database)
    assert all(finding.severity is Severity.WARNING for finding in findings)
    if any_database.dialect != "sqlite":
        [finding] = findings
        assert "a crash may lose pushes" in str(finding)
        assert "Write `" in str(finding)
