"""The second store of a repository: made when somebody who may write the wiki first wants to."""

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.git.store_state import insert_store
from cairn.identity.authenticate import refresh_actor
from cairn.repositories.queries import load_scope, lock_repository
from cairn.repositories.wiki.access import require_wiki_edit

WIKI_BRANCH = b"refs/heads/main"
"""Where pages are until a first push brings another branch (``landing``)."""


class NoWiki(NotFound):
    """The repository has no wiki, or it is switched off: the same as if there never had been one."""

    def __init__(self) -> None:
        super().__init__("This repository has no wiki.")


async def ensure_wiki_store(session: AsyncSession, actor: Actor, repository_id: int) -> int:
    """The repository's wiki has a store, empty if it is new; return its id.

    Two who come at once get the same one: the repository's lock decides. Errors: NotFound, NoWiki, Unauthenticated,
    Forbidden.
    """
    repository, _ = await lock_repository(session, repository_id)
    now_actor = await refresh_actor(session, actor)
    scope = await load_scope(session, now_actor, repository_id)
    if scope is None:
        raise NotFound("Not Found")
    require_wiki_edit(now_actor, scope, is_open=repository.is_wiki_open)
    if not repository.has_wiki:
        raise NoWiki
    if repository.wiki_store_id is None:
        repository.wiki_store_id = await insert_store(session, WIKI_BRANCH)
        record(session, now_actor, "wiki.create", repository.name, repository_id=repository_id)
        await session.flush()
    return repository.wiki_store_id
