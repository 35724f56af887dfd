"""Purging objects from a repository and all its forks, and restoring what a collection dropped: both audited."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import SITE
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import Invalid, NotFound
from cairn.base.ids import random_id
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.models import Store
from cairn.git.purge import OBJECTS_MAX, Purged, StillReachable, purge
from cairn.git.purge_preview import PurgePreview, preview_purge
from cairn.git.ref_names import check_ref_name
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import Oid, RefName
from cairn.git.undo_packs import restore_writer
from cairn.identity.models import Account
from cairn.repositories.git_access import WIKI_ENDING
from cairn.repositories.models import Repository
from cairn.repositories.network import list_relatives
from cairn.repositories.queries import branch_ref, load_scope
from cairn.repositories.rules.apply import apply_rules

PURGED = "repository.purge"
RESTORED = "repository.restore_objects"
_DELETED = " (deleted, not erased yet)"


@dataclass(frozen=True, slots=True)
class ForeseenPurge:
    """What a purge would do, with the names of the repositories whose stores it would look at.

    ``names`` lacks stores whose repository was deleted a short while ago.
    """

    preview: PurgePreview
    names: dict[int, str]

    @property
    def is_possible(self) -> bool:
        """True if no ref prevents it."""
        return not self.preview.refs

    @property
    def repositories(self) -> list[str]:
        """The repositories that would be touched, by name."""
        return sorted(self.names.values(), key=str.lower)

    def name(self, store_id: int) -> str:
        """Return whose store that is."""
        return self.names.get(store_id, "a deleted repository")


async def foresee_purge(engine: Engine, actor: Actor, owner: str, name: str, oids: Sequence[Oid]) -> ForeseenPurge:
    """Return what purging these objects would do now; nothing is changed.

    For site administrators. Errors: NotFound, Forbidden, Invalid (none or too many objects), PackDamaged.
    """
    stores, _ = await _stores_of(engine.database, actor, owner, name, oids)
    preview = await preview_purge(engine, stores, frozenset(oids))
    return ForeseenPurge(preview, await read_names(engine.database, preview.stores))


async def purge_objects(engine: Engine, actor: Actor, owner: str, name: str, oids: Sequence[Oid]) -> Purged:
    """These objects are gone from the repository, its forks and everything cached, and cannot be pushed again.

    For site administrators. Errors: NotFound, Forbidden, Invalid (none or too many objects), StillReachable, TooBusy,
    PackDamaged, the engine's Unavailable.
    """
    stores, repository_id = await _stores_of(engine.database, actor, owner, name, oids)

    async def within(session: AsyncSession) -> None:
        await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
        details = {"objects": " ".join(sorted(oids)), "stores": " ".join(map(str, stores))}
        record(session, actor, PURGED, f"{owner}/{name}", repository_id=repository_id, details=details)

    try:
        return await purge(engine, stores, frozenset(oids), within=within)
    except StillReachable as error:
        owners = await read_names(engine.database, {store for store, _ in error.refs})
        raise StillReachable(error.refs, owners=owners) from None


async def _stores_of(
    database: Database, actor: Actor, owner: str, name: str, oids: Sequence[Oid]
) -> tuple[list[int], int]:
    """Return the stores of the repository's network and the repository's id, for whoever may purge there."""
    async with database.read() as session:
        await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
        repository = await _find(session, owner, name)
        if not 0 < len(oids) <= OBJECTS_MAX:
            raise Invalid(f"name between 1 and {OBJECTS_MAX} objects; these are {len(oids):,}")
        return await _network(session, repository), repository.id


async def read_names(database: Database, store_ids: Collection[int]) -> dict[int, str]:
    """Return the full names of the repositories of these stores; what has none is absent.

    Of what is deleted and may be restored it says so: whoever reads the name has to erase or restore it first.
    """
    async with database.read() as session:
        # uq_repository_store_id
        rows = await session.execute(
            select(Repository.store_id, Account.login, Repository.name, Repository.is_deleted)
            .join(Account, Account.id == Repository.owner_id)
            .where(Repository.store_id.in_(store_ids))
        )
        found = {store_id: f"{login}/{name}{_DELETED * is_deleted}" for store_id, login, name, is_deleted in rows}
        # ix_repository_wiki_store_id
        wikis = await session.execute(
            select(Repository.wiki_store_id, Account.login, Repository.name, Repository.is_deleted)
            .join(Account, Account.id == Repository.owner_id)
            .where(Repository.wiki_store_id.in_(store_ids))
        )
        return found | {
            store_id: f"{login}/{name}{WIKI_ENDING}{_DELETED * is_deleted}"
            for store_id, login, name, is_deleted in wikis
            if store_id is not None
        }


async def restore_objects(engine: Engine, actor: Actor, owner: str, name: str, oid: Oid, *, branch: str) -> RefName:
    """A new branch points to a commit that a collection had dropped, everything it reaches restored; return its ref.

    For site administrators. Errors: NotFound, Forbidden, RefNameInvalid, NothingToRestore, NotACommit, RefMoved (the
    branch exists), PackDamaged, the engine's Unavailable.
    """
    ref = branch_ref(branch)
    check_ref_name(ref, max_bytes=engine.settings.max_ref_name_bytes)
    async with engine.database.read() as session:
        await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
        repository = await _find(session, owner, name)
    staged = await engine.stage(repository.store_id, await restore_writer(engine, repository.store_id, oid, ref))

    async def within(session: AsyncSession, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
        await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
        scope = await load_scope(session, actor, repository.id)
        if scope is None:
            raise NotFound("Not Found")
        now = await session.get_one(Repository, repository.id, populate_existing=True)
        head_target = bytes((await session.get_one(Store, now.store_id)).head_target)
        verdict = await apply_rules(session, actor, scope, now, updates, head_target=head_target)
        if verdict.refusals:
            return verdict.refusals
        details = {"object": oid, "branch": branch}
        record(session, actor, RESTORED, f"{owner}/{name}", repository_id=repository.id, details=details)
        return {}

    [outcome] = await engine.land(staged, push_id=random_id(), actor=actor.label, within=within)
    if outcome.refusal:
        raise Invalid(f"{branch!r} was not created: {outcome.refusal}")
    return ref


async def find_store(database: Database, owner: str, name: str) -> int:
    """Return the store of a repository by its present name, or of its wiki (``NAME.wiki``); NotFound."""
    is_wiki = name.lower().endswith(WIKI_ENDING)
    async with database.read() as session:
        found = await _find(session, owner, name[: -len(WIKI_ENDING)] if is_wiki else name)
    store_id = found.wiki_store_id if is_wiki else found.store_id
    if store_id is None:
        raise NotFound(f"{owner[:60]}/{name[:100]}: this repository has no wiki.")
    return store_id


async def _find(session: AsyncSession, owner: str, name: str) -> Repository:
    # uq_account_login_key, uq_repository_owner_id_name_key
    found = await session.scalar(
        select(Repository)
        .join(Account, Account.id == Repository.owner_id)
        .where(Account.login_key == owner.lower(), Repository.name_key == name.lower())
    )
    if found is None:
        raise NotFound(f"There is no repository {owner[:60]}/{name[:100]}.")
    return found


async def _network(session: AsyncSession, repository: Repository) -> list[int]:
    """Return the stores of all repositories of the network: a fork may hold the object in a pack of its own.

    Also what was deleted and may be restored, and what went its own way since. Their wikis too: what slipped into one
    place was often pasted into the other.
    """
    found = await list_relatives(session, repository)
    return sorted({store for one in found for store in (one.store_id, one.wiki_store_id) if store is not None})
