"""What large objects ask of a repository: may this actor do that to it, in this transaction."""

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import RepositoryScope
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.identity.authenticate import refresh_actor
from cairn.lfs.authorization import Authorize
from cairn.repositories.git_access import GitTarget
from cairn.repositories.queries import load_scope


class NoLargeFiles(NotFound):
    """Wikis keep no large objects of their own."""


def refuse_wiki(target: GitTarget) -> None:
    """Return unless it is a wiki: NoLargeFiles says that those have none."""
    if target.is_wiki:
        raise NoLargeFiles("A wiki keeps no files with Git LFS; commit them as they are.")


def make_authorize(actor: Actor, repository_id: int) -> Authorize:
    """Return what ``cairn.lfs`` asks before it changes something; actor, role and repository are read again there."""

    async def load(session: AsyncSession, actor: Actor) -> RepositoryScope | None:
        return await load_scope(session, actor, repository_id)

    async def require(session: AsyncSession, action: Action) -> Actor:
        now_actor = await refresh_actor(session, actor)
        await authorize(session, now_actor, action, load)
        return now_actor

    return require
