"""What rulesets cost a small push: ``python -m bench.rules [PUSHES]``.

In process, on SQLite and a folder: one commit with one file of 10 KB, pushed with its pack, again and again, under no
rule, ten rules that look at refs, five that look at commits, and the search for secrets. Prints milliseconds,
statements and git children of one push. Writes no file.
"""

import asyncio
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import event
from sqlalchemy.engine import Engine as SqlEngine

from cairn.access.roles import Visibility
from cairn.base.actor import Actor, ActorKind
from cairn.base.log import configure_logging
from cairn.base.settings import Settings
from cairn.db.database import Database, open_database
from cairn.db.migrate import upgrade
from cairn.git.engine import Engine, open_engine
from cairn.git.quarantine import Quarantine
from cairn.git.ref_transaction import RefUpdate
from cairn.git.runner import GitRunner
from cairn.git.types import ZERO_OID, Signature
from cairn.git.writing import File, commit_files
from cairn.identity.models import Account, AccountKind
from cairn.repositories.accept_push import make_within
from cairn.repositories.create import NewRepository, create_repository
from cairn.repositories.queries import RepositoryView
from cairn.repositories.rules.edit import create_ruleset, delete_ruleset
from cairn.repositories.rules.examine import make_examine
from cairn.repositories.rules.types import RulesetContent
from cairn.storage.storage import open_storage

PUSHES = 40
MAIN = b"refs/heads/main"
_ADDRESS = {"operator": "ends_with", "pattern": "@example.test"}
_MESSAGE = {"operator": "regex", "pattern": "^Work"}
SETS: dict[str, list[list[dict[str, Any]]]] = {
    "no rule": [],
    "10 rulesets about refs": [[{"type": "creation"}, {"type": "deletion"}]] * 10,
    "commits": [
        [
            {"type": "non_fast_forward"},
            {"type": "required_linear_history"},
            {"type": "commit_message_pattern", "parameters": _MESSAGE},
            {"type": "commit_author_email_pattern", "parameters": _ADDRESS},
            {"type": "committer_email_pattern", "parameters": _ADDRESS},
        ]
    ],
    "secrets": [[{"type": "secret_patterns"}]],
}


@dataclass
class Counted:
    """What one push used."""

    milliseconds: list[float] = field(default_factory=list)
    statements: int = 0
    children: int = 0


@contextmanager
def counting(counted: Counted) -> Iterator[None]:
    """Count statements and git children of this process within the block."""

    def ran(*arguments: object) -> None:
        counted.statements += 1

    spawn, fetch_all = GitRunner.spawn, Database.fetch_all

    def spawned(self: GitRunner, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 (passed on)
        counted.children += 1
        return spawn(self, *arguments, **options)

    async def fetched(self: Database, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 (passed on)
        counted.statements += 1
        return await fetch_all(self, *arguments, **options)

    async def fetched_one(self: Database, query: Any, **values: object) -> Any:  # noqa: ANN401 (passed on)
        rows = await self.fetch_all(query, **values)
        return rows[0] if rows else None

    event.listen(SqlEngine, "before_cursor_execute", ran)
    one = Database.fetch
    GitRunner.spawn, Database.fetch_all, Database.fetch = spawned, fetched, fetched_one  # type: ignore[method-assign]
    try:
        yield
    finally:
        event.remove(SqlEngine, "before_cursor_execute", ran)
        GitRunner.spawn, Database.fetch_all, Database.fetch = spawn, fetch_all, one  # type: ignore[method-assign]


async def measure(folder: Path, pushes: int) -> dict[str, Counted]:
    """Return what a push costs under each set of rules."""
    settings = Settings(data_dir=folder / "data")
    database = open_database(f"sqlite:///{folder / 'bench.db'}", pool_size=3)
    found: dict[str, Counted] = {}
    try:
        await upgrade(database)
        async with open_engine(settings, database, open_storage(settings), make_examine=make_examine) as engine:
            person = await _person(engine)
            wanted = NewRepository(name="mill", visibility=Visibility.PUBLIC, with_readme=True)
            repository = await create_repository(database, engine, person, wanted)
            for name, sets in SETS.items():
                kept = []
                for number, rules in enumerate(sets):
                    content = {
                        "name": f"{name} {number}",
                        "enforcement": "active",
                        "conditions": {"ref_name": {"include": ["~ALL"]}},
                        "rules": rules,
                    }
                    async with database.write() as session:
                        wanted_rules = msgspec.convert(content, RulesetContent)
                        kept.append(await create_ruleset(session, person, repository.id, wanted_rules))
                found[name] = await _pushes(engine, person, repository, pushes)
                for one in kept:
                    async with database.write() as session:
                        await delete_ruleset(session, person, repository.id, one.id)
            return found
    finally:
        await database.close()


async def _pushes(engine: Engine, person: Actor, repository: RepositoryView, pushes: int) -> Counted:
    total = Counted()
    await _push(engine, person, repository)
    for _ in range(pushes):
        one = Counted()
        with counting(one):
            started = time.perf_counter()
            await _push(engine, person, repository)
            total.milliseconds.append(1000 * (time.perf_counter() - started))
        total.statements, total.children = one.statements, one.children
    return total


async def _push(engine: Engine, person: Actor, repository: RepositoryView) -> None:
    at = Signature("Bench", "bench@example.test", datetime(2026, 1, 1, tzinfo=UTC))

    async def write(quarantine: Quarantine) -> list[RefUpdate]:
        old = await engine.refs.find(repository.store_id, MAIN)
        files = {b"file": File(secrets.token_hex(5000).encode())}
        parents = [old.oid] if old else []
        oid = await commit_files(quarantine, parents=parents, changes=files, author=at, committer=at, message="Work")
        return [RefUpdate(MAIN, old.oid if old else ZERO_OID, oid)]

    staged = await engine.stage(repository.store_id, write)
    within = make_within(person, repository.id)
    [outcome] = await engine.land(staged, push_id=secrets.token_hex(16), actor="bench", within=within)
    assert outcome.moved, outcome.refusal


async def _person(engine: Engine) -> Actor:
    now = datetime.now(UTC)
    async with engine.database.write() as session:
        account = Account(login="bench", login_key="bench", kind=AccountKind.USER, created_at=now, updated_at=now)
        session.add(account)
        await session.flush()
        return Actor(ActorKind.USER, account_id=account.id, login=account.login)


def main() -> None:
    """Print a line for each set of rules."""
    configure_logging(program="bench", level="error", plain=True)
    pushes = int(sys.argv[1]) if len(sys.argv) > 1 else PUSHES
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(Path(folder), pushes))
    print(f"{'rules':26}{'median ms':>11}{'p90 ms':>9}{'statements':>12}{'children':>10}")
    for name, one in found.items():
        ordered = sorted(one.milliseconds)
        print(
            f"{name:26}{statistics.median(ordered):11.1f}{ordered[len(ordered) * 9 // 10]:9.1f}"
            f"{one.statements:12}{one.children:10}"
        )


if __name__ == "__main__":
    main()
