"""Sending files to keep: their names, one range of them, from wherever their bytes are."""

import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from urllib.parse import quote

from litestar import Response
from litestar.response import Stream

from cairn.base.errors import NotFoundHere
from cairn.storage.errors import StorageNotFound
from cairn.storage.object_stream import ObjectStream
from cairn.storage.storage import Storage
from cairn.web.api import etag_matches
from cairn.web.context import RequestContext
from cairn.web.security import CLOSED_POLICY

LINK_SECONDS = 300
"""So long an address lives that is signed for one download; what began meanwhile goes on."""

_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")
_PLAIN = re.compile(r"[^A-Za-z0-9._ +@=,()-]")

Pieces = AsyncGenerator[bytes, None] | ObjectStream
"""The bytes of a file as they come."""

Read = Callable[[int, int], Pieces]
"""Yields the bytes from a position up to before another one."""


def attachment(name: str) -> str:
    """Return the Content-Disposition of a file to keep, with its name for old and new clients (RFC 6266, RFC 5987)."""
    plain = _PLAIN.sub("_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def is_known(context: RequestContext, etag: str) -> bool:
    """Tell whether the client has this version already, so that the answer is 304."""
    asked = context.request.headers.get("if-none-match", "")
    return bool(asked) and etag_matches(asked, etag)


def wanted_range(context: RequestContext, size: int, etag: str) -> tuple[int, int] | None:
    """Return the range that is asked for, empty if it lies beyond the file; None where the whole file is the answer.

    One range, as players and resumed downloads ask for it; several, or one of another version, mean the whole file
    (RFC 9110, section 14).
    """
    headers = context.request.headers
    found = _RANGE.fullmatch(headers.get("range", "").replace(" ", ""))
    if context.request.method != "GET" or found is None or found[1] == found[2] == "":
        return None
    if headers.get("if-range", etag) != etag:
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size
    start, last = int(found[1]), int(found[2]) if found[2] else None
    if last is not None and last < start:
        return None
    return start, size if last is None else min(last + 1, size)


async def signed_redirect(
    context: RequestContext, storage: Storage, key: str, media_type: str, disposition: str
) -> Response[bytes] | None:
    """Return the way to an object's address that the object store signed for one download; None where there is none."""
    if context.settings.downloads != "direct":
        return None
    direct = await storage.signed_url(
        key, expires_seconds=LINK_SECONDS, content_type=media_type, content_disposition=disposition
    )
    if direct is None:
        return None
    return Response(content=b"", status_code=302, headers={"Location": direct, "Cache-Control": "no-store"})


async def answer_file(
    context: RequestContext, size: int, read: Read, *, etag: str, media_type: str, headers: Mapping[str, str]
) -> Response[bytes] | Stream:
    """Return a file of known size, or the range of it that is asked for; for HEAD only how large it is.

    Whatever its type, no browser runs anything of it: a stranger's HTML is not a page of ours.
    Errors: NotFoundHere if the object store has lost it; StorageUnavailable.
    """
    found = {"Accept-Ranges": "bytes", "Content-Security-Policy": CLOSED_POLICY, "ETag": etag, **headers}
    if is_known(context, etag):
        return Response(content=b"", status_code=304, headers=found)
    start, end, status = 0, size, 200
    wanted = wanted_range(context, size, etag)
    if wanted is not None:
        start, end, status = *wanted, 206
        if start >= end:
            return Response(content=b"", status_code=416, headers={**found, "Content-Range": f"bytes */{size}"})
        found["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    found |= {"Content-Type": media_type, "Content-Length": str(end - start)}
    if context.request.method == "HEAD" or start == end:
        return Response(content=b"", status_code=status, headers=found)
    try:
        pieces = await begin(read(start, end))
    except StorageNotFound:
        raise NotFoundHere("The server has lost the bytes of this file; its operator's backup may have them.") from None
    return Stream(pieces, status_code=status, headers=found)


async def begin(pieces: Pieces) -> AsyncGenerator[bytes, None]:
    """Return the pieces once the first is here: what cannot be had at all is refused before anything is sent."""
    try:
        first = await anext(pieces)
    except StopAsyncIteration:
        first = b""
    return _going_on(first, pieces)


async def _going_on(first: bytes, rest: Pieces) -> AsyncGenerator[bytes, None]:
    async with aclosing(rest):
        yield first
        async for piece in rest:
            yield piece
