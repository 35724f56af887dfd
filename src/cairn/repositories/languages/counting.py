"""How many bytes of a tree are written in which language."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from cairn.git.engine import Engine
from cairn.git.file_list import FileInTree, FileList, list_files
from cairn.git.node_cache import View
from cairn.git.reading import ObjectNotFound, ObjectReader
from cairn.git.store_state import StoreState
from cairn.git.types import Oid
from cairn.repositories.languages.attributes import ATTRIBUTES_FILE, FILES_READ_MAX, Attributes, is_left_out
from cairn.repositories.languages.table import (
    SHEBANG_BYTES,
    Language,
    find_language,
    language_of_name,
    language_of_start,
    may_begin_with_interpreter,
)

STARTS_READ_MAX = 1000
"""Files without an ending whose first line is looked at."""

_ATTRIBUTES_BYTES_MAX = 256 << 10
_SCRIPT_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Counted:
    """Bytes by language, the largest first."""

    sizes: Mapping[str, int]
    is_complete: bool

    @property
    def main(self) -> str | None:
        """The language with the most bytes; None where there is no code."""
        return next(iter(self.sizes), None)


async def count_tree(engine: Engine, state: StoreState, tree: Oid) -> Counted:
    """Return what a tree is written in. Errors: the runner's."""
    found = await list_files(engine, state, tree)
    async with engine.view(state) as view:
        attributes = Attributes.read(await _read_attributes(view, found.files))
        starts = await _read_starts(view, found.files)
    return await asyncio.to_thread(_count, found, attributes, starts)


def _count(found: FileList, attributes: Attributes, starts: Mapping[bytes, bytes]) -> Counted:
    sizes: Counter[str] = Counter()
    for file in found.files:
        if file.size_bytes and (language := counted_language(file, attributes, starts.get(file.path, b""))) is not None:
            sizes[language.name] += file.size_bytes
    return Counted(dict(sizes.most_common()), not found.is_truncated)


def counted_language(file: FileInTree, attributes: Attributes, start: bytes) -> Language | None:
    """Return the language a file counts for, None if it counts for none; ``start`` is how it begins, where read."""
    said = attributes.of(file.path)
    if is_left_out(file.path, said):
        return None
    named = find_language(said.language) if said.language else None
    language = named or language_of_name(file.name) or language_of_start(start)
    if language is None or not (language.is_counted if said.detectable is None else said.detectable):
        return None
    return language


async def _read_attributes(view: View, files: Sequence[FileInTree]) -> dict[bytes, bytes]:
    wanted = [file for file in files if file.name == ATTRIBUTES_FILE and file.size_bytes <= _ATTRIBUTES_BYTES_MAX]
    wanted.sort(key=lambda file: file.path.count(b"/"))
    return await _read(view, wanted[:FILES_READ_MAX])


async def _read_starts(view: View, files: Sequence[FileInTree]) -> dict[bytes, bytes]:
    """Return how files begin whose names leave open what they are."""
    wanted = [
        file
        for file in files
        if may_begin_with_interpreter(file.name)
        and file.size_bytes <= _SCRIPT_BYTES_MAX
        and language_of_name(file.name) is None
    ]
    found = await _read(view, wanted[:STARTS_READ_MAX])
    return {path: data[:SHEBANG_BYTES] for path, data in found.items()}


async def _read(view: View, files: Iterable[FileInTree]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    with closing(ObjectReader(view.path)) as reader:
        for file in files:
            try:
                found[file.path] = await reader.read_blob(Oid(file.oid), max_bytes=file.size_bytes)
            except ObjectNotFound:
                continue  # a store that lacks it has worse troubles than this count
    return found
