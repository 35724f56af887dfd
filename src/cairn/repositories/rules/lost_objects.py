"""Large objects that a change of refs names and its repository does not have: refused by every door.

Only files that the change brings are read, and of those only the ones as small as a pointer. Who has sent the objects
first, as git-lfs does, notices nothing. What was here before may name what it likes.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from cairn.db.database import Database, PointQuery
from cairn.git.commands import GitCommand
from cairn.git.history import Objects
from cairn.git.object_check import SMALL_FILE_BYTES
from cairn.git.ref_transaction import Finding, RefUpdate
from cairn.git.runner import GitRunner
from cairn.git.staging import Waiting
from cairn.git.types import Oid, RefName, show
from cairn.lfs.objects import StoredObject, find_objects, note_wanted
from cairn.lfs.pointers import Pointer, pointers_among

LOST_OBJECTS = "lost objects"
"""Under this key an update has among its findings which large objects are not here; absent where none is lost."""

ADVICE = "send them first: git lfs push --all <remote>"
TOLD_MAX = 10
"""Objects that are named one by one."""

_PATH_BYTES_MAX = 300

# uq_repository_store_id. A wiki's store is nobody's here: wikis have no large objects, and their pages no rules.
_WHOSE = PointQuery("SELECT r.id FROM repository r WHERE r.store_id = :store")


@dataclass(frozen=True, slots=True)
class _Lost:
    """A pointer of which the object is not here, or has another size there."""

    pointer: Pointer
    has: StoredObject | None

    def at(self, path: bytes) -> str:
        """Say which it is, and where."""
        size = f"{self.pointer.size_bytes:,} bytes"
        what = size if self.has is None else f"{size}, where the object has {self.has.size:,}"
        return f"{show(path)[:_PATH_BYTES_MAX]} ({self.pointer.sha256}, {what})"


async def find_lost_objects(
    runner: GitRunner, database: Database, waiting: Waiting
) -> Mapping[RefName, Sequence[Finding]]:
    """Return what each update would have of pointers to objects that are not here; updates without any are absent.

    The objects that are here stay so while the change is under way: they count as wanted just now.
    """
    quarantine = waiting.quarantine
    objects = Objects(quarantine.path, quarantine.alternates)
    pointers = await pointers_among(runner, objects, waiting.small_files)
    # An empty file has no object: git-lfs leaves it as it is.
    wanted = {oid: pointer for oid, pointer in pointers.items() if pointer.size_bytes}
    if not wanted:
        return {}
    whose = await database.fetch(_WHOSE, store=waiting.snapshot.state.id)
    if whose is None:
        return {}
    here = await _find(database, int(whose["id"]), {pointer.sha256 for pointer in wanted.values()})
    lost = {
        oid: _Lost(pointer, has)
        for oid, pointer in wanted.items()
        if (has := here.get(pointer.sha256)) is None or has.size != pointer.size_bytes
    }
    found: dict[RefName, Sequence[Finding]] = {}
    for update in waiting.updates if lost else ():
        if update.is_deletion or update.is_passing:
            continue
        paths = await _paths(runner, objects, update, waiting, lost.keys())
        if paths:
            found[update.name] = _told([lost[oid].at(path) for oid, path in paths.items()])
    return found


async def _find(database: Database, repository_id: int, oids: Collection[str]) -> dict[str, StoredObject]:
    """Return the objects that are here and, noted as wanted, stay until the push is over."""
    async with database.read() as session:
        found = await find_objects(session, repository_id, oids)
    if not await note_wanted(database, repository_id, found.values()):
        return found
    # One may have been collected between the look and the note.
    async with database.read() as session:
        return await find_objects(session, repository_id, oids)


async def _paths(
    runner: GitRunner, objects: Objects, update: RefUpdate, waiting: Waiting, lost: Collection[Oid]
) -> dict[Oid, bytes]:
    """Return where an update has what is lost and no ref had it before: one walk, only where something is refused."""
    known = {ref.oid for ref in waiting.snapshot.refs}
    command = GitCommand(
        name="rev-list",
        options=(
            *("--objects", "--stdin"),
            *(f"--filter=blob:limit={SMALL_FILE_BYTES.stop}", "--filter=object:type=blob"),
        ),
    )
    stdin = f"{update.new}\n" + "".join(f"^{oid}\n" for oid in sorted(known))
    paths: dict[Oid, bytes] = {}
    async with runner.spawn(
        command, git_dir=objects.git_dir, alternates=objects.alternates, stdin=stdin.encode("ascii")
    ) as child:
        async for lines in child.line_batches():
            for line in lines:
                oid, _, path = line.partition(b" ")
                if (name := Oid(oid.decode("ascii"))) in lost:
                    paths.setdefault(name, path)
        await child.finish()
    return paths


def _told(sentences: Sequence[str]) -> list[Finding]:
    told = [Finding(0, sentence) for sentence in sentences[:TOLD_MAX]]
    if len(sentences) > TOLD_MAX:
        told.append(Finding(0, f"and {len(sentences) - TOLD_MAX:,} more"))
    return told


def lost_objects(updates: Sequence[RefUpdate]) -> dict[RefName, Sequence[Finding]]:
    """Return of the updates those that name lost objects, and which."""
    return {update.name: update.findings[LOST_OBJECTS] for update in updates if update.findings.get(LOST_OBJECTS)}


def why_refused(found: Sequence[Finding]) -> str:
    """Return the reason in one sentence."""
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return f"Git LFS objects are not here: {found[0].message}{more}; {ADVICE}"


def lost_lines(lost: Mapping[RefName, Sequence[Finding]]) -> list[str]:
    """Return what the pusher's terminal says of it."""
    lines = []
    for name, found in lost.items():
        lines += ["", f"{show(name)} is refused: its files point to Git LFS objects that are not here:"]
        lines += [f"  {one.message}" for one in found]
        lines.append(f"  {ADVICE[0].upper()}{ADVICE[1:]}")
    return lines
