"""``cairnd doctor``: compare tables, object store and history of one repository or of all, and say what is wrong.

Of all includes the audit log: its chain of seals shows what was changed behind the programs' back.
"""

import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from cairn.audit.sealing import INSTALLATION_LOG
from cairn.audit.verification import read_heads, verify_logs
from cairn.base.errors import CairnError, NotFound
from cairn.base.log import configure_logging
from cairn.base.settings import SettingInvalid, Settings, load_settings
from cairn.db.database import Database
from cairn.db.startup import open_ready_database
from cairn.git.bucket_comparison import last_comparison
from cairn.git.doctor import Finding
from cairn.git.engine import Engine, open_engine
from cairn.git.models import Store
from cairn.git.store_state import StoreGone
from cairn.identity.models import Account
from cairn.programs.progress import Progress
from cairn.programs.supervisor import EXIT_MISCONFIGURED
from cairn.repositories.git_access import WIKI_ENDING
from cairn.repositories.health import examine_store, mend_store
from cairn.repositories.models import Repository
from cairn.repositories.releases.examine import examine_files
from cairn.storage.storage import open_storage

_PAGE_STORES = 200
_Wiki = aliased(Repository)

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


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong, and with what."""

    name: str
    sentence: str
    is_mendable: bool = False


@app.command()
def doctor(
    repository: Annotated[
        str | None, typer.Argument(metavar="[OWNER/NAME]", help="The repository. Left out: all of them.")
    ] = None,
    is_mending: Annotated[
        bool, typer.Option("--mend", help="Delete what expired uploads left behind, mend sums; change nothing else.")
    ] = False,
    is_deep: Annotated[
        bool, typer.Option("--deep", help="Read every large object (Git LFS) and check its SHA-256.")
    ] = False,
    is_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of lines.")] = False,
) -> None:
    """Compare tables, object store, history, large objects and audit log, and say what is wrong.

    Exit code 0: nothing is wrong (any more, with --mend). 1: something is, or could not be examined; stderr says which.
    78: a setting is wrong. Safe beside running programs. Every pack is fetched into the cache folder, and every
    history is walked.
    """
    import uvloop

    try:
        settings = load_settings(os.environ)
        configure_logging(program="doctor", level="error", plain=settings.log_format == "plain")
        report = _Report(is_json=is_json)
        uvloop.run(_run(settings, repository, report, is_mending=is_mending, is_deep=is_deep))
    except CairnError as error:
        print(f"cairnd doctor: {error.message}", file=sys.stderr)
        raise SystemExit(EXIT_MISCONFIGURED if isinstance(error, SettingInvalid) else 1) from None
    report.end()
    raise SystemExit(1 if report.problems else 0)


class _Report:
    """What was found: lines as it is found, or one object at the end."""

    def __init__(self, *, is_json: bool) -> None:
        self._is_json = is_json
        self.examined = 0
        self.ill = 0
        self.problems: list[Problem] = []
        self.heads: list[dict[str, str]] = []

    def add(self, problem: Problem, *, hint: str = "") -> None:
        self.problems.append(problem)
        self._say(f"{problem.name}: {problem.sentence}{hint}")

    def add_head(self, name: str, number: int, sha256: str) -> None:
        self.heads.append({"log": name, "seal": str(number), "sha256": sha256})
        self._say(f"{name} ends with seal {number}, {sha256}")

    def stores_done(self) -> None:
        self._say(f"{self.examined:,} examined, {self.ill:,} with findings.")

    def end(self) -> None:
        if self._is_json:
            whole = {
                "examined": self.examined,
                "findings": [asdict(problem) for problem in self.problems],
                "audit_heads": self.heads,
            }
            print(json.dumps(whole, indent=2))

    def _say(self, line: str) -> None:
        if not self._is_json:
            print(line)


async def _run(settings: Settings, repository: str | None, report: _Report, *, is_mending: bool, is_deep: bool) -> None:
    database, _ = await open_ready_database(settings)
    try:
        async with open_engine(settings, database, open_storage(settings)) as engine:
            await _visit_all(engine, repository, report, is_mending=is_mending, is_deep=is_deep)
            await _check_release_files(engine, repository, report)
        if repository is None:
            await _check_bucket(database, report)
            await _check_audit_log(database, report)
    finally:
        await database.close()


async def _visit_all(
    engine: Engine, repository: str | None, report: _Report, *, is_mending: bool, is_deep: bool
) -> None:
    """Examine every patient and report as it goes."""
    patients = _everybody(engine.database) if repository is None else _one(engine.database, repository)
    total = 1 if repository is not None else await _count(engine.database)
    with Progress("examining", total=total) as progress:
        async for patient in patients:
            progress.show(patient.name)
            findings = await _visit(engine, patient, is_mending=is_mending, is_deep=is_deep)
            report.examined += 1
            report.ill += bool(findings)
            for finding in findings:
                hint = " (--mend puts this right)" if finding.is_mendable and not is_mending else ""
                report.add(Problem(patient.name, finding.sentence, finding.is_mendable), hint=hint)
            progress.advance()
    report.stores_done()


async def _check_release_files(engine: Engine, repository: str | None, report: _Report) -> None:
    """Report which files of releases, of one repository or of all, lack their bytes, and which bytes lack a row."""
    wanted = None if repository is None else (await _find(engine.database, repository)).id
    with Progress("the files of releases", total=None):
        async for found in examine_files(engine.database, engine.storage, repository_id=wanted):
            name = repository or await _name_of(engine.database, found.repository_id)
            report.add(Problem(name, found.sentence))


async def _name_of(database: Database, repository_id: int | None) -> str:
    async with database.read() as session:
        row = (
            await session.execute(
                select(Account.login, Repository.name)
                .join(Account, Account.id == Repository.owner_id)
                .where(Repository.id == repository_id)
            )
        ).one_or_none()
    return f"{row[0]}/{row[1]}" if row else "The object store"


async def _check_bucket(database: Database, report: _Report) -> None:
    """Report what the last comparison of bucket and tables left to an operator."""
    last = await last_comparison(database)
    if last is None:
        return
    if last.missing:
        report.add(Problem("The object store", f"the last comparison missed {last.missing:,} files that rows name."))
    if last.held_at is not None:
        held = f"nothing unknown is deleted since {last.held_at:%Y-%m-%d %H:%M} UTC ({last.hold_reason}); look at "
        report.add(Problem("The object store", held + "what was restored, then run cairnd admin release-bucket."))


async def _visit(engine: Engine, patient: Patient, *, is_mending: bool, is_deep: bool) -> list[Finding]:
    try:
        findings = await examine_store(engine, patient.store_id, is_deep=is_deep)
        if is_mending and any(finding.is_mendable for finding in findings):
            await mend_store(engine, patient.store_id)
            findings = await examine_store(engine, patient.store_id, is_deep=is_deep)
    except StoreGone:
        return []
    return findings


async def _one(database: Database, repository: str) -> AsyncIterator[Patient]:
    found = await _find(database, repository)
    yield Patient(found.store_id, repository)
    if found.wiki_store_id is not None:
        yield Patient(found.wiki_store_id, f"{repository}{WIKI_ENDING}")


async def _find(database: Database, repository: str) -> Repository:
    """Return a repository by ``OWNER/NAME``. Errors: NotFound."""
    owner, _, name = repository.partition("/")
    async with database.read() as session:
        # uq_account_login_key, uq_repository_owner_id_name_key
        found = await session.scalar(
            select(Repository)
            .join(Account, Account.id == Repository.owner_id)
            .where(Account.login_key == owner.lower(), Repository.name_key == name.lower())
        )
    if found is None:
        raise NotFound(f"There is no repository {repository[:150]!r}; name it as OWNER/NAME.")
    return found


async def _everybody(database: Database) -> AsyncIterator[Patient]:
    """Yield all stores by id, also those whose repository was deleted."""
    after = 0
    while True:
        async with database.read() as session:
            rows = (
                await session.execute(
                    select(Store.id, Account.login, func.coalesce(Repository.name, _Wiki.name + WIKI_ENDING))
                    # uq_repository_store_id, ix_repository_wiki_store_id
                    .outerjoin(Repository, Repository.store_id == Store.id)
                    .outerjoin(_Wiki, _Wiki.wiki_store_id == Store.id)
                    .outerjoin(Account, Account.id == func.coalesce(Repository.owner_id, _Wiki.owner_id))
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


async def _count(database: Database) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(Store)) or 0


async def _check_audit_log(database: Database, report: _Report) -> None:
    """Follow every chain of seals, report what is broken and where each chain ends."""
    with Progress("the audit log", total=None):
        broken = [found async for found in verify_logs(database)]
    for found in broken:
        report.add(Problem(await _log_name(database, found.log_id), found.sentence))
    for head in await read_heads(database):
        report.add_head(await _log_name(database, head.log_id), head.number, head.sha256)


async def _log_name(database: Database, log_id: int) -> str:
    if log_id == INSTALLATION_LOG:
        return "The installation's audit log"
    async with database.read() as session:
        login = await session.scalar(select(Account.login).where(Account.id == log_id))
    return f"The audit log of {login or f'organization {log_id} (deleted)'}"
