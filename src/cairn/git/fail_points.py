"""Named places where a crash test may kill, stop or break a push or maintenance; inert without a plan (``configure``).

The steps follow RELIABILITY's table of a push (S1 to S9):

======================  ===========================================================================
BEFORE_QUARANTINE       S1 done: admitted, nothing received
AFTER_QUARANTINE        S2 done: pack indexed in the quarantine
AFTER_CHECKS            S3 done: limits, closure and visibility hold
AFTER_UPLOAD_ROW        S4 done: the ``upload`` row is committed
BETWEEN_PACK_AND_INDEX  inside S5: the pack is in the object store, its index is not
AFTER_PACK              S5 done: pack and index are in the object store
BEFORE_COMMIT           S6 done: the ref transaction is written but not committed
AFTER_COMMIT            S7 done: committed, the client has not heard
AFTER_REPORT            S8 done: the client has heard "ok"
BEFORE_DISPATCH         S9: the outbox row waits, nothing is delivered
======================  ===========================================================================

Compaction passes AFTER_UPLOAD_ROW, BETWEEN_PACK_AND_INDEX and AFTER_PACK too; around them, and in what deletes:

========================  =========================================================================
COMPACTION_PACKED         the new pack is in the quarantine, verified
COMPACTION_BEFORE_COMMIT  the swap of the manifest is written but not committed
COMPACTION_AFTER_COMMIT   the new manifest is committed
UPLOADS_EXPIRED           uploads are ``expired``, their keys not yet deleted
PACKS_MARKED              condemned packs are ``deleting``, their bytes not yet deleted
PACKS_BYTES_DELETED       the bytes are gone, the rows are not
COLLECTION_PACKED         the pack of what stays and the undo pack are written and verified
COLLECTION_UPLOADED       both are in the object store
COLLECTION_BEFORE_COMMIT  the swap of the manifest is written but not committed
COLLECTION_AFTER_COMMIT   the new manifest is committed
UNDO_BYTES_DELETED        the bytes of undo packs whose time is over are gone, the rows are not
PURGE_BEFORE_COMMIT       what forbids the purged objects is written but not committed
PURGE_AFTER_COMMIT        it is committed, no pack is written anew
PURGE_UPLOADED            a pack without the purged objects is in the object store, no manifest names it
BACKUP_PINNED             what is live is pinned, nothing is read yet
BACKUP_DUMPED             the database is in files on this machine, nothing is in the target
BACKUP_COPIED             the objects are in the target, the database is not
BACKUP_BEFORE_MANIFEST    everything is in the target but the manifest
RESTORE_MARKED            the database says that it is being restored, and is empty
RESTORE_COPIED            the objects are in the object store, no row is loaded
RESTORE_LOADED            the rows are loaded, the schema is the backup's
RESTORE_BEFORE_END        everything is done, the database still says that it is being restored
========================  =========================================================================

Forks: cutting a base pack and giving a store packs of its own upload like compaction; around that:

===================  ==============================================================================
BASE_PACKED          the packs of a cut are in the quarantine, verified
BASE_BEFORE_COMMIT   the parent's new manifest is written but not committed
BASE_AFTER_COMMIT    it is committed
FORK_MADE            the fork's row is committed, it has no refs and no packs yet
FORK_SHARED          a synced fork names the parent's new packs, its branch has not moved
OWN_BEFORE_COMMIT    a store's packs of its own are written into its manifest but not committed
OWN_AFTER_COMMIT     they are committed
===================  ==============================================================================

Decisions, which must refuse when they fail:

==============  ===================================================================================
RIGHTS_READ     a door is about to read who asks and what they may do to the repository
RULES_EXAMINED  the objects of a plan are about to be examined by the rules of its repository
RULES_READ      the change of refs may be made by this actor; the rules of each ref are to be asked
==============  ===================================================================================
"""

import os
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from cairn.base.errors import CairnError


class Step(Enum):
    """A named step; the value is what ``CAIRN_FAIL_POINTS`` calls it."""

    BEFORE_QUARANTINE = "before_quarantine"
    AFTER_QUARANTINE = "after_quarantine"
    AFTER_CHECKS = "after_checks"
    AFTER_UPLOAD_ROW = "after_upload_row"
    BETWEEN_PACK_AND_INDEX = "between_pack_and_index"
    AFTER_PACK = "after_pack"
    BEFORE_COMMIT = "before_commit"
    AFTER_COMMIT = "after_commit"
    AFTER_REPORT = "after_report"
    BEFORE_DISPATCH = "before_dispatch"
    COMPACTION_PACKED = "compaction_packed"
    COMPACTION_BEFORE_COMMIT = "compaction_before_commit"
    COMPACTION_AFTER_COMMIT = "compaction_after_commit"
    UPLOADS_EXPIRED = "uploads_expired"
    PACKS_MARKED = "packs_marked"
    PACKS_BYTES_DELETED = "packs_bytes_deleted"
    COLLECTION_PACKED = "collection_packed"
    COLLECTION_UPLOADED = "collection_uploaded"
    COLLECTION_BEFORE_COMMIT = "collection_before_commit"
    COLLECTION_AFTER_COMMIT = "collection_after_commit"
    UNDO_BYTES_DELETED = "undo_bytes_deleted"
    PURGE_UPLOADED = "purge_uploaded"
    PURGE_BEFORE_COMMIT = "purge_before_commit"
    PURGE_AFTER_COMMIT = "purge_after_commit"
    BACKUP_PINNED = "backup_pinned"
    BACKUP_DUMPED = "backup_dumped"
    BACKUP_COPIED = "backup_copied"
    BACKUP_BEFORE_MANIFEST = "backup_before_manifest"
    RESTORE_MARKED = "restore_marked"
    RESTORE_COPIED = "restore_copied"
    RESTORE_LOADED = "restore_loaded"
    RESTORE_BEFORE_END = "restore_before_end"
    BASE_PACKED = "base_packed"
    BASE_BEFORE_COMMIT = "base_before_commit"
    BASE_AFTER_COMMIT = "base_after_commit"
    FORK_MADE = "fork_made"
    FORK_SHARED = "fork_shared"
    OWN_BEFORE_COMMIT = "own_before_commit"
    OWN_AFTER_COMMIT = "own_after_commit"
    RIGHTS_READ = "rights_read"
    RULES_EXAMINED = "rules_examined"
    RULES_READ = "rules_read"


class FailPointSpecInvalid(CairnError):
    """A fail point specification is not ``STEP=kill|pause|error[@N]``."""


class FailPointError(Exception):
    """Raised by ``STEP=error``: an unforeseen failure, so no CairnError."""


class _Effect(Enum):
    KILL = "kill"
    PAUSE = "pause"
    ERROR = "error"


@dataclass(slots=True)
class _Plan:
    effect: _Effect
    passes_left: int


_SPEC = re.compile(r"(?P<step>[A-Za-z_]+)=(?P<effect>[a-z]+)(?:@(?P<nth>[1-9][0-9]{0,8}))?")
# The engine's one piece of module state: a crash test reaches every place without a parameter through all of them.
_plans: dict[Step, list[_Plan]] = {}


def configure(specs: Sequence[str]) -> None:
    """Replace all plans by ``specs`` (``settings.fail_points``); FailPointSpecInvalid names a wrong one.

    ``STEP=EFFECT@N`` acts once, when the step is reached for the Nth time (default the first). ``kill`` is SIGKILL to
    this process, ``pause`` is SIGSTOP to it (SIGCONT resumes), ``error`` raises FailPointError.
    """
    plans: dict[Step, list[_Plan]] = {}
    for spec in specs:
        step, plan = _parse(spec)
        plans.setdefault(step, []).append(plan)
    _plans.clear()
    _plans.update(plans)


async def fail_point(step: Step) -> None:
    """Do nothing, unless a crash test planned an effect for this passing of ``step``."""
    if _plans:
        _reach(step)


def _parse(spec: str) -> tuple[Step, _Plan]:
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise FailPointSpecInvalid(f"fail point {spec!r} is not STEP=kill|pause|error[@N]")
    try:
        step = Step(match["step"].lower())
    except ValueError:
        steps = ", ".join(known.value for known in Step)
        raise FailPointSpecInvalid(f"fail point {spec!r}: there is no step {match['step']!r}, only {steps}") from None
    try:
        effect = _Effect(match["effect"])
    except ValueError:
        raise FailPointSpecInvalid(f"fail point {spec!r}: {match['effect']!r} is not kill, pause or error") from None
    return step, _Plan(effect, int(match["nth"] or 1))


def _reach(step: Step) -> None:
    plans = _plans.get(step, [])
    for plan in plans:
        plan.passes_left -= 1  # of all, before one of them acts
    for plan in plans:
        if plan.passes_left != 0:
            continue
        match plan.effect:
            case _Effect.KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            case _Effect.PAUSE:
                os.kill(os.getpid(), signal.SIGSTOP)
            case _Effect.ERROR:
                raise FailPointError(f"fail point {step.value} was told to fail")
