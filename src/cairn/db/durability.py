"""The start-up check: does this database keep what it has confirmed?

A setting under which a power cut may break the database stops the start. One under which it may lose the transactions
confirmed last (an operator may have chosen that) is a warning: logged, and listed as degraded on ``/readyz``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.database import Database, DatabaseMisconfigured


class Severity(StrEnum):
    """What a finding does."""

    ERROR = "error"
    """Nothing starts."""
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """A setting that endangers data: what it is, what follows, and what to write instead."""

    severity: Severity
    setting: str
    value: str
    danger: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.setting} is {self.value!r}: {self.danger}. {self.remedy}"


@dataclass(frozen=True, slots=True)
class _Rule:
    setting: str
    is_good: Callable[[str], bool]
    severity: Severity
    danger: str
    remedy: str


_LOSES = "a crash may lose pushes that were confirmed"
_BREAKS = "a power cut may destroy the database"


async def check(database: Database) -> list[Finding]:
    """Return what is wrong with the settings that durability needs; empty if nothing is."""
    async with database.read() as session:
        if database.dialect == "sqlite":
            # ``synchronous`` belongs to a connection, and the one that matters writes.
            async with database.write() as writing:
                return _judge(_SQLITE, await _sqlite(writing))
        if database.dialect == "postgresql":
            return _judge(_POSTGRESQL, await _postgresql(session))
        values = await _mysql(session)
        return _judge(_MYSQL + (_BINARY_LOG if values["log_bin"] == "1" else ()), values)


async def require_durable(database: Database) -> list[Finding]:
    """Return the warnings; DatabaseMisconfigured with every error if there is one."""
    findings = await check(database)
    errors = [str(finding) for finding in findings if finding.severity is Severity.ERROR]
    if errors:
        raise DatabaseMisconfigured(f"The database does not keep what it confirms: {' '.join(errors)}")
    return findings


def _judge(rules: tuple[_Rule, ...], values: Mapping[str, str]) -> list[Finding]:
    return [
        Finding(rule.severity, rule.setting, values[rule.setting], rule.danger, rule.remedy)
        for rule in rules
        if not rule.is_good(values[rule.setting])
    ]


_SQLITE = (
    _Rule(
        "journal_mode",
        lambda value: value == "wal",
        Severity.ERROR,
        "readers and the writer block each other, and a rollback journal may be lost",
        "Put the data folder on a local disk: a network file system cannot hold SQLite's write-ahead log.",
    ),
    _Rule("synchronous", lambda value: value == "2", Severity.ERROR, _LOSES, "This is Cairn's own fault: report it."),
    _Rule("foreign_keys", lambda value: value == "1", Severity.ERROR, "rows may refer to nothing",
          "This SQLite was built without foreign keys; use another."),
)  # fmt: skip


async def _sqlite(session: AsyncSession) -> dict[str, str]:
    return {rule.setting: str(await session.scalar(text(f"PRAGMA {rule.setting}"))) for rule in _SQLITE}


_POSTGRESQL = (
    _Rule("fsync", lambda value: value == "on", Severity.ERROR, _BREAKS, "Write `fsync = on` in postgresql.conf."),
    _Rule("full_page_writes", lambda value: value == "on", Severity.ERROR, _BREAKS,
          "Write `full_page_writes = on` in postgresql.conf."),
    _Rule("synchronous_commit", lambda value: value != "off", Severity.WARNING, _LOSES,
          "Write `synchronous_commit = on` in postgresql.conf, and undo it where it was set for the role or database."),
    _Rule("server_encoding", lambda value: value == "UTF8", Severity.ERROR, "text people write cannot be stored",
          "Create the database with `ENCODING 'UTF8'`."),
)  # fmt: skip


async def _postgresql(session: AsyncSession) -> dict[str, str]:
    return {rule.setting: str(await session.scalar(text(f"SHOW {rule.setting}"))) for rule in _POSTGRESQL}


_MYSQL = (
    _Rule("innodb_flush_log_at_trx_commit", lambda value: value == "1", Severity.WARNING, _LOSES,
          "Write `innodb_flush_log_at_trx_commit = 1` in the server's configuration."),
    _Rule("innodb_doublewrite", lambda value: value not in {"0", "OFF"}, Severity.ERROR, _BREAKS,
          "Write `innodb_doublewrite = ON` in the server's configuration."),
    _Rule("default_storage_engine", lambda value: value == "InnoDB", Severity.ERROR, "tables may lack transactions",
          "Write `default_storage_engine = InnoDB` in the server's configuration."),
    _Rule("tx_isolation", lambda value: value == "READ-COMMITTED", Severity.ERROR,
          "decisions would rest on rows read before a lock was held",
          "This is Cairn's own fault, or a proxy that changes sessions: report it."),
)  # fmt: skip
_BINARY_LOG = (
    _Rule("sync_binlog", lambda value: value == "1", Severity.WARNING, _LOSES,
          "Write `sync_binlog = 1` in the server's configuration."),
)  # fmt: skip


async def _mysql(session: AsyncSession) -> dict[str, str]:
    names = ("innodb_flush_log_at_trx_commit", "innodb_doublewrite", "default_storage_engine", "log_bin", "sync_binlog")
    values = {name: str(await session.scalar(text(f"SELECT @@{name}"))) for name in names}
    rows = await session.execute(text("SHOW SESSION VARIABLES WHERE Variable_name IN ('tx_isolation',"
                                      " 'transaction_isolation')"))  # fmt: skip
    values["tx_isolation"] = str(next(value for _, value in rows))  # MySQL 8 has the second name only
    return values
