"""``cairnd doctor``: compare tables, object store and history of one repository or of all, and say what is wrong.

Of all includes the audit log: its chain of seals shows what was changed behind the programs' back.
"""

import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

import typer
from sqlalchemy import select

from cairn.audit.sealing import INSTALLATION_LOG
from cairn.audit.verification import read_heads, verify_logs
from cairn.base.errors import CairnError, NotFound
from cairn.base.log import configure_logging
from cairn.base.settings import SettingInvalid, Settings, load_settings
from cairn.db.database import Database
from cairn.db.startup import open_ready_database
from cairn.git.doctor import Finding, examine, mend
from cairn.git.engine import Engine, open_engine
from cairn.git.models import Store
from cairn.git.store_state import StoreGone
from cairn.identity.models import Account
from cairn.programs.supervisor import EXIT_MISCONFIGURED
from cairn.repositories.models import Repository
from cairn.storage.storage import open_storage

_PAGE_STORES = 200

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@dataclass(frozen=True, slots=True)
class Patient:
    """A store and what people call it."""

    store_id: int
    name: str


@app.command()
def doctor(
    repository: Annotated[
        str | None, typer.Argument(metavar="[OWNER/NAME]", help="The repository. Left out: all of them.")
    ] = None,
    is_mending: Annotated[
        bool, typer.Option("--mend", help="Delete what expired uploads left behind; change nothing else.")
    ] = False,
) -> None:
    """Compare tables, object store, history and audit log, and say what is wrong; exit code 1 if anything is.

    Safe beside running programs. Every pack is fetched into the cache folder, and every history is walked.
    """
    import uvloop

    try:
        settings = load_settings(os.environ)
        configure_logging(program="doctor", level="error", plain=settings.log_format == "plain")
        is_well = uvloop.run(_run(settings, repository, is_mending=is_mending))
    except CairnError as error:
        print(f"cairnd doctor: {error.message}", file=sys.stderr)
        raise SystemExit(EXIT_MISCONFIGURED if isinstance(error, SettingInvalid) else 1) from None
    raise SystemExit(0 if is_well else 1)


async def _run(settings: Settings, repository: str | None, *, is_mending: bool) -> bool:
    database, _ = await open_ready_database(settings)
    try:
        async with open_engine(settings, database, open_storage(settings)) as engine:
            are_well = await _visit_all(engine, repository, is_mending=is_mending)
        if repository is None:
            are_well &= await _check_audit_log(database)
        return are_well
    finally:
        await database.close()


async def _visit_all(engine: Engine, repository: str | None, *, is_mending: bool) -> bool:
    """Examine every patient, print as it goes; return whether all are well in the end."""
    examined = ill = 0
    patients = _everybody(engine.database) if repository is None else _one(engine.database, repository)
    async for patient in patients:
        _show_progress(f"{examined + 1}: {patient.name}")
        findings = await _visit(engine, patient, is_mending=is_mending)
        examined += 1
        ill += bool(findings)
        _show_progress("")
        for finding in findings:
            hint = " (--mend puts this right)" if finding.is_mendable and not is_mending else ""
            print(f"{patient.name}: {finding.sentence}{hint}")
    print(f"{examined:,} examined, {ill:,} with findings.")
    return ill == 0


async def _visit(engine: Engine, patient: Patient, *, is_mending: bool) -> list[Finding]:
    try:
        findings = await examine(engine, patient.store_id)
        if is_mending and any(finding.is_mendable for finding in findings):
            await mend(engine, patient.store_id)
            findings = await examine(engine, patient.store_id)
    except StoreGone:
        return []
    return findings


async def _one(database: Database, repository: str) -> AsyncIterator[Patient]:
    owner, _, name = repository.partition("/")
    async with database.read() as session:
        # uq_account_login_key, uq_repository_owner_id_name_key
        store_id = await session.scalar(
            select(Repository.store_id)
            .join(Account, Account.id == Repository.owner_id)
            .where(Account.login_key == owner.lower(), Repository.name_key == name.lower())
        )
    if store_id is None:
        raise NotFound(f"There is no repository {repository[:150]!r}; name it as OWNER/NAME.")
    yield Patient(store_id, repository)


async def _everybody(database: Database) -> AsyncIterator[Patient]:
    """Yield all stores by id, also those whose repository was deleted."""
    after = 0
    while True:
        async with database.read() as session:
            rows = (
                await session.execute(
                    select(Store.id, Account.login, Repository.name)
                    .outerjoin(Repository, Repository.store_id == Store.id)
                    .outerjoin(Account, Account.id == Repository.owner_id)
                    .where(Store.id > after)
                    .order_by(Store.id)
                    .limit(_PAGE_STORES)
                )
            ).all()
        for store_id, login, name in rows:
            yield Patient(store_id, f"{login}/{name}" if name else f"store {store_id} (of no repository)")
        if len(rows) < _PAGE_STORES:
            return
        after = rows[-1][0]


async def _check_audit_log(database: Database) -> bool:
    """Follow every chain of seals, print what is broken and where each chain ends; return whether none is."""
    _show_progress("the audit log")
    is_whole = True
    async for broken in verify_logs(database):
        _show_progress("")
        print(f"{await _log_name(database, broken.log_id)}: {broken.sentence}")
        is_whole = False
    _show_progress("")
    for head in await read_heads(database):
        print(f"{await _log_name(database, head.log_id)} ends with seal {head.number}, {head.sha256}")
    return is_whole


async def _log_name(database: Database, log_id: int) -> str:
    if log_id == INSTALLATION_LOG:
        return "The installation's audit log"
    async with database.read() as session:
        login = await session.scalar(select(Account.login).where(Account.id == log_id))
    return f"The audit log of {login or f'organization {log_id} (deleted)'}"


def _show_progress(text: str) -> None:
    """Write over the line before, where somebody looks on."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
