"""What a repository's front page says of what fills it: an import, a fork; and how that stands to its parent."""

from typing import Any

from litestar import Response

from cairn.access.actions import Action
from cairn.access.decide import decide
from cairn.base.actor import Actor
from cairn.git.engine import Engine
from cairn.repositories.imports.start import read_import
from cairn.repositories.models import WorkKind, WorkStep
from cairn.repositories.network import work_of
from cairn.repositories.queries import RepositoryView
from cairn.repositories.sync import COUNTED_MAX, read_sync_state
from cairn.web.context import RequestContext
from cairn.web.render import render

STEPS = [
    (WorkStep.WAITING, "Waiting for a worker"),
    (WorkStep.PACKING, "Packing what every reader of the parent may see"),
    (WorkStep.STORING, "Storing it, once for all forks"),
]


async def show_empty(context: RequestContext, header: dict[str, Any], *, has_refs: bool) -> Response[str]:
    """Return the page of a repository without commits: how to begin, how its import stands, how far its forking is."""
    repository: RepositoryView = header["repository"]
    may_import = decide(context.actor, Action.REPOSITORY_ADMINISTER, repository.scope).allowed
    async with context.site.database.read() as session:
        work = await work_of(session, repository.id, WorkKind.FILL)
        coming = await read_import(session, repository.id) if may_import and work is None else None
    if work is None:
        shown: dict[str, Any] = {"has_refs": has_refs, "may_import": may_import, "coming": coming}
        return render(context, "repositories/empty.html", **header, **shown)
    return render(context, "repositories/being_forked.html", **header, work=work, steps=STEPS)


async def sync_banner(
    context: RequestContext, actor: Actor, engine: Engine, repository: RepositoryView
) -> dict[str, Any]:
    """Return what ``repositories/_sync.html`` wants: how the default branch stands to the parent's."""
    sync = None
    if repository.is_fork:
        branch = repository.default_branch
        sync = await read_sync_state(context.site.database, engine, actor, repository, branch)
    return {"sync": sync, "sync_max": COUNTED_MAX}


async def is_separating(context: RequestContext, repository: RepositoryView) -> bool:
    """Tell whether a repository that was narrowed still shares packs with forks or a parent."""
    async with context.site.database.read() as session:
        return await work_of(session, repository.id, WorkKind.SEPARATE) is not None
