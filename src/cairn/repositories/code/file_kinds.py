"""What a file is to its readers: text, a picture, sound, a pointer to a large object; and as what its bytes are sent.

Types come from our own table: what a machine's list of types says of a name decides nothing.
"""

import io
from enum import StrEnum

from cairn.git.types import show
from cairn.web.highlight import is_known_language
from cairn.web.text_files import read_text

_TYPES = {
    "png": "image/png", "apng": "image/apng", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif",
    "webp": "image/webp", "avif": "image/avif", "bmp": "image/bmp", "ico": "image/x-icon", "svg": "image/svg+xml",
    "mp3": "audio/mpeg", "m4a": "audio/mp4", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav",
    "ogg": "audio/ogg", "oga": "audio/ogg", "opus": "audio/ogg", "weba": "audio/webm",
    "mp4": "video/mp4", "m4v": "video/mp4", "webm": "video/webm", "ogv": "video/ogg", "mov": "video/quicktime",
    "pdf": "application/pdf",
}  # fmt: skip
_TEXT_SUFFIXES = frozenset({"txt", "log", "csv", "tsv", "srt", "vtt", "ndjson", "jsonl", "lst", "list"})
_PICTURES = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "ICO", "AVIF")


class FileKind(StrEnum):
    """How a page shows a file."""

    TEXT = "text"
    SYMLINK = "symlink"
    SUBMODULE = "submodule"
    LFS = "lfs"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    PDF = "pdf"
    BINARY = "binary"
    LARGE = "large"


def media_type(name: bytes) -> str:
    """Return the type of a picture, sound, film or PDF by its name; empty for everything else."""
    return _TYPES.get(_suffix(name), "")


def media_kind(name: bytes) -> FileKind | None:
    """Return as what a file of that name is played or drawn, None for none of these."""
    kind = media_type(name).partition("/")[0]
    if kind == "application":
        return FileKind.PDF
    return FileKind(kind) if kind else None


def raw_type(name: bytes, data: bytes | None) -> str:
    """Return the type that a file's bytes are sent as: nothing that a browser runs, where the answer is sandboxed.

    ``data`` None stands for a large file, which is judged by its name.
    """
    if found := media_type(name):
        return found
    if data is None:
        is_text = _suffix(name) in _TEXT_SUFFIXES or is_known_language(show(name))
        return "text/plain; charset=utf-8" if is_text else "application/octet-stream"
    text = read_text(data)
    return "application/octet-stream" if text is None else f"text/plain; charset={text.encoding.lower()}"


def read_dimensions(data: bytes) -> tuple[int, int] | None:
    """Return width and height of a picture from its header, None where it does not say. Blocks: call it in a thread."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data), formats=_PICTURES) as picture:
            return picture.size
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _suffix(name: bytes) -> str:
    return name.rpartition(b".")[2].decode("ascii", "replace").lower() if b"." in name else ""
