"""Making, changing and deleting rulesets.

Each takes the lock that every landing takes, so a push lands either before a change or under it.
"""

from dataclasses import dataclass

import msgspec
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize, authorize_organization
from cairn.access.scopes import RepositoryScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, FieldProblem, Invalid, NotFound
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.git.store_state import lock_stores
from cairn.identity.models import Account
from cairn.repositories.events import RulesetChanged
from cairn.repositories.models import Repository
from cairn.repositories.queries import load_scope, lock_repository
from cairn.repositories.rules.checks import check_bypass_actors, check_content, invalid
from cairn.repositories.rules.models import RulesetRow
from cairn.repositories.rules.queries import count_rulesets, ruleset_of
from cairn.repositories.rules.types import RULESETS_MAX, Ruleset, RulesetContent


class RulesetExists(Invalid):
    """A ruleset of that name is there already."""


class RulesetMoved(Conflict):
    """Somebody else changed the ruleset meanwhile."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Whose ruleset it is; one of the ids is set. ``owner_id`` of a repository's is None, ``account_id`` never."""

    repository_id: int | None
    owner_id: int | None
    account_id: int
    name: str


async def create_ruleset(session: AsyncSession, actor: Actor, repository_id: int, content: RulesetContent) -> Ruleset:
    """Give a repository a ruleset, which every landing from now on meets, and return it.

    Errors: NotFound, Forbidden; RulesetInvalid, RulesetExists.
    """
    return await _create(session, actor, await _lock_repository(session, actor, repository_id), content)


async def create_organization_ruleset(
    session: AsyncSession, actor: Actor, organization_id: int, content: RulesetContent
) -> Ruleset:
    """Give repositories of an organization, those too that come later, a ruleset. Errors as ``create_ruleset``."""
    return await _create(session, actor, await _lock_organization(session, actor, organization_id), content)


async def update_ruleset(
    session: AsyncSession,
    actor: Actor,
    repository_id: int,
    ruleset_id: int,
    content: RulesetContent,
    *,
    expected_version: int | None = None,
) -> Ruleset:
    """Replace a ruleset of the repository and return it as it is then; what is its owner's is NotFound here.

    ``expected_version`` is what the editor saw. Errors: NotFound, Forbidden; RulesetInvalid, RulesetExists,
    RulesetMoved.
    """
    place = await _lock_repository(session, actor, repository_id)
    return await _update(session, actor, place, ruleset_id, content, expected_version)


async def update_organization_ruleset(
    session: AsyncSession,
    actor: Actor,
    organization_id: int,
    ruleset_id: int,
    content: RulesetContent,
    *,
    expected_version: int | None = None,
) -> Ruleset:
    """Replace a ruleset of an organization. Errors as ``update_ruleset``."""
    place = await _lock_organization(session, actor, organization_id)
    return await _update(session, actor, place, ruleset_id, content, expected_version)


async def delete_ruleset(session: AsyncSession, actor: Actor, repository_id: int, ruleset_id: int) -> None:
    """Forget a ruleset of the repository. Errors: NotFound, Forbidden."""
    await _delete(session, actor, await _lock_repository(session, actor, repository_id), ruleset_id)


async def delete_organization_ruleset(
    session: AsyncSession, actor: Actor, organization_id: int, ruleset_id: int
) -> None:
    """Forget a ruleset of an organization. Errors: NotFound, Forbidden."""
    await _delete(session, actor, await _lock_organization(session, actor, organization_id), ruleset_id)


async def _lock_repository(session: AsyncSession, actor: Actor, repository_id: int) -> _Place:
    repository, _ = await lock_repository(session, repository_id)

    async def load(session: AsyncSession, actor: Actor) -> RepositoryScope | None:
        return await load_scope(session, actor, repository_id)

    await authorize(session, actor, Action.REPOSITORY_ADMINISTER, load)
    return _Place(repository_id, None, repository.owner_id, repository.name)


async def _lock_organization(session: AsyncSession, actor: Actor, organization_id: int) -> _Place:
    await authorize_organization(session, actor, Action.ORGANIZATION_EDIT, organization_id)
    # Every landing in any of its repositories is before this change or after it; in id order, as whoever locks several.
    stores = await session.scalars(
        select(Repository.store_id).where(Repository.owner_id == organization_id).order_by(Repository.store_id)
    )
    await lock_stores(session, list(stores))
    account = await session.get_one(Account, organization_id)
    return _Place(None, organization_id, organization_id, account.login)


async def _create(session: AsyncSession, actor: Actor, place: _Place, content: RulesetContent) -> Ruleset:
    content = await _checked(session, place, content)
    if await count_rulesets(session, repository_id=place.repository_id, owner_id=place.owner_id) >= RULESETS_MAX:
        raise invalid("rules", f"There are {RULESETS_MAX} rulesets already; delete one or add to it.")
    at = await database_now(session)
    row = RulesetRow(
        repository_id=place.repository_id, owner_id=place.owner_id, version=1, created_at=at, updated_at=at
    )
    _fill(row, content)
    await _refuse_same_name(session, place, content, None)
    session.add(row)
    await _flush(session, content)
    _note(session, actor, place, row, "created", None, content)
    return ruleset_of(row)


async def _update(
    session: AsyncSession,
    actor: Actor,
    place: _Place,
    ruleset_id: int,
    content: RulesetContent,
    expected_version: int | None,
) -> Ruleset:
    row = await _row(session, place, ruleset_id)
    if expected_version not in {None, row.version}:
        raise RulesetMoved(f"Somebody else changed {row.name!r} meanwhile; look at it again and repeat your change.")
    before = ruleset_of(row).content
    content = await _checked(session, place, content)
    if content == before:
        return ruleset_of(row)
    await _refuse_same_name(session, place, content, row.id)
    _fill(row, content)
    row.version += 1
    row.updated_at = await database_now(session)
    await _flush(session, content)
    _note(session, actor, place, row, "edited", before, content)
    return ruleset_of(row)


async def _delete(session: AsyncSession, actor: Actor, place: _Place, ruleset_id: int) -> None:
    row = await _row(session, place, ruleset_id)
    before = ruleset_of(row).content
    await session.delete(row)
    await session.flush()
    _note(session, actor, place, row, "deleted", before, None)


async def _checked(session: AsyncSession, place: _Place, content: RulesetContent) -> RulesetContent:
    content = check_content(content, is_organizations=place.repository_id is None)
    await check_bypass_actors(
        session, content.bypass_actors, repository_id=place.repository_id, owner_id=place.account_id
    )
    return content


async def _row(session: AsyncSession, place: _Place, ruleset_id: int) -> RulesetRow:
    row = await session.get(RulesetRow, ruleset_id, populate_existing=True)
    if row is None or (row.repository_id, row.owner_id) != (place.repository_id, place.owner_id):
        raise NotFound("Not Found")
    return row


def _fill(row: RulesetRow, content: RulesetContent) -> None:
    row.name, row.target, row.enforcement = content.name, content.target, content.enforcement
    row.conditions = msgspec.to_builtins(content.conditions)
    row.bypass_actors = msgspec.to_builtins(content.bypass_actors)
    row.rules = msgspec.to_builtins(content.rules)


async def _refuse_same_name(session: AsyncSession, place: _Place, content: RulesetContent, own_id: int | None) -> None:
    # uq_ruleset_repository_id_name, uq_ruleset_owner_id_name
    mine = (
        RulesetRow.owner_id == place.owner_id
        if place.repository_id is None
        else RulesetRow.repository_id == place.repository_id
    )
    found = await session.scalar(select(RulesetRow.id).where(mine, RulesetRow.name == content.name))
    if found is not None and found != own_id:
        raise _exists(content.name)


async def _flush(session: AsyncSession, content: RulesetContent) -> None:
    try:
        await session.flush()
    except IntegrityError:
        raise _exists(content.name) from None


def _exists(name: str) -> RulesetExists:
    message = f"There is a ruleset {name[:100]!r} already; choose another name."
    return RulesetExists(message, FieldProblem("name", "already_exists", message, "Ruleset"))


def _note(
    session: AsyncSession,
    actor: Actor,
    place: _Place,
    row: RulesetRow,
    what: str,
    before: RulesetContent | None,
    after: RulesetContent | None,
) -> None:
    emit(
        session,
        RulesetChanged(
            repository_id=place.repository_id,
            owner_id=place.account_id,
            ruleset_id=row.id,
            name=row.name,
            change=what,
            actor_id=actor.account_id,
        ),
    )
    olds, news = _texts(before), _texts(after)
    record(
        session,
        actor,
        f"ruleset.{_VERBS[what]}",
        row.name,
        repository_id=place.repository_id,
        account_id=place.owner_id,
        details={"ruleset": str(row.id), "of": place.name},
        changes={key: (olds[key], news[key]) for key in olds if olds[key] != news[key]},
    )


_VERBS = {"created": "create", "edited": "update", "deleted": "delete"}


def _texts(content: RulesetContent | None) -> dict[str, str]:
    names = RulesetContent.__struct_fields__
    if content is None:
        return dict.fromkeys(names, "")
    found = msgspec.to_builtins(content)
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode() for name, value in found.items()
    }
