"""Sending a file's bytes: at once if they are few, else piece by piece as the reader takes them."""

from collections.abc import Mapping

from litestar import Response
from litestar.response import Stream

from cairn.base.errors import TooLarge
from cairn.git.types import Oid
from cairn.repositories.code.browse import Code
from cairn.web.context import RequestContext

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
    """Return a blob's bytes as ``media_type``; for HEAD only how many they are. RawTooLarge beyond RAW_BYTES_MAX."""
    size = await code.blob_size(oid)
    if size > RAW_BYTES_MAX:
        raise RawTooLarge(size)
    if size <= WHOLE_BYTES_MAX:
        data = await code.blob(oid, max_bytes=WHOLE_BYTES_MAX)
        return Response(content=data, media_type=media_type, headers=dict(headers or {}))
    sized = {**(headers or {}), "Content-Length": str(size)}
    if context.request.method == "HEAD":
        return Response(content=b"", media_type=media_type, headers=sized)
    return Stream(code.blob_chunks(oid), media_type=media_type, headers=sized)
