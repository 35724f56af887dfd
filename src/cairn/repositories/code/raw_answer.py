"""Sending a file's bytes: at once if they are few, else piece by piece as the reader takes them; whole or a range."""

from collections.abc import Mapping

from litestar import Response
from litestar.response import Stream

from cairn.base.errors import TooLarge
from cairn.git.types import Oid
from cairn.repositories.code.browse import Code
from cairn.web.context import RequestContext
from cairn.web.downloads import begin, is_known, wanted_range

WHOLE_BYTES_MAX = 1 << 20
"""Up to this a file is answered from memory."""

RAW_BYTES_MAX = 100 << 20
"""Files beyond this are had by cloning."""


class RawTooLarge(TooLarge):
    """A file is larger than what is sent as raw."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(
            f"This file has {size_bytes:,} bytes, more than the {RAW_BYTES_MAX:,} sent here; clone to get it."
        )


async def answer_raw(
    context: RequestContext, code: Code, oid: Oid, *, media_type: str, headers: Mapping[str, str] | None = None
) -> Response[bytes] | Stream:
    """Return a blob's bytes as ``media_type``; for HEAD only how many they are. RawTooLarge beyond RAW_BYTES_MAX.

    With an ``ETag`` among the headers a reader that has it hears 304. One range is answered with 206, as players ask
    for it; several, or one of another version, with the whole file (RFC 9110, section 14).
    """
    found = {"Accept-Ranges": "bytes", **(headers or {})}
    etag = found.get("ETag", "")
    if etag and is_known(context, etag):
        return Response(content=b"", status_code=304, headers=found)
    size = await code.blob_size(oid)
    if size > RAW_BYTES_MAX:
        raise RawTooLarge(size)
    start, end, status = 0, size, 200
    wanted = wanted_range(context, size, etag)
    if wanted is not None:
        start, end, status = *wanted, 206
        if start >= end:
            return Response(content=b"", status_code=416, headers={**found, "Content-Range": f"bytes */{size}"})
        found["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    found["Content-Type"] = media_type
    if size <= WHOLE_BYTES_MAX:
        data = await code.blob(oid, max_bytes=WHOLE_BYTES_MAX)
        return Response(content=data[start:end], status_code=status, headers=found)
    found["Content-Length"] = str(end - start)
    if context.request.method == "HEAD":
        return Response(content=b"", status_code=status, headers=found)
    return Stream(await begin(code.blob_chunks(oid, start=start, end=end)), status_code=status, headers=found)
