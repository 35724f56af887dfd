"""A repository with rules: who owns it, who writes to it, its rulesets, and changes of its refs by the engine."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from tests.factories.accounts import LONG_AGO, actor_of, make_account
from tests.factories.repositories import grant

from cairn.access.roles import Role
from cairn.base.actor import Actor
from cairn.base.ids import random_id
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.quarantine import Quarantine
from cairn.git.ref_transaction import RefOutcome, RefUpdate
from cairn.git.types import ZERO_OID, ObjectKind, Oid, RefName, Signature
from cairn.git.writing import File, commit_files, write_tag
from cairn.identity.models import Account
from cairn.repositories.accept_push import Arrival, make_within
from cairn.repositories.create import NewRepository, create_repository
from cairn.repositories.models import Repository
from cairn.repositories.queries import RepositoryView
from cairn.repositories.rules.edit import create_ruleset, update_ruleset
from cairn.repositories.rules.judge import Verdict
from cairn.repositories.rules.types import Ruleset, RulesetContent

MAIN = b"refs/heads/main"
Change = tuple[RefName, Oid, Oid]
_numbers = itertools.count(1)


@dataclass(slots=True)
class Ruled:
    """The repository ``ada/mill``: ada administers it, bob may push. It begins with one commit on main."""

    database: Database
    engine: Engine
    repository: RepositoryView
    ada: Account
    bob: Account
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def admin(self) -> Actor:
        """Who administers it."""
        return actor_of(self.ada)

    @property
    def writer(self) -> Actor:
        """Who may push."""
        return actor_of(self.bob)

    async def rule(self, *rules: dict[str, Any] | str, include: Sequence[str] = ("~ALL",), **content: Any) -> Ruleset:
        """Give it a ruleset, active unless told otherwise; a rule without parameters may be its name alone."""
        wanted = msgspec.convert(
            {
                "name": f"Set {next(_numbers)}",
                "enforcement": "active",
                "conditions": {"ref_name": {"include": list(include), "exclude": content.pop("exclude", [])}},
                "rules": [{"type": one} if isinstance(one, str) else one for one in rules],
            }
            | content,
            RulesetContent,
        )
        async with self.database.write() as session:
            return await create_ruleset(session, self.admin, self.repository.id, wanted)

    async def change_rule(self, ruleset: Ruleset, **content: Any) -> Ruleset:
        """Change a ruleset in some fields."""
        wanted = msgspec.convert(msgspec.to_builtins(ruleset.content) | content, RulesetContent)
        async with self.database.write() as session:
            return await update_ruleset(session, self.admin, self.repository.id, ruleset.id, wanted)

    async def tip(self, name: RefName = MAIN) -> Oid:
        """Return where a ref is; ZERO_OID if it is not there."""
        found = await self.engine.refs.find(self.repository.store_id, name)
        return ZERO_OID if found is None else found.oid

    async def commit(
        self,
        files: Mapping[bytes, File | bytes | None],
        *,
        parents: Sequence[Oid] | None = None,
        message: str = "Work",
        email: str = "bob@example.test",
    ) -> Oid:
        """Return a commit that is in the repository, reached by a branch of its own outside all rules."""
        made: list[Oid] = []
        author = Signature("Bob", email, LONG_AGO)
        wanted = {path: File(data) if isinstance(data, bytes) else data for path, data in files.items()}
        over = [await self.tip()] if parents is None else parents

        async def write(quarantine: Quarantine) -> list[RefUpdate]:
            oid = await commit_files(
                quarantine, parents=over, changes=wanted, author=author, committer=author, message=message
            )
            made.append(oid)
            return [RefUpdate(b"refs/kept/" + oid.encode(), ZERO_OID, oid)]

        staged = await self.engine.stage(self.repository.store_id, write)
        within = make_within(self.writer, self.repository.id)
        await self.engine.land(staged, push_id=random_id(), actor="test", within=within)
        return made[0]

    async def tag(self, target: Oid, kind: ObjectKind = ObjectKind.COMMIT, *, message: str = "A tag") -> Oid:
        """Return an annotated tag that is in the repository, reached by a ref outside all rules."""
        made: list[Oid] = []
        tagger = Signature("Bob", "bob@example.test", LONG_AGO)

        async def write(quarantine: Quarantine) -> list[RefUpdate]:
            oid = await write_tag(quarantine, target=target, kind=kind, name="v1", tagger=tagger, message=message)
            made.append(oid)
            return [RefUpdate(b"refs/kept/" + oid.encode(), ZERO_OID, oid)]

        staged = await self.engine.stage(self.repository.store_id, write)
        within = make_within(self.writer, self.repository.id)
        await self.engine.land(staged, push_id=random_id(), actor="test", within=within)
        return made[0]

    async def land(
        self, *changes: Change, actor: Actor | None = None, is_atomic: bool = False, is_sync: bool = False
    ) -> dict[RefName, str]:
        """Ask for changes of refs and return why each was refused; empty for one that moved."""
        actor = actor or self.writer
        updates = [RefUpdate(name, old, new) for name, old, new in changes]

        async def write(quarantine: Quarantine) -> list[RefUpdate]:
            return updates

        staged = replace(await self.engine.stage(self.repository.store_id, write), is_atomic=is_atomic)
        arrival = Arrival.SYNCED if is_sync else Arrival.PUSHED
        within = make_within(actor, self.repository.id, arrival=arrival, tell=self.verdicts.append)
        outcomes: Sequence[RefOutcome] = await self.engine.land(
            staged, push_id=random_id(), actor=actor.label, within=within
        )
        return {outcome.name: outcome.refusal for outcome in outcomes}

    async def move(self, name: RefName, new: Oid, **options: Any) -> str:
        """Move one ref from where it is (ZERO_OID deletes) and return why not, empty if it moved."""
        return (await self.land((name, await self.tip(name), new), **options))[name]

    async def push_file(self, path: bytes, data: bytes, *, name: RefName = MAIN, **options: Any) -> str:
        """Put a new commit with one file on a branch and return why not."""
        return await self.move(name, await self.commit({path: data}), **options)


async def make_ruled(database: Database, engine: Engine) -> Ruled:
    """Return a repository without rules yet."""
    async with database.write() as session:
        ada, bob = await make_account(session, "ada"), await make_account(session, "bob")
    made = await create_repository(database, engine, actor_of(ada), NewRepository(name="mill", with_readme=True))
    async with database.write() as session:
        await grant(session, await session.get_one(Repository, made.id), bob, Role.WRITE)
    return Ruled(database, engine, made, ada, bob)
