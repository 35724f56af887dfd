"""Purging objects, as a page and over REST: first what it would do, then doing it. For administrators of the site."""

from typing import Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import SITE
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid
from cairn.git.engine import Engine
from cairn.git.purge import OBJECTS_MAX, Purged, StillReachable
from cairn.git.types import Oid, OidInvalid, parse_oid, show
from cairn.repositories.api_routes import read_repository
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.repositories.purge import ForeseenPurge, foresee_purge, purge_objects, read_names
from cairn.repositories.queries import RepositoryView
from cairn.repositories.serializers import Json
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import api, page
from cairn.web.urls import path_join

TOLD_MAX = 100
"""Refs and repositories named by a page; it says how many more there are."""
_PATH = "/{owner:str}/{repo:str}/settings/purge"
_ADMINISTER: Any = {"action": Action.SITE_ADMINISTER, "resource": "repository"}


class PurgeForm(msgspec.Struct):
    """Whole object ids with blanks or line ends between them; the repository's whole name, typed."""

    objects: str = ""
    full_name: str = ""


class PurgeToBe(msgspec.Struct, kw_only=True):
    """The body of a purge. ``dry_run`` has no default: nobody purges, or believes to have purged, by leaving it out."""

    objects: list[str]
    dry_run: bool


@page.get(_PATH, **_ADMINISTER)
async def purge_page(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, objects: str = ""
) -> Response[Any]:
    """Ask which objects; with ``objects`` in the query show what purging them would do."""
    repository = await _open(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    return await _show(context, actor, engine, repository, blank_form(PurgeForm, objects=objects))


@page.post(_PATH, **_ADMINISTER, sudo=True)
async def purge(
    context: RequestContext, actor: Actor, engine: Engine, request: WebRequest, owner: str, repo: str
) -> Response[Any]:
    """Purge the objects if the repository's whole name was typed."""
    repository = await _open(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    form = await read_form(request, PurgeForm)
    try:
        oids = _confirmed(form.require(), repository)
        done = await purge_objects(engine, actor, repository.owner, repository.name, oids)
    except (Invalid, StillReachable) as error:
        wrong = error if isinstance(error, Invalid) else Invalid(error.message)
        return await _show(context, actor, engine, repository, form.reject(wrong))
    context.flash(
        f"Purged. {done.packs:,} packs were written anew without them, {done.undo_packs:,} undo packs deleted. "
        "Every clone still has them: change the secret."
    )
    return redirect(path_join(repository.owner, repository.name, "settings", "purge"))


async def _open(context: RequestContext, actor: Actor, owner: str, repo: str) -> RepositoryView | Response[bytes]:
    """Return the repository for whoever may purge; for everybody else the page is not there."""
    async with context.site.database.read() as session:
        await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    return await open_repository_page(context, actor, owner, repo)


async def _show(
    context: RequestContext, actor: Actor, engine: Engine, repository: RepositoryView, form: Form[PurgeForm]
) -> Response[Any]:
    foreseen: ForeseenPurge | None = None
    typed = str(form.values["objects"] or "").split()
    if typed:
        try:
            foreseen = await foresee_purge(engine, actor, repository.owner, repository.name, _parse(typed))
        except Invalid as error:
            form.reject(error)
    form.values["objects"] = "\n".join(typed)
    return render(
        context,
        "repositories/purge.html",
        status=422 if form.has_problems else 200,
        **header_of(context, actor, repository, "settings"),
        form=form,
        foreseen=foreseen,
        refs=[(foreseen.name(store), show(name)) for store, name in foreseen.preview.refs[:TOLD_MAX]]
        if foreseen
        else [],
        told_max=TOLD_MAX,
        objects_max=OBJECTS_MAX,
    )


def _confirmed(wanted: PurgeForm, repository: RepositoryView) -> list[Oid]:
    """Return the objects of a form; Invalid unless the repository's whole name was typed beside them."""
    oids = _parse(wanted.objects.split())
    if wanted.full_name.strip().lower() != repository.full_name.lower():
        problem = FieldProblem("full_name", "invalid", f"Type {repository.full_name} to purge them.")
        raise Invalid(problem.message, problem)
    return oids


@api.post("/api/cairn/v1/repos/{owner:str}/{repo:str}/purge", **_ADMINISTER, status=200, sudo=True)
async def purge_api(
    context: RequestContext, actor: Actor, engine: Engine, owner: str, repo: str, body: PurgeToBe
) -> Json:
    """Purge objects, or with ``dry_run`` tell what that would do; 409 names the refs that prevent it."""
    async with context.site.database.read() as session:
        await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    repository = await read_repository(context, owner, repo)
    oids = _parse(body.objects)
    if body.dry_run:
        return _foreseen_json(await foresee_purge(engine, actor, repository.owner, repository.name, oids))
    done = await purge_objects(engine, actor, repository.owner, repository.name, oids)
    return _purged_json(done, await read_names(engine.database, done.stores))


def _parse(objects: list[str]) -> list[Oid]:
    """Return the ids, each once; Invalid at the field names what is none, and counts those that are too many."""
    try:
        oids = list(dict.fromkeys(parse_oid(text.lower()) for text in objects))
    except OidInvalid as error:
        raise Invalid(error.message, FieldProblem("objects", "invalid", f"{error.message}.")) from None
    if not 0 < len(oids) <= OBJECTS_MAX:
        said = f"Name between 1 and {OBJECTS_MAX} objects; these are {len(oids):,}."
        raise Invalid(said, FieldProblem("objects", "invalid", said))
    return oids


def _foreseen_json(foreseen: ForeseenPurge) -> Json:
    preview = foreseen.preview
    return {
        "dry_run": True,
        "possible": foreseen.is_possible,
        "objects": [
            {
                "sha": one.oid,
                "type": one.kind.value if one.kind else None,
                "size": one.size_bytes,
                "repositories": [foreseen.name(store) for store in one.stores],
            }
            for one in preview.objects
        ],
        "refs": [{"repository": foreseen.name(store), "ref": show(name)} for store, name in preview.refs],
        "repositories": foreseen.repositories,
        "packs": preview.packs,
        "pack_bytes": preview.pack_bytes,
        "undo_packs": preview.undo_packs,
        "undo_bytes": preview.undo_bytes,
    }


def _purged_json(done: Purged, names: dict[int, str]) -> Json:
    return {
        "dry_run": False,
        "repositories": sorted(names.values(), key=str.lower),
        "packs": done.packs,
        "undo_packs": done.undo_packs,
    }


route_handlers: list[HTTPRouteHandler] = [purge_page, purge, purge_api]
