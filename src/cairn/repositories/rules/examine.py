"""Looking into what a change of refs brings, while it waits in its quarantine and no transaction is held.

Nobody's rights are asked here: whoever pushes what by whatever door, the same is found, and ``judge`` decides under the
store's lock what it means for whom. Without a rule that looks at objects this costs one statement and no process, and
the reading of the files that are as small as pointers (``lost_objects``).
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from cairn.base.settings import Settings
from cairn.db.database import Database, PointQuery
from cairn.git.fail_points import Step, fail_point
from cairn.git.history import Objects, is_ancestor
from cairn.git.ref_queries import RefSnapshot, RefValue
from cairn.git.ref_transaction import Finding, RefUpdate
from cairn.git.runner import GitRunner
from cairn.git.staging import Examine, Waiting
from cairn.git.types import Oid, RefName
from cairn.repositories.rules.contents import Brought, Contents
from cairn.repositories.rules.lost_objects import LOST_OBJECTS, find_lost_objects
from cairn.repositories.rules.new_commits import TooMuchToExamine, walk_new
from cairn.repositories.rules.patterns import covers
from cairn.repositories.rules.queries import rules_of_store
from cairn.repositories.rules.types import ExaminedRule, NonFastForward, Ruleset

EXAMINE_SECONDS = 60.0
"""How long one change of refs is looked through, all rulesets together."""

SMALL_FILES_PER_SECOND = 10_000
"""Files as small as pointers are read much faster than that; whoever pushes a whole history has the time it takes."""

PROBLEMS_MAX = 5
"""What one rule has against one ref is told so many times; there may be more of the same."""

# uq_repository_store_id, uq_ruleset_repository_id_name, uq_ruleset_owner_id_name
_HAS_RULES = PointQuery(
    "SELECT 1 FROM repository r WHERE r.store_id = :store AND (EXISTS "
    "(SELECT 1 FROM ruleset s WHERE s.repository_id = r.id AND s.enforcement <> 'disabled') OR EXISTS "
    "(SELECT 1 FROM ruleset o WHERE o.owner_id = r.owner_id AND o.enforcement <> 'disabled'))"
)

Findings = dict[RefName, dict[str, list[Finding]]]


def make_examine(settings: Settings, database: Database, runner: GitRunner) -> Examine:
    """Return what ``open_engine`` takes, so that every plan of this program is examined."""

    async def examine(waiting: Waiting) -> Sequence[RefUpdate]:
        rulesets = await _rulesets(database, waiting.snapshot.state.id)
        # Names are held against patterns: thousands against hundreds take seconds.
        work = await asyncio.to_thread(_Work.of, rulesets, waiting) if rulesets else _Work.of((), waiting)
        if work.findings:
            await work.run(_Tools(settings, database, runner))
        for name, lost in (await _lost_objects(runner, database, waiting)).items():
            work.findings.setdefault(name, {})[LOST_OBJECTS] = list(lost)
        if not work.findings:
            return waiting.updates
        return [replace(update, findings=work.findings.get(update.name, {})) for update in waiting.updates]

    return examine


async def _lost_objects(runner: GitRunner, database: Database, waiting: Waiting) -> Mapping[RefName, Sequence[Finding]]:
    seconds = EXAMINE_SECONDS + len(waiting.small_files) / SMALL_FILES_PER_SECOND
    try:
        async with asyncio.timeout(seconds):
            return await find_lost_objects(runner, database, waiting)
    except TimeoutError:
        why = [Finding(0, f"looking for what it names takes more than {seconds:.0f} s; push in parts")]
        return {update.name: why for update in waiting.updates if not update.is_deletion}


async def _rulesets(database: Database, store_id: int) -> list[Ruleset]:
    await fail_point(Step.RULES_EXAMINED)
    if await database.fetch(_HAS_RULES, store=store_id) is None:
        return []
    async with database.read() as session:
        return [one for one in await rules_of_store(session, store_id) if one.examined_rules]


@dataclass(frozen=True, slots=True)
class _Tools:
    settings: Settings
    database: Database
    runner: GitRunner


@dataclass(frozen=True, slots=True)
class _Work:
    """The rulesets with what each is to look at, and what it found."""

    waiting: Waiting
    wanted: Sequence[tuple[Ruleset, Sequence[RefUpdate]]]
    findings: Findings

    @classmethod
    def of(cls, rulesets: Iterable[Ruleset], waiting: Waiting) -> "_Work":
        head = waiting.snapshot.state.head_target
        # Where the default branch goes in the same stroke it is renamed, and its new name is the default one then.
        # Where there is none yet, whoever brings a history says which it is when it lands.
        is_renamed = any(update.is_deletion and update.name == head for update in waiting.updates)
        is_chosen_later = is_renamed or waiting.snapshot.find(head) is None
        wanted: list[tuple[Ruleset, Sequence[RefUpdate]]] = []
        findings: Findings = {}
        for ruleset in rulesets:
            moving = [
                update
                for update in waiting.updates
                if not update.is_deletion
                and (
                    _is_about(ruleset, update.name, head)
                    or (is_chosen_later and _is_about(ruleset, update.name, update.name))
                )
            ]
            if moving:
                wanted.append((ruleset, moving))
            for update in moving:
                findings.setdefault(update.name, {})[ruleset.key] = []
        return cls(waiting, wanted, findings)

    async def run(self, tools: _Tools) -> None:
        """Fill the findings; what cannot be looked through in time or at all has that against it."""
        give_up_at = asyncio.get_running_loop().time() + EXAMINE_SECONDS
        for ruleset, updates in self.wanted:
            try:
                async with asyncio.timeout_at(give_up_at):
                    await self._run_one(tools, ruleset, updates)
            except TimeoutError:
                self._refuse(ruleset, updates, f"looking through it takes more than {EXAMINE_SECONDS:.0f} s")
            except TooMuchToExamine as error:
                self._refuse(ruleset, updates, str(error))

    def _refuse(self, ruleset: Ruleset, updates: Sequence[RefUpdate], why: str) -> None:
        for update in updates:
            place, _ = ruleset.examined_rules[0]
            self.findings[update.name][ruleset.key] = [Finding(place, f"it cannot be examined: {why}")]

    async def _run_one(self, tools: _Tools, ruleset: Ruleset, updates: Sequence[RefUpdate]) -> None:
        rules = ruleset.examined_rules
        for place, rule in rules:
            if isinstance(rule, NonFastForward):
                await self._check_forward(tools, ruleset, place, updates)
        rest = [(place, rule) for place, rule in rules if not isinstance(rule, NonFastForward)]
        if not rest:
            return
        covered = await asyncio.to_thread(_tips_covered, ruleset, self.waiting.snapshot)
        for are_new in (False, True):
            group = [update for update in updates if update.is_creation is are_new]
            if group:
                # A branch begins at what the default branch has: what made that good stands in its own rules.
                more = _default_tip(self.waiting.snapshot) if are_new else set[Oid]()
                await self._look_into(tools, ruleset, rest, group, covered | more)

    async def _look_into(
        self,
        tools: _Tools,
        ruleset: Ruleset,
        rules: Sequence[tuple[int, ExaminedRule]],
        updates: Sequence[RefUpdate],
        known: set[Oid],
    ) -> None:
        quarantine = self.waiting.quarantine
        tips = {update.name: update.peeled or update.new for update in updates}
        commits = await walk_new(tools.runner, quarantine, sorted(set(tips.values())), sorted(known))
        contents = Contents(tools.runner, tools.database, tools.settings.host, quarantine, commits)
        brought = {
            update.name: await contents.brought_by(update, tips[update.name], is_known=tips[update.name] in known)
            for update in updates
        }
        for place, rule in rules:
            check = await contents.prepare(rule)
            for update in updates:
                self._note(ruleset, place, update, check, brought[update.name])

    def _note(
        self,
        ruleset: Ruleset,
        place: int,
        update: RefUpdate,
        check: Callable[[Brought], Iterable[str]],
        brought: Brought,
    ) -> None:
        problems = list(islice(check(brought), PROBLEMS_MAX + 1))
        found = self.findings[update.name][ruleset.key]
        found += [Finding(place, problem) for problem in problems[:PROBLEMS_MAX]]
        if len(problems) > PROBLEMS_MAX:
            found.append(Finding(place, "and more of the same"))

    async def _check_forward(self, tools: _Tools, ruleset: Ruleset, place: int, updates: Sequence[RefUpdate]) -> None:
        objects = Objects(self.waiting.quarantine.path, self.waiting.quarantine.alternates)
        for update in updates:
            if update.is_creation or update.keeps_old:
                continue
            before = self.waiting.snapshot.find(update.name)
            old = update.old if before is None else (before.peeled or before.oid)
            is_known = old in self.waiting.snapshot.tips
            new = update.peeled or update.new
            if not is_known or not await is_ancestor(tools.runner, objects, ancestor=old, descendant=new):
                why = f"it does not contain what the ref has now ({old[:10]}); fetch and merge or rebase, do not force"
                self.findings[update.name][ruleset.key].append(Finding(place, why))


def _tips_covered(ruleset: Ruleset, snapshot: RefSnapshot) -> set[Oid]:
    """Return where the refs that a ruleset is about are: what they have met it, or was there before it."""
    head = snapshot.state.head_target
    return {_tip(ref) for ref in snapshot.refs if _is_about(ruleset, ref.name, head)}


def _is_about(ruleset: Ruleset, name: RefName, default: RefName) -> bool:
    return covers(ruleset.content.conditions, ruleset.content.target, name, default=default)


def _default_tip(snapshot: RefSnapshot) -> set[Oid]:
    found = snapshot.find(snapshot.state.head_target)
    return set() if found is None else {_tip(found)}


def _tip(ref: RefValue) -> Oid:
    return ref.peeled or ref.oid
