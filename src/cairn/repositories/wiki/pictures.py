"""Pictures of a wiki: files below ``uploads/``, named for what they hold, so that none ever takes another's place."""

import asyncio
import hashlib
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid
from cairn.base.settings import MIB
from cairn.git.engine import Engine
from cairn.repositories.code.file_kinds import FileKind, media_kind, read_dimensions
from cairn.repositories.editing.changes import PutFile
from cairn.repositories.editing.commit_changes import NothingChanges
from cairn.repositories.queries import RepositoryView
from cairn.repositories.wiki.access import require_wiki_edit
from cairn.repositories.wiki.edit import commit_to_wiki, with_store
from cairn.web.multipart import UploadedFile

PICTURES_MAX = 20
PICTURES_BYTES_MAX = 20 * MIB
"""All pictures of one upload together; larger ones are pushed."""

_FOLDER = "uploads"
_STEM_LENGTH_MAX = 80
_HASH_DIGITS = 12
_ODD = re.compile(r"[^a-z0-9]+")


class PicturesRefused(Invalid):
    """Files that are no pictures, or more than one upload may have; the message says which."""

    def __init__(self, message: str) -> None:
        super().__init__(message, FieldProblem("files", "invalid", message))


async def add_pictures(
    engine: Engine, actor: Actor, repository: RepositoryView, files: Sequence[UploadedFile]
) -> list[str]:
    """The wiki has these pictures; return their paths, in order. One that it had already stays as it is.

    Errors: PicturesRefused; NotFound, Unauthenticated, Forbidden, NoWiki; the engine's.
    """
    require_wiki_edit(actor, repository.scope, is_open=repository.is_wiki_open)
    if not files:
        raise PicturesRefused("Choose at least one picture.")
    if len(files) > PICTURES_MAX:
        raise PicturesRefused(f"{len(files)} pictures are more than the {PICTURES_MAX} of one upload.")
    if sum(file.size_bytes for file in files) > PICTURES_BYTES_MAX:
        raise PicturesRefused(
            f"The pictures have more than {PICTURES_BYTES_MAX // MIB} MiB together; push larger ones."
        )
    paths = [await asyncio.to_thread(_path_of, file.filename, file.path) for file in files]
    repository = await with_store(engine, actor, repository)
    changes = [PutFile(path.encode(), file.path) for path, file in dict(zip(paths, files, strict=True)).items()]
    said = f"Add {paths[0]}" if len(changes) == 1 else f"Add {len(changes)} pictures"
    with suppress(NothingChanges):  # all of them are there
        await commit_to_wiki(engine, actor, repository, changes, said)
    return paths


def _path_of(filename: str, file: Path) -> str:
    """Return where a picture goes. Errors: PicturesRefused. Blocks."""
    data = file.read_bytes()
    name = filename.replace("\\", "/").rpartition("/")[2]
    stem, _, ending = name.rpartition(".")
    if media_kind(name.encode("utf-8", "replace")) is not FileKind.IMAGE or read_dimensions(data) is None:
        raise PicturesRefused(
            f"{name[:100]!r} is no picture that goes this way: PNG, JPEG, GIF, WebP or AVIF. Push others."
        )
    short = _ODD.sub("-", stem.lower())[:_STEM_LENGTH_MAX].strip("-") or "picture"
    return f"{_FOLDER}/{short}-{hashlib.sha256(data).hexdigest()[:_HASH_DIGITS]}.{ending.lower()}"


def markdown_of(path: str, filename: str) -> str:
    """Return what shows a picture on any page of the wiki; its words are the name that it came with."""
    stem = filename.replace("\\", "/").rpartition("/")[2].rpartition(".")[0]
    words = " ".join(re.sub(r"[^\w-]+", " ", stem).split())
    return f"![{words}](/{path})"
