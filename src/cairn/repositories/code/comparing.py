"""Two revisions compared: what one has that the other has not, in commits and in files."""

from dataclasses import dataclass

from cairn.base.errors import NotFoundHere
from cairn.git.diff import Diff, DiffBounds
from cairn.git.types import Oid, show
from cairn.repositories.api_routes import revision_named
from cairn.repositories.code.browse import Code
from cairn.repositories.code.revisions import Revision


class ComparisonUnknown(NotFoundHere):
    """What was asked for is no comparison of two revisions with a common history."""


@dataclass(frozen=True, slots=True)
class Sides:
    """What is compared. ``is_direct`` (two dots): the two as they are; else what ``head`` did since they parted."""

    base: Revision
    head: Revision
    is_direct: bool

    @property
    def name(self) -> bytes:
        """The comparison as an address has it."""
        return self.base.name + (b".." if self.is_direct else b"...") + self.head.name


@dataclass(frozen=True, slots=True)
class Relation:
    """How two revisions lie to each other. ``old`` is what the files are compared with: the base itself, or the commit
    where the two parted."""

    sides: Sides
    old: Oid
    merge_base: Oid | None
    ahead: int
    behind: int

    @property
    def status(self) -> str:
        """GitHub's word for how the head lies to the base."""
        if self.ahead and self.behind:
            return "diverged"
        return "ahead" if self.ahead else "behind" if self.behind else "identical"


@dataclass(frozen=True, slots=True)
class Comparison(Relation):
    """Two revisions with what differs in their files."""

    diff: Diff


async def read_sides(code: Code, address: bytes) -> Sides:
    """Return what ``base...head``, ``base..head`` or ``head`` (from the default branch) compares.

    No ref has two dots in its name. Errors: RevisionNotFound, ComparisonUnknown.
    """
    marks = b"..." if b"..." in address else b".."
    base, found, head = address.partition(marks) if marks in address else (b"", b"", address)
    if b".." in head or (found and not (base and head)):
        raise ComparisonUnknown(f"{show(address[:200])!r} is no comparison; write BASE...HEAD")
    return Sides(await revision_named(code, base), await revision_named(code, head), found == b"..")


async def relate(code: Code, sides: Sides) -> Relation:
    """Return how two revisions lie to each other. Errors: ComparisonUnknown for unrelated histories."""
    old, merge_base = await where_parted(code, sides)
    ahead, behind = await code.ahead_behind(sides.head.commit_oid, sides.base.commit_oid)
    return Relation(sides, old, merge_base, ahead, behind)


async def where_parted(code: Code, sides: Sides) -> tuple[Oid, Oid | None]:
    """Return what the files of ``head`` are compared with, and the merge base if there is one. Errors: relate's."""
    merge_base = await code.merge_base(sides.base.commit_oid, sides.head.commit_oid)
    old = sides.base.commit_oid if sides.is_direct else merge_base
    if old is None:
        raise ComparisonUnknown(
            f"{sides.base.label} and {sides.head.label} have no common history; compare them with two dots"
        )
    return old, merge_base


async def compare(code: Code, sides: Sides, *, skip_files: int = 0, bounds: DiffBounds | None = None) -> Comparison:
    """Return the relation with a slice of the files that differ. Errors: relate's."""
    found = await relate(code, sides)
    diff = await code.diff_between(found.old, sides.head.commit_oid, skip_files=skip_files, bounds=bounds)
    return Comparison(found.sides, found.old, found.merge_base, found.ahead, found.behind, diff)
