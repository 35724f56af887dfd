"""What every change of a wiki's refs meets, by whatever door: the counterpart of ``accept_push`` for its store.

Rules of the repository's branches do not hold for its wiki, which has branches of its own.
"""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import NotFound
from cairn.events.emit import emit
from cairn.git.models import Ref, Store
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import RefName
from cairn.identity.authenticate import refresh_actor
from cairn.repositories.audited_refs import audited_refs
from cairn.repositories.models import Repository
from cairn.repositories.queries import BRANCH_PREFIX, load_scope
from cairn.repositories.wiki.access import require_wiki_edit
from cairn.repositories.wiki.events import WikiChanged
from cairn.repositories.wiki.stores import NoWiki

Also = Callable[[AsyncSession], Awaitable[None]]
WikiWithin = Callable[[AsyncSession, Sequence[RefUpdate]], Awaitable[dict[RefName, str]]]

_USUAL_BRANCHES = (b"refs/heads/main", b"refs/heads/master")


def make_wiki_within(actor: Actor, repository_id: int, also: Also | None = None) -> WikiWithin:
    """Return the callback of ``engine.land`` for a wiki's store: authorize now, keep its HEAD, note the change.

    Actor and repository are read again under the store's lock, which changes of the settings take too. ``also`` runs
    last, where something moves. It may run again after a lost lock, and changes nothing outside its session.
    """

    async def within(session: AsyncSession, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
        now_actor = await refresh_actor(session, actor)
        scope = await load_scope(session, now_actor, repository_id)
        if scope is None:
            raise NotFound("Not Found")
        repository = await session.get_one(Repository, repository_id, populate_existing=True)
        require_wiki_edit(now_actor, scope, is_open=repository.is_wiki_open)
        if not repository.has_wiki or repository.wiki_store_id is None:
            raise NoWiki
        store = await session.get_one(Store, repository.wiki_store_id)
        head = bytes(store.head_target)
        refusals = {
            change.name: "this branch has the wiki's pages; delete the pages instead"
            for change in updates
            if change.is_deletion and change.name == head
        }
        moving = [change for change in updates if change.name not in refusals]
        await _keep_head(session, store, moving)
        _note(session, now_actor, repository, moving)
        if also is not None and moving:
            await also(session)
        return refusals

    return within


async def _keep_head(session: AsyncSession, store: Store, moving: Sequence[RefUpdate]) -> None:
    """HEAD points to a branch that exists if one does: a wiki that is brought from elsewhere is on ``master``."""
    head = bytes(store.head_target)
    born = [change.name for change in moving if change.is_creation and change.name.startswith(BRANCH_PREFIX)]
    if not born or head in born:
        return
    # Primary key of git_ref.
    if await session.scalar(select(Ref.oid).where(Ref.store_id == store.id, Ref.name == head)) is None:
        store.head_target = next((name for name in _USUAL_BRANCHES if name in born), born[0])


def _note(session: AsyncSession, actor: Actor, repository: Repository, moving: Sequence[RefUpdate]) -> None:
    if not moving:
        return
    for change in moving:
        emit(
            session,
            WikiChanged(
                repository_id=repository.id,
                ref=change.name.decode("utf-8", "replace"),
                old_oid=change.old,
                new_oid=change.new,
                actor_id=actor.account_id,
                actor=actor.label,
            ),
        )
    details = audited_refs(moving)
    record(session, actor, "wiki.push", repository.name, repository_id=repository.id, details=details)
