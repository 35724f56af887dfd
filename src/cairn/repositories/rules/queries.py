"""Reading rulesets: those in force for a push, and lists for those who look after them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, exists, func, literal, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import NotFound
from cairn.git.types import RefName
from cairn.repositories.models import Repository
from cairn.repositories.rules.models import RulesetRow
from cairn.repositories.rules.patterns import covers, covers_repository
from cairn.repositories.rules.types import Enforcement, Ruleset, read_content

_COLUMNS = (
    RulesetRow.id,
    RulesetRow.version,
    RulesetRow.repository_id,
    RulesetRow.owner_id,
    RulesetRow.name,
    RulesetRow.target,
    RulesetRow.enforcement,
    RulesetRow.conditions,
    RulesetRow.bypass_actors,
    RulesetRow.rules,
    RulesetRow.created_at,
    RulesetRow.updated_at,
)
_COUNTS = RulesetRow.enforcement != Enforcement.DISABLED


def has_rules(repository_id: ColumnElement[int], owner_id: ColumnElement[int]) -> ColumnElement[bool]:
    """Return whether anything may be in force or on trial there, as a column for a statement that is made anyway.

    Which of its repositories an organization's are about is not asked.
    """
    return or_(
        # uq_ruleset_repository_id_name, uq_ruleset_owner_id_name
        exists(select(literal(1)).where(RulesetRow.repository_id == repository_id, _COUNTS)),
        exists(select(literal(1)).where(RulesetRow.owner_id == owner_id, _COUNTS)),
    )


async def rules_in_force(session: AsyncSession, repository_id: int) -> list[Ruleset]:
    """Return the active rulesets of a repository and its owner, and those on trial, by id; one statement.

    A row that this program cannot read raises: whoever asks must refuse, never go on without it.
    """
    return await _read(session, Repository.id == repository_id, _COUNTS)


async def rules_of_store(session: AsyncSession, store_id: int) -> list[Ruleset]:
    """Return what ``rules_in_force`` does, for the repository of a store; none for a store without one."""
    # uq_repository_store_id
    return await _read(session, Repository.store_id == store_id, _COUNTS)


async def list_rulesets(session: AsyncSession, repository_id: int, *, includes_parents: bool = True) -> list[Ruleset]:
    """Return all rulesets about a repository, disabled ones too, its owner's unless told otherwise, by id.

    The caller has authorized.
    """
    return await _read(session, Repository.id == repository_id, includes_parents=includes_parents)


async def read_ruleset(
    session: AsyncSession, repository_id: int, ruleset_id: int, *, includes_parents: bool = True
) -> Ruleset:
    """Return one of ``list_rulesets``; NotFound if it is none of the repository's."""
    found = await list_rulesets(session, repository_id, includes_parents=includes_parents)
    return _one_of(found, ruleset_id)


async def list_rulesets_of_owner(session: AsyncSession, owner_id: int) -> list[Ruleset]:
    """Return the rulesets for what an account owns, disabled ones too, by id. The caller has authorized."""
    # uq_ruleset_owner_id_name
    rows = await session.execute(select(*_COLUMNS).where(RulesetRow.owner_id == owner_id))
    return sorted((ruleset_of(row) for row in rows), key=lambda one: one.id)


async def read_ruleset_of_owner(session: AsyncSession, owner_id: int, ruleset_id: int) -> Ruleset:
    """Return one of ``list_rulesets_of_owner``; NotFound if it is none of the account's."""
    return _one_of(await list_rulesets_of_owner(session, owner_id), ruleset_id)


def _one_of(found: Sequence[Ruleset], ruleset_id: int) -> Ruleset:
    ruleset = next((one for one in found if one.id == ruleset_id), None)
    if ruleset is None:
        raise NotFound("Not Found")
    return ruleset


async def count_rulesets(session: AsyncSession, *, repository_id: int | None, owner_id: int | None) -> int:
    """Return how many rulesets a repository, or an account for all it owns, has."""
    mine = RulesetRow.owner_id == owner_id if repository_id is None else RulesetRow.repository_id == repository_id
    return await session.scalar(select(func.count()).select_from(RulesetRow).where(mine)) or 0


def rulesets_for(rulesets: Sequence[Ruleset], name: RefName, *, default: RefName) -> list[Ruleset]:
    """Return those that are about a ref, in their order."""
    return [one for one in rulesets if covers(one.content.conditions, one.content.target, name, default=default)]


async def _read(
    session: AsyncSession, which: ColumnElement[bool], *more: ColumnElement[bool], includes_parents: bool = True
) -> list[Ruleset]:
    ways = [
        # Of the repository, primary key or uq_repository_store_id; then uq_ruleset_repository_id_name,
        # uq_ruleset_owner_id_name.
        select(*_COLUMNS, Repository.name.label("repository")).join(Repository, belongs).where(which, *more)
        for belongs in (RulesetRow.repository_id == Repository.id, RulesetRow.owner_id == Repository.owner_id)
    ]
    rows = await session.execute(union_all(*ways) if includes_parents else ways[0])
    found = [(ruleset_of(row), row.repository) for row in rows]
    about = [ruleset for ruleset, name in found if covers_repository(ruleset.content.conditions, name)]
    return sorted(about, key=lambda one: one.id)


def ruleset_of(row: Any) -> Ruleset:  # noqa: ANN401 (a row of the columns, or the mapped row)
    """Return a stored ruleset; msgspec.ValidationError for one that a newer program wrote."""
    content = read_content(
        name=row.name,
        target=row.target,
        enforcement=row.enforcement,
        conditions=row.conditions,
        bypass_actors=row.bypass_actors,
        rules=row.rules,
    )
    return Ruleset(
        id=row.id,
        version=row.version,
        repository_id=row.repository_id,
        owner_id=row.owner_id,
        content=content,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
