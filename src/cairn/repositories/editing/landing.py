"""The last step of everything the server writes itself: the plan lands, or its caller learns which rule refused it."""

from cairn.base.actor import Actor
from cairn.base.errors import Invalid
from cairn.git.engine import Engine
from cairn.git.landing import Staged
from cairn.git.ref_names import check_ref_name, is_reserved
from cairn.git.ref_transaction import STALE, RefOutcome
from cairn.git.types import RefName, show
from cairn.repositories.accept_push import Within, make_within
from cairn.repositories.queries import BRANCH_PREFIX


class RefRefused(Invalid):
    """A rule of the repository refuses the change of a ref; ``reason`` is what the rule says."""

    def __init__(self, name: RefName, reason: str) -> None:
        super().__init__(f"{short_ref(name)} was not changed: {reason}")
        self.name = name
        self.reason = reason


class RefReserved(Invalid):
    """A ref that only Cairn writes."""


async def land_change(
    engine: Engine,
    staged: Staged,
    actor: Actor,
    repository_id: int,
    *,
    push_id: str,
    within: Within | None = None,
) -> list[RefOutcome] | None:
    """Land a plan of all or nothing and return its outcomes; None if a ref was not where the plan saw it.

    ``within`` decides where the store is not the repository's own but its wiki's.
    Errors: RefRefused; Forbidden and NotFound, judged once more under the store's lock; the engine's.
    """
    outcomes = await engine.land(
        staged, push_id=push_id, actor=actor.label, within=within or make_within(actor, repository_id)
    )
    refused = [outcome for outcome in outcomes if not outcome.moved]
    if any(outcome.refusal == STALE for outcome in refused):
        return None
    # Of an atomic plan the others only say that one was refused.
    for outcome in sorted(refused, key=lambda outcome: outcome.refusal.startswith("atomic push failed")):
        raise RefRefused(outcome.name, outcome.refusal)
    return list(outcomes)


def require_writable(engine: Engine, name: RefName) -> None:
    """Return if people may have a ref of that name; RefNameInvalid, RefReserved."""
    check_ref_name(name, max_bytes=engine.settings.max_ref_name_bytes)
    if is_reserved(name):
        raise RefReserved(f"{show(name)} is reserved for Cairn; choose another name.")


def short_ref(name: RefName) -> str:
    """Return a branch by its short name, any other ref by its whole name."""
    return show(name.removeprefix(BRANCH_PREFIX))
