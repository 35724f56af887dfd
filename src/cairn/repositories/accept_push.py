"""What every change of refs meets, by whatever door: may this actor push, here, now, to each of these refs.

``begin_push`` refuses early, before a client sends its pack; ``make_within`` decides again under the store's lock,
where nothing can change any more, and is what counts.
"""

import base64
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.decide import require
from cairn.access.scopes import RepositoryScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import Forbidden
from cairn.base.settings import Settings
from cairn.db.clock import now
from cairn.events.emit import emit
from cairn.git.fail_points import Step, fail_point
from cairn.git.models import Store
from cairn.git.receive_pack import PushBy
from cairn.git.ref_transaction import RefOutcome, RefUpdate
from cairn.git.types import RefName, show
from cairn.identity.authenticate import refresh_actor
from cairn.repositories.events import Pushed
from cairn.repositories.git_access import GitTarget
from cairn.repositories.languages.recorded import ask_for_count
from cairn.repositories.models import Repository
from cairn.repositories.queries import BRANCH_PREFIX, load_scope

Transport = Literal["http", "ssh"]
Within = Callable[[AsyncSession, Sequence[RefUpdate]], Awaitable[dict[RefName, str]]]

_AUDITED_REFS_MAX = 20
"""Refs an audit row names; the events have all."""


class TransportClosed(Forbidden):
    """The operator does not accept pushes through this door."""


def begin_push(target: GitTarget, *, transport: Transport, settings: Settings) -> None:
    """Return if the push may be received at all: by this door, by this actor, into this repository.

    Errors: TransportClosed with the door to use; NotFound, Unauthenticated or Forbidden with the reason.
    """
    require(target.actor, Action.REPOSITORY_PUSH, target.scope)
    if transport not in settings.push_transports:
        open_door = {"http": "SSH", "ssh": "HTTP"}[transport]
        raise TransportClosed(
            f"This installation takes pushes over {open_door} only; "
            f"give git the repository's {open_door} address with: git remote set-url --push"
        )


def push_by(target: GitTarget, *, settings: Settings) -> PushBy:
    """Return what the engine's receive-pack wants to know of a pusher."""

    async def remarks(outcomes: Sequence[RefOutcome]) -> list[str]:
        return remote_messages(target, outcomes, origin=settings.origin)

    within = make_within(target.actor, target.repository_id)
    variables = {
        "CAIRN_ACTOR": target.actor.label,
        "CAIRN_REPOSITORY": target.full_name,
        "CAIRN_REPOSITORY_ID": str(target.repository_id),
        "CAIRN_VISIBILITY": target.scope.visibility.value,
    }
    return PushBy(actor=target.actor.label, within=within, remarks=remarks, variables=variables)


def make_within(actor: Actor, repository_id: int) -> Within:
    """Return the callback of ``engine.land``: authorize now, apply the rules to each ref, note the push, emit.

    It reads actor, grant and repository again, under the store's lock that settings changes take too: who was
    suspended, or lost the token or the role, or whose repository was archived while the pack was on its way, is
    refused. It may run again after a lost lock, and changes nothing outside its session.
    """

    async def within(session: AsyncSession, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
        now_actor = await refresh_actor(session, actor)

        async def load(session: AsyncSession, actor: Actor) -> RepositoryScope | None:
            return await load_scope(session, actor, repository_id)

        await authorize(session, now_actor, Action.REPOSITORY_PUSH, load)
        await fail_point(Step.RULES_READ)
        repository = await session.get_one(Repository, repository_id, populate_existing=True)
        store = await session.get_one(Store, repository.store_id)
        refusals = refuse_refs(updates, head_target=bytes(store.head_target))
        moving = [change for change in updates if change.name not in refusals]
        if moving:
            await _note(session, now_actor, repository, moving)
        if any(change.name == bytes(store.head_target) for change in moving):
            await ask_for_count(session, repository_id)
        return refusals

    return within


def refuse_refs(updates: Sequence[RefUpdate], *, head_target: RefName) -> dict[RefName, str]:
    """Return why each ref may not move, a sentence each; an absent name may. Branch protection will stand here."""
    return {
        change.name: (
            f"{show(change.name.removeprefix(BRANCH_PREFIX))} is the default branch; "
            "choose another one in the repository's settings before you delete it"
        )
        for change in updates
        if change.is_deletion and change.name == head_target
    }


async def _note(session: AsyncSession, actor: Actor, repository: Repository, moving: Sequence[RefUpdate]) -> None:
    await session.execute(
        update(Repository)
        .where(Repository.id == repository.id)
        .values(pushed_at=now())
        .execution_options(synchronize_session=False)
    )
    for change in moving:
        emit(
            session,
            Pushed(
                repository_id=repository.id,
                ref=change.name.decode("utf-8", "replace"),
                old_oid=change.old,
                new_oid=change.new,
                actor_id=actor.account_id,
                actor=actor.label,
                ref_base64="" if _is_utf8(change.name) else base64.b64encode(change.name).decode(),
            ),
        )
    details = {show(change.name): f"{change.old} {change.new}" for change in moving[:_AUDITED_REFS_MAX]}
    if len(moving) > _AUDITED_REFS_MAX:
        details["more"] = str(len(moving) - _AUDITED_REFS_MAX)
    record(session, actor, "repository.push", repository.name, repository_id=repository.id, details=details)


def remote_messages(target: GitTarget, outcomes: Sequence[RefOutcome], *, origin: str) -> list[str]:
    """Return what the pusher's terminal shows after refs moved (``remote:`` comes from git); often nothing.

    A first push learns where to look. Pull requests will add a line for a new branch here.
    """
    is_first = target.state.ref_version == 0
    if is_first and any(outcome.moved for outcome in outcomes):
        return ["", "See this repository at:", f"  {origin}/{target.full_name}", ""]
    return []


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
