"""Uploaded pictures: decoded with bounds and drawn anew, so that nothing of the uploaded bytes is ever served.

Only pixels survive: no metadata (where a photo was taken), no second format hidden behind the first.
"""

import asyncio
import io
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from PIL import Image, ImageOps, UnidentifiedImageError

from cairn.base.errors import FieldProblem, Invalid, TooLarge
from cairn.base.settings import MIB

UPLOAD_BYTES_MAX = 5 * MIB
PIXELS_MAX = 16_000_000
"""Looked at before anything is decoded: 64 MB in memory at most, whatever the file's bytes promise."""
SIZES = (460, 200, 96, 48)
"""Pixels a side that are kept, the largest first."""
MEDIA_TYPE = "image/webp"
_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
_QUALITY = 86

# One at a time: a flood of uploads waits instead of filling the memory.
_threads = ThreadPoolExecutor(1, thread_name_prefix="picture")


class PictureInvalid(Invalid):
    """The upload is no picture we draw."""


async def draw_picture(data: bytes) -> Mapping[int, bytes]:
    """Return the picture as square WebP files by their size in pixels.

    Errors: TooLarge over 5 MiB; PictureInvalid for what is no PNG, JPEG, GIF or WebP, is broken or has too many pixels.
    """
    if len(data) > UPLOAD_BYTES_MAX:
        raise TooLarge(f"A picture may have {UPLOAD_BYTES_MAX // MIB} MiB at most.")
    return await asyncio.get_running_loop().run_in_executor(_threads, _draw, data)


def _draw(data: bytes) -> dict[int, bytes]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=_FORMATS) as opened:
                return _squares(opened)
    except PictureInvalid:
        raise
    except (UnidentifiedImageError, Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise _refused("This is no picture we can read; use PNG, JPEG, GIF or WebP.") from None
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, IndexError, KeyError, TypeError):
        # Whatever a decoder stumbles over in bytes from a stranger.
        raise _refused("This picture is broken; save it again and try once more.") from None


def _squares(opened: Image.Image) -> dict[int, bytes]:
    width, height = opened.size
    if width * height > PIXELS_MAX:
        raise _refused(f"This picture has {width} by {height} pixels; use one of at most {PIXELS_MAX:,}.")
    if min(width, height) < 1 or max(width, height) > 100 * min(width, height):
        raise _refused("This picture is too narrow.")
    # A JPEG decodes straight to the smallest size that is enough.
    opened.draft("RGB", (SIZES[0] * 2, SIZES[0] * 2))
    picture = ImageOps.exif_transpose(opened).convert("RGBA")
    found: dict[int, bytes] = {}
    for size in SIZES:
        picture = ImageOps.fit(picture, (size, size), Image.Resampling.LANCZOS)
        clean = Image.new("RGBA", picture.size)
        clean.paste(picture)
        out = io.BytesIO()
        clean.save(out, "WEBP", quality=_QUALITY, method=4)
        found[size] = out.getvalue()
    return found


def _refused(message: str) -> PictureInvalid:
    return PictureInvalid(message, FieldProblem("picture", "invalid", message, "User"))
