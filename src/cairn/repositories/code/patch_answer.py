"""Sending changes as text: at once if they are few, else piece by piece as git writes and the reader takes them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Literal, TypeVar

from litestar import Response
from litestar.response import Stream

from cairn.base.errors import NotFoundHere
from cairn.git.history import Objects
from cairn.git.patches import diff_text, mail_text, series_text
from cairn.git.reading import Commit
from cairn.git.types import Oid
from cairn.repositories.code.browse import Code
from cairn.repositories.code.comparing import Sides, read_sides, where_parted
from cairn.web.context import RequestContext

WHOLE_BYTES_MAX = 256 << 10
"""Up to this a change is answered from memory, with a length and a validator."""

PLAIN = "text/plain"
"""What browsers show as text, as UTF-8: no mail and no diff has one encoding, most have this one."""

Form = Literal["diff", "patch"]
FORMS: tuple[Form, ...] = ("diff", "patch")
Text = AsyncGenerator[bytes, None]


Address = TypeVar("Address", str, bytes)


def split_form(address: Address) -> tuple[Address, Form | None]:
    """Return an address without ``.diff`` or ``.patch`` at its end, and which of them it was."""
    for form in FORMS:
        suffix = f".{form}" if isinstance(address, str) else f".{form}".encode()
        if address.endswith(suffix):
            return address[: -len(suffix)], form
    return address, None


async def read_sides_and_form(code: Code, address: bytes) -> tuple[Sides, Form | None]:
    """Return what an address compares, and how: as a page (None) or as text, by ``.diff`` or ``.patch`` at its end.

    A branch whose name ends so is meant first. Errors: read_sides'.
    """
    rest, form = split_form(address)
    if form is not None:
        try:
            return await read_sides(code, address), None
        except NotFoundHere:
            address = rest
    return await read_sides(code, address), form


async def commit_text(code: Code, commit: Commit, form: Form) -> Text:
    """Yield what a commit changed against its first parent, as a diff or as a mail for ``git am``.

    The pieces may be read after ``code`` is closed. Errors: those of cairn.git.patches, mostly before the first piece.
    """
    engine, state, _ = code.parts
    old = commit.parent_oids[0] if commit.parent_oids else None
    async with engine.view(state) as view:
        objects = Objects(view.path)
        if form == "patch":
            text = mail_text(engine.runner, objects, commit.oid)
        else:
            text = diff_text(engine.runner, objects, old=old, new=commit.oid)
        async with aclosing(text) as pieces:
            async for piece in pieces:
                yield piece


async def comparison_text(code: Code, sides: Sides, form: Form) -> Text:
    """Return what a comparison shows: what differs as a diff, or the commits that the head has alone as mails.

    The pieces may be read after ``code`` is closed. Errors: ComparisonUnknown; the rest as of commit_text.
    """
    old, _ = await where_parted(code, sides)
    return _compared(code, form, old=old, base=sides.base.commit_oid, head=sides.head.commit_oid)


async def _compared(code: Code, form: Form, *, old: Oid, base: Oid, head: Oid) -> Text:
    engine, state, _ = code.parts
    async with engine.view(state) as view:
        objects = Objects(view.path)
        if form == "patch":
            text = series_text(engine.runner, objects, base=base, tip=head)
        else:
            text = diff_text(engine.runner, objects, old=old, new=head)
        async with aclosing(text) as pieces:
            async for piece in pieces:
                yield piece


async def answer_text(context: RequestContext, text: Text, *, media_type: str) -> Response[bytes] | Stream:
    """Return the text as an answer; what cannot be made at all is refused before anything is sent.

    What fails later breaks the connection off, so that nobody takes a part for the whole.
    """
    if context.request.method == "HEAD":
        await text.aclose()
        return Response(content=b"", media_type=media_type)
    begun = bytearray()
    async for piece in text:
        begun += piece
        if len(begun) > WHOLE_BYTES_MAX:
            return Stream(_going_on(bytes(begun), text), media_type=media_type)
    return Response(content=bytes(begun), media_type=media_type)


async def _going_on(begun: bytes, text: Text) -> Text:
    async with aclosing(text):
        yield begun
        async for piece in text:
            yield piece
