"""The wiki of an imported repository, if the source has one: a repository beside it, and a second store here."""

from contextlib import AsyncExitStack
from dataclasses import replace

from cairn.egress.door import AddressRefused
from cairn.egress.http import ConnectionFailed
from cairn.egress.ssh import HostKeyChanged, LoginRefused
from cairn.git.remote_fetch import (
    FetchProgress,
    Remote,
    RemoteFailed,
    RemoteMissing,
    RemoteRefs,
    RemoteUnauthorized,
    RemoteUnusable,
)
from cairn.repositories.imports.attempt import Import, still_wanted
from cairn.repositories.imports.models import ImportStep
from cairn.repositories.imports.refs import bring_refs, choose_refs, read_remote_refs
from cairn.repositories.imports.source import beside, open_source
from cairn.repositories.wiki.landing import make_wiki_within
from cairn.repositories.wiki.stores import ensure_wiki_store

_ABSENT = (
    *(RemoteMissing, RemoteUnauthorized, RemoteUnusable, RemoteFailed),
    *(ConnectionFailed, AddressRefused, HostKeyChanged, LoginRefused),
)


async def bring_wiki(work: Import, remote: Remote) -> str:
    """The repository has the source's wiki; a source without one is nothing to talk about. Returns a remark or nothing.

    ``remote`` is where the source was found: its credentials are those that may be shown there.
    Errors: the fetch's and the stager's once the wiki is found; ImportGivenUp, LeaseLost.
    """
    login = replace(work.login, authorization=remote.authorization)
    async with AsyncExitStack() as stack:
        try:
            wiki = await stack.enter_async_context(open_source(work.outside, beside(remote, ".wiki.git"), login))
            found = await read_remote_refs(work.engine, wiki)
        except _ABSENT:
            return ""
        return await _bring(work, wiki, found) if found.refs else ""


async def _bring(work: Import, wiki: Remote, found: RemoteRefs) -> str:
    async with work.context.database.write() as session:
        await work.context.still_mine(session)
        store_id = await ensure_wiki_store(session, work.actor, work.repository.id)

    async def tell(done: int, fetch: FetchProgress) -> None:
        await work.progress.note_now_and_then(step=ImportStep.WIKI)

    brought = await bring_refs(
        work.engine,
        store_id,
        wiki,
        choose_refs(found, default_branch_only=False),
        head_target=found.head_target,
        import_id=work.row.id,
        actor=work.actor.label,
        within=still_wanted(work, make_wiki_within(work.actor, work.repository.id)),
        tell=tell,
    )
    return f"Of the wiki: {brought.remark}" if brought.remark else ""
