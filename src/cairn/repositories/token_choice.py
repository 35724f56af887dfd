"""The repositories that tokens reach, by name: for the pages that choose and show them."""

from collections.abc import Collection

from sqlalchemy import false, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.visible import visible
from cairn.base.actor import Actor
from cairn.repositories.models import ACCESS_COLUMNS, Repository

MATCHES_MAX = 20
"""More matches than this are not offered: the text says more then."""


async def repositories_for_token(
    session: AsyncSession, actor: Actor, owner_id: int, text: str, chosen: frozenset[int]
) -> list[tuple[int, str]]:
    """Return id and name of an owner's repositories: those chosen already, and the first whose name has the text.

    Only what the actor may see; by name, the chosen ones first.
    """
    is_chosen = Repository.id.in_(sorted(chosen))
    # No name has what cannot be printed, and PostgreSQL takes no NUL.
    matches = Repository.name_key.contains(text.strip().lower(), autoescape=True) if text.isprintable() else false()
    # uq_repository_owner_id_name_key
    rows = await session.execute(
        select(Repository.id, Repository.name)
        .where(
            Repository.owner_id == owner_id,
            or_(is_chosen, matches),
            visible(actor, Action.REPOSITORY_SEE, ACCESS_COLUMNS),
        )
        .order_by(is_chosen.desc(), Repository.name_key)
        .limit(len(chosen) + MATCHES_MAX)
    )
    return [(repository_id, name) for repository_id, name in rows]


async def repository_names(
    session: AsyncSession, actor: Actor, owner_id: int, repository_ids: Collection[int]
) -> dict[int, str]:
    """Return the names of those of an owner's repositories that the actor may see, by id, in the order of the names."""
    # Primary key of repository.
    rows = await session.execute(
        select(Repository.id, Repository.name)
        .where(
            Repository.id.in_(sorted(repository_ids)),
            Repository.owner_id == owner_id,
            visible(actor, Action.REPOSITORY_SEE, ACCESS_COLUMNS),
        )
        .order_by(Repository.name_key)
    )
    return {repository_id: name for repository_id, name in rows}  # noqa: C416 (rows are no pairs to mypy)
