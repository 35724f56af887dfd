"""Mirrors over REST. GitHub has none; the addresses are Gitea's where it has them, the words are ours."""

from typing import Annotated, TypeVar

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Invalid
from cairn.repositories.api_routes import REPOSITORY, follows_renames
from cairn.repositories.imports.credentials import Credentials, check_credentials
from cairn.repositories.imports.login import read_ssh_facts
from cairn.repositories.mirrors.edit import (
    MirrorMissing,
    WantedMirror,
    change_mirror,
    find_pull_mirror,
    list_mirrors,
    make_mirror,
    pause_mirror,
    read_mirror,
    remove_mirror,
    resume_mirror,
    sync_now,
    usual_interval,
)
from cairn.repositories.mirrors.models import PATTERN_LENGTH_MAX, URL_LENGTH_MAX, Mirror, MirrorRefs, MirrorState
from cairn.repositories.queries import RepositoryView, find_repository
from cairn.repositories.serializers import Json
from cairn.web.api import ApiAnswer, api_time
from cairn.web.context import RequestContext
from cairn.web.routing import api

_MIRROR = f"{REPOSITORY}/mirror"
_PUSH_MIRRORS = f"{REPOSITORY}/push_mirrors"
_PUSH_MIRROR = f"{_PUSH_MIRRORS}/{{mirror_id:int}}"
_ADMINISTER = Action.REPOSITORY_ADMINISTER
T = TypeVar("T")
Url = Annotated[str, Meta(min_length=1, max_length=URL_LENGTH_MAX)]
Pattern = Annotated[str, Meta(max_length=PATTERN_LENGTH_MAX)]


class NewMirror(msgspec.Struct, kw_only=True):
    """What makes a mirror; ``remote_username`` and ``remote_password`` are kept sealed and never answered."""

    remote_address: Url
    remote_username: str = ""
    remote_password: str = ""
    refs: MirrorRefs = MirrorRefs.ALL
    pattern: Pattern = ""
    overwrite_diverged: bool = True
    prune: bool = True
    lfs: bool = True
    interval_minutes: int | None = None


class ChangedMirror(msgspec.Struct, kw_only=True):
    """What changes a mirror: what is absent stays. Another address forgets user and password unless they are given."""

    remote_address: Url | UnsetType = UNSET
    remote_username: str | UnsetType = UNSET
    remote_password: str | UnsetType = UNSET
    refs: MirrorRefs | UnsetType = UNSET
    pattern: Pattern | UnsetType = UNSET
    overwrite_diverged: bool | UnsetType = UNSET
    prune: bool | UnsetType = UNSET
    lfs: bool | UnsetType = UNSET
    interval_minutes: int | UnsetType = UNSET
    paused: bool | UnsetType = UNSET


@api.get(_MIRROR, action=_ADMINISTER, resource="repository")
@follows_renames
async def read_pull(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> Json:
    """Answer which repository this one follows and how that goes."""
    repository = await find_repository(session, actor, owner, repo, _ADMINISTER)
    return await mirror_json(context, session, repository, await _pull(session, repository))


@api.put(_MIRROR, action=_ADMINISTER, resource="repository")
@follows_renames
async def make_pull(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, body: NewMirror
) -> ApiAnswer:
    """Let the repository follow another one: it becomes a mirror."""
    return await _make(context, session, actor, owner, repo, body, is_pull=True)


@api.patch(_MIRROR, action=_ADMINISTER, resource="repository")
@follows_renames
async def change_pull(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, body: ChangedMirror
) -> Json:
    """Change what the repository follows and how; pause it, let it go on."""
    repository = await find_repository(session, actor, owner, repo, _ADMINISTER)
    return await _change(context, session, actor, repository, await _pull(session, repository), body)


@api.delete(_MIRROR, action=_ADMINISTER, resource="repository")
@follows_renames
async def stop_pull(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> None:
    """Stop mirroring: it is an ordinary repository with what it has."""
    del context  # for renames
    repository = await find_repository(session, actor, owner, repo, _ADMINISTER)
    await remove_mirror(session, actor, repository.id, (await _pull(session, repository)).id)


@api.post(f"{REPOSITORY}/mirror-sync", action=_ADMINISTER, resource="repository")
@follows_renames
async def sync_pull(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> ApiAnswer:
    """Bring the mirror in step as soon as a worker can."""
    repository = await find_repository(session, actor, owner, repo, _ADMINISTER)
    mirror = await _pull(session, repository)
    await sync_now(session, context.settings, actor, repository.id, mirror.id)
    return ApiAnswer(await mirror_json(context, session, repository, mirror), 202)


@api.get(_PUSH_MIRRORS, action=_ADMINISTER, resource="repository")
@follows_renames
async def list_push(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> list[Json]:
    """Answer which repositories follow this one; there are few, so all of them."""
    repository = await find_repository(session, actor, owner, repo, _ADMINISTER)
    found = await list_mirrors(session, repository.id)
    return [await mirror_json(context, session, repository, mirror) for mirror in found if not mirror.is_pull]


@api.post(_PUSH_MIRRORS, action=_ADMINISTER, resource="repository")
@follows_renames
async def make_push(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, body: NewMirror
) -> ApiAnswer:
    """Let another repository follow this one."""
    return await _make(context, session, actor, owner, repo, body, is_pull=False)


@api.get(_PUSH_MIRROR, action=_ADMINISTER, resource="repository")
@follows_renames
async def read_push(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, mirror_id: int
) -> Json:
    """Answer one repository that follows this one, and how that goes."""
    repository = await find_repository(session, actor, owner, repo, _ADMINISTER)
    return await mirror_json(context, session, repository, await _push(session, repository, mirror_id))


@api.patch(_PUSH_MIRROR, action=_ADMINISTER, resource="repository")
@follows_renames
async def change_push(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    owner: str,
    repo: str,
    mirror_id: int,
    body: ChangedMirror,
) -> Json:
    """Change what follows this repository and how; pause it, let it go on."""
    repository = await find_repository(session, actor, owner, repo, _ADMINISTER)
    return await _change(context, session, actor, repository, await _push(session, repository, mirror_id), body)


@api.delete(_PUSH_MIRROR, action=_ADMINISTER, resource="repository")
@follows_renames
async def stop_push(
    context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, mirror_id: int
) -> None:
    """Stop it: nothing is sent there any more, and its credentials are gone."""
    del context  # for renames
    repository = await find_repository(session, actor, owner, repo, _ADMINISTER)
    await remove_mirror(session, actor, repository.id, (await _push(session, repository, mirror_id)).id)


@api.post(f"{REPOSITORY}/push_mirrors-sync", action=_ADMINISTER, resource="repository")
@follows_renames
async def sync_push(context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str) -> ApiAnswer:
    """Bring every repository that follows this one in step as soon as a worker can; those that are paused stay so."""
    repository = await find_repository(session, actor, owner, repo, _ADMINISTER)
    found = [mirror for mirror in await list_mirrors(session, repository.id) if not mirror.is_pull]
    for mirror in found:
        if mirror.state is MirrorState.ACTIVE:
            await sync_now(session, context.settings, actor, repository.id, mirror.id)
    return ApiAnswer([await mirror_json(context, session, repository, mirror) for mirror in found], 202)


async def _make(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    owner: str,
    repo: str,
    body: NewMirror,
    *,
    is_pull: bool,
) -> ApiAnswer:
    repository = await find_repository(session, actor, owner, repo, _ADMINISTER)
    wanted = WantedMirror(
        url=body.remote_address,
        credentials=check_credentials(body.remote_username, body.remote_password),
        refs=body.refs,
        pattern=body.pattern,
        overwrites=body.overwrite_diverged,
        prunes=body.prune,
        with_lfs=body.lfs,
        interval_minutes=usual_interval(context.settings) if body.interval_minutes is None else body.interval_minutes,
    )
    mirror = await make_mirror(session, context.settings, actor, repository.id, wanted, is_pull=is_pull)
    answer = await mirror_json(context, session, repository, mirror)
    return ApiAnswer(answer, 201, {"Location": answer["url"]})


async def _change(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    repository: RepositoryView,
    mirror: Mirror,
    body: ChangedMirror,
) -> Json:
    """Change what the body names, then pause or resume; in one transaction, so all of it or nothing."""
    named = {field for field in body.__struct_fields__ if getattr(body, field) is not UNSET}
    if not named:
        raise Invalid("Name at least one thing to change.")
    settings = context.settings
    if named - {"paused"}:
        wanted = WantedMirror(
            url=_or(body.remote_address, mirror.url),
            credentials=_credentials(body),
            refs=_or(body.refs, mirror.refs),
            pattern=_or(body.pattern, mirror.pattern),
            overwrites=_or(body.overwrite_diverged, mirror.overwrites),
            prunes=_or(body.prune, mirror.prunes),
            with_lfs=_or(body.lfs, mirror.with_lfs),
            interval_minutes=_or(body.interval_minutes, mirror.interval_minutes),
        )
        mirror = await change_mirror(session, settings, actor, repository.id, mirror.id, wanted)
    if body.paused is True:
        mirror = await pause_mirror(session, actor, repository.id, mirror.id)
    elif body.paused is False:
        mirror = await resume_mirror(session, settings, actor, repository.id, mirror.id)
    return await mirror_json(context, session, repository, mirror)


def _credentials(body: ChangedMirror) -> Credentials | None:
    if body.remote_username is UNSET and body.remote_password is UNSET:
        return None
    return check_credentials(_or(body.remote_username, ""), _or(body.remote_password, ""))


def _or(value: T | UnsetType, before: T) -> T:
    return before if value is UNSET else value


async def _pull(session: AsyncSession, repository: RepositoryView) -> Mirror:
    mirror = await find_pull_mirror(session, repository.id)
    if mirror is None:
        raise MirrorMissing
    return mirror


async def _push(session: AsyncSession, repository: RepositoryView, mirror_id: int) -> Mirror:
    mirror = await read_mirror(session, repository.id, mirror_id)
    if mirror.is_pull:
        raise MirrorMissing
    return mirror


async def mirror_json(
    context: RequestContext, session: AsyncSession, repository: RepositoryView, mirror: Mirror
) -> Json:
    """Return a mirror without its credentials."""
    ssh = await read_ssh_facts(session, mirror.account_id, mirror.url)
    origin = context.settings.origin
    base = f"{origin}/api/v3/repos/{repository.full_name}"
    return {
        "id": mirror.id,
        "url": f"{base}/mirror" if mirror.is_pull else f"{base}/push_mirrors/{mirror.id}",
        "html_url": f"{origin}/{repository.full_name}/settings/mirroring",
        "repository_url": base,
        "direction": "pull" if mirror.is_pull else "push",
        "remote_address": mirror.url,
        "has_credentials": mirror.sealed is not None,
        "ssh": ssh.json() if ssh else None,
        "refs": mirror.refs.value,
        "pattern": mirror.pattern,
        "overwrite_diverged": mirror.overwrites,
        "prune": mirror.prunes,
        "lfs": mirror.with_lfs,
        "interval_minutes": mirror.interval_minutes,
        "state": mirror.state.value,
        "under_way": mirror.is_under_way,
        "created": api_time(mirror.created_at),
        "last_update": api_time(mirror.synced_at),
        "last_attempt": api_time(mirror.tried_at),
        "next_update": api_time(mirror.due_at) if mirror.state is MirrorState.ACTIVE else None,
        "failures": mirror.failures,
        "last_error": mirror.failure or None,
        "note": mirror.note or None,
        "moved_count": mirror.moved_count,
        "skipped_count": mirror.skipped_count,
        "skipped": [{"ref": name, "reason": reason} for name, reason in mirror.skipped],
    }


route_handlers: list[HTTPRouteHandler] = [
    read_pull,
    make_pull,
    change_pull,
    stop_pull,
    sync_pull,
    list_push,
    make_push,
    read_push,
    change_push,
    stop_push,
    sync_push,
]
