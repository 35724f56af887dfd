"""The page of a repository's deploy keys: machines that may read it, or also push, and nothing else."""

from typing import Annotated, Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Invalid
from cairn.identity.settings_frame import ChosenKey
from cairn.repositories.deploy_keys import DEPLOY_KEYS_MAX, add_deploy_key, delete_deploy_key, list_deploy_keys
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.repositories.queries import RepositoryView, find_repository
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_form
from cairn.web.render import redirect, render
from cairn.web.routing import page
from cairn.web.urls import path_join

_PATH = "/{owner:str}/{repo:str}/settings/keys"


class KeyForm(msgspec.Struct):
    """A key to be."""

    key: Annotated[str, Meta(min_length=1)]
    title: str = ""
    can_write: bool = False


@page.get(_PATH, action=Action.REPOSITORY_READ_KEYS, resource="repository")
async def keys(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> Response[Any]:
    """Show the keys and the form for another one."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    return await _show(context, session, actor, repository, blank_form(KeyForm))


async def _show(
    context: RequestContext, session: AsyncSession, actor: Actor, repository: RepositoryView, form: Form[KeyForm]
) -> Response[Any]:
    return render(
        context,
        "repositories/deploy_keys.html",
        status=422 if form.has_problems else 200,
        **header_of(context, actor, repository, "settings"),
        form=form,
        keys=await list_deploy_keys(session, actor, repository.id),
        keys_max=DEPLOY_KEYS_MAX,
    )


@page.post(_PATH, action=Action.REPOSITORY_EDIT_KEYS, resource="repository", sudo=True)
async def add(
    context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest, owner: str, repo: str
) -> Response[Any]:
    """Let a key open the repository."""
    form = await read_form(request, KeyForm)
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_EDIT_KEYS)
    try:
        wanted = form.require()
        key = await add_deploy_key(
            session, actor, repository.id, title=wanted.title, text=wanted.key, can_write=wanted.can_write
        )
    except Invalid as error:
        return await _show(context, session, actor, repository, form.reject(error))
    context.flash(f"The key {key.title} opens {repository.full_name}{' and may push' if key.can_write else ''}.")
    return redirect(_address(repository))


@page.post(f"{_PATH}/delete", action=Action.REPOSITORY_EDIT_KEYS, resource="repository", sudo=True)
async def remove(
    context: RequestContext, session: AsyncSession, actor: Actor, request: WebRequest, owner: str, repo: str
) -> Response[Any]:
    """Stop a key from opening the repository."""
    form = await read_form(request, ChosenKey)
    repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_EDIT_KEYS)
    await delete_deploy_key(session, actor, repository.id, form.require().id)
    context.flash(f"The key no longer opens {repository.full_name}.")
    return redirect(_address(repository))


def _address(repository: RepositoryView) -> str:
    return path_join(repository.owner, repository.name, "settings", "keys")


route_handlers: list[HTTPRouteHandler] = [keys, add, remove]
