"""The page that makes a new repository from a template."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta

from cairn.access.actions import Action
from cairn.access.roles import Visibility
from cairn.base.actor import Actor
from cairn.base.errors import Invalid, Unavailable
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.repositories.create import NewRepository, list_possible_owners
from cairn.repositories.fork_api import require_creation
from cairn.repositories.life.templates import create_from_template
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.repositories.queries import RepositoryView, find_repository
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

_PATH = "/{owner:str}/{repo:str}/generate"
_READ: Any = {"action": Action.REPOSITORY_READ, "resource": "repository"}


class GenerateForm(msgspec.Struct):
    """A repository to be, with the files of the template."""

    name: Annotated[str, Meta(min_length=1)]
    owner: str = ""
    description: str = ""
    visibility: Visibility = Visibility.PUBLIC
    all_branches: bool = False


@page.get(_PATH, **_READ)
async def form_page(context: RequestContext, database: Database, actor: Actor, owner: str, repo: str) -> Response[Any]:
    """Show the form; who is not signed in is asked to."""
    template = await open_repository_page(context, actor, owner, repo)
    if isinstance(template, Response):
        return template
    form = blank_form(GenerateForm, owner=actor.login or "", visibility=template.visibility.value)
    return await _show(context, database, actor, template, form)


async def _show(
    context: RequestContext, database: Database, actor: Actor, template: RepositoryView, form: Form[GenerateForm]
) -> Response[Any]:
    async with database.read() as session:
        owners = await list_possible_owners(session, actor)
    return render(
        context,
        "repositories/generate.html",
        status=422 if form.has_problems else 200,
        **header_of(context, actor, template, ""),
        form=form,
        owners=[(one.login, one.login) for one in owners],
        has_organizations=len(owners) > 1,
    )


@page.post(_PATH, **_READ)
async def generate(
    context: RequestContext,
    database: Database,
    engine: Engine,
    actor: Actor,
    request: WebRequest,
    owner: str,
    repo: str,
) -> Response[Any]:
    """Make the repository and open it."""
    form = await read_form(request, GenerateForm)
    async with database.read() as session:
        template = await find_repository(session, actor, owner, repo)
    require_creation(actor)
    try:
        wanted = form.require()
        new = NewRepository(
            name=wanted.name,
            owner=wanted.owner or None,
            description=wanted.description,
            visibility=wanted.visibility,
        )
        made = await create_from_template(database, engine, actor, template, new, all_branches=wanted.all_branches)
    except Invalid as error:
        return await _show(context, database, actor, template, form.reject(error))
    except Unavailable as error:
        context.flash(error.message, "warning")
        return redirect(path_join(str(form.values["owner"]) or actor.login or "", str(form.values["name"])))
    return redirect(path_join(made.owner, made.name))


route_handlers: list[HTTPRouteHandler] = [form_page, generate]
