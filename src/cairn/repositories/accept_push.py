"""What every change of refs meets, by whatever door: may this actor push, here, now, to each of these refs.

``begin_push`` refuses early, before a client sends its pack; ``make_within`` decides again under the store's lock,
where nothing can change any more, and is what counts.
"""

import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from enum import Enum, auto
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.decide import require_allowed
from cairn.access.scopes import RepositoryScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import Forbidden, NotFound
from cairn.base.settings import Settings
from cairn.db.clock import now
from cairn.events.emit import emit
from cairn.git.fail_points import Step, fail_point
from cairn.git.models import Store
from cairn.git.receive_pack import PushBy
from cairn.git.ref_transaction import RefOutcome, RefUpdate
from cairn.git.types import RefName, show
from cairn.identity.authenticate import refresh_actor
from cairn.repositories.audited_refs import audited_refs
from cairn.repositories.branch_renames import end_redirects
from cairn.repositories.events import Pushed
from cairn.repositories.git_access import GitTarget
from cairn.repositories.languages.recorded import ask_for_count
from cairn.repositories.mirrors.guard import ask_for_push_mirrors, has_push_mirrors, refuse_mirrored
from cairn.repositories.models import Repository
from cairn.repositories.queries import BRANCH_PREFIX, load_scope
from cairn.repositories.releases.retract import retract_releases
from cairn.repositories.rules.apply import apply_rules, rule_lines
from cairn.repositories.rules.judge import Verdict
from cairn.repositories.rules.lost_objects import lost_lines, lost_objects
from cairn.repositories.rules.queries import has_rules
from cairn.repositories.wiki.landing import make_wiki_within

Transport = Literal["http", "ssh"]
Within = Callable[[AsyncSession, Sequence[RefUpdate]], Awaitable[dict[RefName, str]]]


class Arrival(Enum):
    """How what lands got here."""

    PUSHED = auto()
    """Somebody made it, and has the large objects that it names."""
    SYNCED = auto()
    """A fork gets what its parent has, which a rule may let through."""
    COPIED = auto()
    """Its large objects come after it, or are lost where it is from."""
    MIRRORED = auto()
    """As copied, to refs that follow another repository and that nobody else may change."""


class TransportClosed(Forbidden):
    """The operator does not accept pushes through this door."""


def begin_push(target: GitTarget, *, transport: Transport, settings: Settings) -> None:
    """Return if the push may be received at all: by this door, by this actor, into this repository.

    Errors: TransportClosed with the door to use; NotFound, Unauthenticated or Forbidden with the reason.
    """
    verdict = target.decide(Action.REPOSITORY_PUSH)
    if not verdict.may_see:
        raise NotFound("Not Found")
    require_allowed(target.actor, verdict)
    if transport not in settings.push_transports:
        open_door = {"http": "SSH", "ssh": "HTTP"}[transport]
        raise TransportClosed(
            f"This installation takes pushes over {open_door} only; "
            f"give git the repository's {open_door} address with: git remote set-url --push"
        )


def push_by(target: GitTarget, *, settings: Settings) -> PushBy:
    """Return what the engine's receive-pack wants to know of a pusher."""

    verdicts = [Verdict()]

    async def remarks(outcomes: Sequence[RefOutcome]) -> list[str]:
        said = rule_lines(verdicts[-1], page=f"{settings.origin}/{target.full_name}/rules")
        said += lost_lines(verdicts[-1].lost_objects)
        return said + remote_messages(target, outcomes, origin=settings.origin)

    if target.is_wiki:
        within = make_wiki_within(target.actor, target.repository_id)
    else:
        within = make_within(target.actor, target.repository_id, tell=verdicts.append)
    variables = {
        "CAIRN_ACTOR": target.actor.label,
        "CAIRN_REPOSITORY": target.full_name,
        "CAIRN_REPOSITORY_ID": str(target.repository_id),
        "CAIRN_VISIBILITY": target.scope.visibility.value,
    }
    return PushBy(actor=target.actor.label, within=within, remarks=remarks, variables=variables)


def make_within(
    actor: Actor,
    repository_id: int,
    *,
    arrival: Arrival = Arrival.PUSHED,
    tell: Callable[[Verdict], None] | None = None,
) -> Within:
    """Return the callback of ``engine.land``: authorize now, apply the rules to each ref, note the push, emit.

    ``tell`` hears what the rules say. It reads actor, grant and repository again, under the store's lock that settings
    changes take too: who was suspended, or lost the token or the role, or whose repository was archived while the pack
    was on its way, is refused. It may run again after a lost lock, and changes nothing outside its session.
    """

    async def within(session: AsyncSession, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
        now_actor = await refresh_actor(session, actor)

        async def load(session: AsyncSession, actor: Actor) -> RepositoryScope | None:
            return await load_scope(session, actor, repository_id)

        scope = await authorize(session, now_actor, Action.REPOSITORY_PUSH, load)
        await fail_point(Step.RULES_READ)
        repository, is_ruled, has_followers = await _read_repository(session, repository_id)
        store = await session.get_one(Store, repository.store_id)
        head_target = bytes(store.head_target)
        refusals = refuse_refs(updates, head_target=head_target)
        if repository.mirror_url and arrival is not Arrival.MIRRORED:
            refusals |= await refuse_mirrored(session, repository, updates, head_target=head_target)
        asked = [change for change in updates if change.name not in refusals]
        verdict = Verdict()
        if is_ruled:
            is_sync = arrival is Arrival.SYNCED
            verdict = await apply_rules(
                session, now_actor, scope, repository, asked, head_target=head_target, is_sync=is_sync
            )
        if arrival is Arrival.PUSHED and not repository.allows_lost_lfs:
            verdict = replace(verdict, lost_objects=lost_objects(asked))
        refusals |= verdict.refusals
        if tell is not None:
            tell(verdict)
        moving = [change for change in updates if change.name not in refusals]
        if moving:
            await _note(session, now_actor, repository, moving)
            if has_followers:
                await ask_for_push_mirrors(session, repository_id)
        await end_redirects(session, repository_id, moving)
        await retract_releases(session, now_actor, repository_id, moving)
        if any(change.name == bytes(store.head_target) for change in moving):
            await ask_for_count(session, repository_id)
        return refusals

    return within


async def _read_repository(session: AsyncSession, repository_id: int) -> tuple[Repository, bool, bool]:
    """Return the repository as it is now, whether it has rules in force or on trial, and whether it has push mirrors:
    one statement for all.
    """
    row = await session.execute(
        # Primary key of repository.
        select(
            Repository,
            has_rules(Repository.id.expression, Repository.owner_id.expression),
            has_push_mirrors(Repository.id.expression),
        )
        .where(Repository.id == repository_id)
        .execution_options(populate_existing=True)
    )
    repository, is_ruled, has_followers = row.one()
    return repository, bool(is_ruled), bool(has_followers)


def refuse_refs(updates: Sequence[RefUpdate], *, head_target: RefName) -> dict[RefName, str]:
    """Return which refs may not go whatever the rules, and why; an absent name may."""
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
    details = audited_refs(moving)
    record(session, actor, "repository.push", repository.name, repository_id=repository.id, details=details)


def remote_messages(target: GitTarget, outcomes: Sequence[RefOutcome], *, origin: str) -> list[str]:
    """Return what the pusher's terminal shows after refs moved (``remote:`` comes from git); often nothing.

    A first push learns where to look. Pull requests will add a line for a new branch here.
    """
    is_first = target.state.ref_version == 0
    if is_first and any(outcome.moved for outcome in outcomes):
        page = f"{target.owner}/{target.name}/wiki" if target.is_wiki else target.full_name
        return ["", f"See this {'wiki' if target.is_wiki else 'repository'} at:", f"  {origin}/{page}", ""]
    return []


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
