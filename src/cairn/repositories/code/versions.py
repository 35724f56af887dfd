"""Two versions of a series of commits, as an address names them; what compares pull requests or stacks builds on it."""

from dataclasses import dataclass

from cairn.base.errors import NotFoundHere
from cairn.git.history import Objects, is_ancestor
from cairn.git.range_diff import RangeDiff, Series, read_range_diff
from cairn.git.types import Oid, show
from cairn.repositories.api_routes import revision_named
from cairn.repositories.code.browse import Code
from cairn.repositories.code.revisions import Revision


class VersionsUnknown(NotFoundHere):
    """What was asked for names no two versions of a series."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version as somebody named it; ``base`` None where it was left out and ``series.base`` was found instead."""

    tip: Revision
    base: Revision | None
    series: Series


@dataclass(frozen=True, slots=True)
class Versions:
    """The two that are compared."""

    old: Version
    new: Version

    @property
    def permanent_name(self) -> str:
        """The comparison as an address has it whatever happens to the refs."""
        old, new = self.old.series, self.new.series
        return f"{old.base}..{old.tip}...{new.base}..{new.tip}"


async def read_versions(code: Code, address: bytes) -> Versions:
    """Return the versions of ``OLD_BASE..OLD...NEW_BASE..NEW``; no ref has two dots in its name.

    ``OLD_BASE..OLD...NEW`` takes one base for both. ``OLD...NEW`` takes the default branch, as long as it contains
    neither, else where the two parted. Errors: RevisionNotFound, VersionsUnknown.
    """
    left, marks, right = address.partition(b"...")
    old_base, old_marks, old = left.rpartition(b"..")
    new_base, new_marks, new = right.rpartition(b"..")
    has_gaps = (old_marks and not old_base) or (new_marks and not new_base) or not old or not new
    if not marks or has_gaps or any(b".." in part for part in (old_base, old, new_base, new)):
        raise VersionsUnknown(
            f"{show(address[:300])!r} names no two versions; write BASE..OLD...BASE..NEW, or OLD...NEW"
        )
    if new_marks and not old_marks:
        raise VersionsUnknown("Name the base of the old version, too, or none of the two")
    old_tip, new_tip = await revision_named(code, old), await revision_named(code, new)
    if not old_marks:
        base = await _common_base(code, old_tip, new_tip)
        return Versions(_version(old_tip, None, base), _version(new_tip, None, base))
    first = await revision_named(code, old_base)
    second = await revision_named(code, new_base) if new_marks else first
    return Versions(_version(old_tip, first, first.commit_oid), _version(new_tip, second, second.commit_oid))


def _version(tip: Revision, base: Revision | None, oid: Oid) -> Version:
    return Version(tip, base, Series(oid, tip.commit_oid))


async def _common_base(code: Code, old: Revision, new: Revision) -> Oid:
    """Return the default branch if it contains neither version, else where the two parted."""
    engine, _, view = code.parts
    default = await code.default_revision()
    if default is not None and not [
        one
        for one in (old, new)
        if await is_ancestor(engine.runner, Objects(view.path), ancestor=one.commit_oid, descendant=default.commit_oid)
    ]:
        return default.commit_oid
    found = await code.merge_base(old.commit_oid, new.commit_oid)
    if found is None:
        raise VersionsUnknown(f"{old.label} and {new.label} have no common history; name a base for each")
    return found


async def compare_versions(code: Code, versions: Versions) -> RangeDiff:
    """Return what became of each commit. Errors: SeriesTooLong, DiffTooLarge, GitTimedOut."""
    engine, state, _ = code.parts
    return await read_range_diff(engine, state, versions.old.series, versions.new.series)
