"""The public profile and its picture: changing them, and the addresses where pictures are."""

from typing import Any

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, NotFound, TooLarge
from cairn.base.settings import MIB
from cairn.db.database import Database
from cairn.identity.avatar_images import MEDIA_TYPE, SIZES, UPLOAD_BYTES_MAX
from cairn.identity.avatars import best_size, find_picture, read_picture, remove_picture, set_picture
from cairn.identity.names import is_login
from cairn.identity.profile import ProfileChange, update_profile
from cairn.identity.queries import read_profile
from cairn.identity.settings_frame import own_account, show_settings
from cairn.storage.storage import Storage
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import Form, blank_form, read_fields, read_form
from cairn.web.multipart import UploadedFile
from cairn.web.render import avatar_file, redirect
from cairn.web.routing import PUBLIC, page

PICTURE_PATH = "/settings/profile/picture"
_STABLE_SECONDS = 300
"""How long a browser trusts that somebody still shows the same picture."""
_FOR_EVER = "public, max-age=31536000, immutable"


class ProfileForm(msgspec.Struct):
    """The public profile."""

    name: str = ""
    pronouns: str = ""
    bio: str = ""
    website: str = ""
    company: str = ""
    location: str = ""


class PictureForm(msgspec.Struct):
    """The upload of a picture."""

    picture: str = ""


def make_route_handlers(storage: Storage) -> list[HTTPRouteHandler]:
    """Return these pages; the program's own object store keeps the pictures."""

    @page.post(PICTURE_PATH, action=Action.ACCOUNT_EDIT, resource="none", max_body_bytes=UPLOAD_BYTES_MAX + MIB)
    async def save_picture(context: RequestContext, database: Database, actor: Actor) -> Response[Any]:
        """Show the uploaded picture from now on."""
        account_id = own_account(actor)
        try:
            await set_picture(database, storage, actor, account_id, await _uploaded(context))
        except (Invalid, TooLarge) as error:
            refused = error if isinstance(error, Invalid) else Invalid(error.message)
            picture: Form[PictureForm] = blank_form(PictureForm)
            picture.problems["picture"] = refused.message
            async with database.read() as session:
                return await _profile(context, session, actor, status=422, picture=picture)
        context.flash("Your picture is saved; elsewhere it may take some minutes to change.")
        return redirect("/settings/profile")

    @page.get("/-/avatar/{avatar_id:str}/{file_name:str}", action=PUBLIC, resource="none")
    async def picture(avatar_id: str, file_name: str) -> Response[bytes]:
        """Answer an uploaded picture; its address never shows another one."""
        size, _, kind = file_name.partition(".")
        if kind != "webp" or size not in {str(one) for one in SIZES}:
            raise NotFound("Not Found")
        data = await read_picture(storage, avatar_id, int(size))
        return Response(content=data, media_type=MEDIA_TYPE, headers={"Cache-Control": _FOR_EVER})

    return [profile_page, save_profile, save_picture, drop_picture, avatar, picture]


async def _uploaded(context: RequestContext) -> bytes:
    sent = (await read_fields(context)).get("picture", [])
    if not sent or not isinstance(sent[-1], UploadedFile) or not sent[-1].filename:
        message = "Choose a file first."
        raise Invalid(message, FieldProblem("picture", "missing_field", message, "User"))
    return await sent[-1].read()


@page.get("/settings/profile", action=Action.ACCOUNT_EDIT, resource="none")
async def profile_page(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Show the public profile, to be changed."""
    own_account(actor)
    return await _profile(context, session, actor)


async def _profile(
    context: RequestContext,
    session: AsyncSession,
    actor: Actor,
    *,
    status: int = 200,
    form: Form[ProfileForm] | None = None,
    picture: Form[PictureForm] | None = None,
) -> Response[str]:
    if form is None:
        found = await read_profile(session, actor, actor.label)
        form = blank_form(
            ProfileForm,
            name=found.name,
            pronouns=found.pronouns,
            bio=found.bio,
            website=found.website,
            company=found.company,
            location=found.location,
        )
    uploaded = await find_picture(context.site.database, actor.label)
    return show_settings(
        context,
        "profile.html",
        "profile",
        status=status,
        form=form,
        picture=picture or blank_form(PictureForm),
        avatar_id=uploaded,
        megabytes_max=UPLOAD_BYTES_MAX // MIB,
    )


@page.post("/settings/profile", action=Action.ACCOUNT_EDIT, resource="none")
async def save_profile(
    context: RequestContext, request: WebRequest, session: AsyncSession, actor: Actor
) -> Response[Any]:
    """Change the public profile."""
    account_id = own_account(actor)
    form = await read_form(request, ProfileForm)
    try:
        wanted = form.require()
        await update_profile(session, actor, account_id, ProfileChange(**msgspec.structs.asdict(wanted)))
    except Invalid as error:
        return await _profile(context, session, actor, status=422, form=form.reject(error))
    context.flash("Your profile is saved.")
    return redirect("/settings/profile")


@page.post(f"{PICTURE_PATH}/remove", action=Action.ACCOUNT_EDIT, resource="none")
async def drop_picture(context: RequestContext, session: AsyncSession, actor: Actor) -> Response[Any]:
    """Show the picture that grows from the name again."""
    await remove_picture(session, actor, own_account(actor))
    context.flash("Your picture is gone.")
    return redirect("/settings/profile")


@page.get("/-/avatar/{file_name:str}", action=PUBLIC, resource="none")
async def avatar(context: RequestContext, database: Database, file_name: str) -> Response[bytes]:
    """Answer the picture of a name: the uploaded one, by its lasting address, else the one that grows from the name.

    With ``.svg`` it is always the latter. ``s`` is the wanted size in pixels. A name that nobody has gets a picture
    too, so it tells nothing of who exists.
    """
    login = file_name.removesuffix(".svg")
    if not is_login(login):
        raise NotFound("Not Found")
    headers = {"Cache-Control": f"public, max-age={_STABLE_SECONDS}"}
    avatar_id = await find_picture(database, login) if login == file_name else None
    if avatar_id is None:
        return Response(content=avatar_file(login), media_type="image/svg+xml", headers=headers)
    wanted = context.request.query_params.get("s", "")
    size = best_size(int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 5 else SIZES[0])
    headers["Location"] = f"/-/avatar/{avatar_id}/{size}.webp"
    return Response(content=b"", status_code=302, headers=headers)
