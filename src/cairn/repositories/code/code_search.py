"""Searching the files of one revision: by what is in them and by what they are called.

What is typed is text to be found as it stands, or with ``/…/`` (or the switch) an expression; ``path:``, ``language:``
and ``in:path`` narrow it, with a hyphen in front they leave out. See ``docs/guides/search.md``.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

import msgspec

from cairn.base.errors import FieldProblem, Invalid
from cairn.base.linear_regex import LinearRegex
from cairn.git.blob_search import FoundFile, FoundInFiles, Stopped, compile_pattern, search_files
from cairn.git.engine import Engine
from cairn.git.fetch_cache import answer_key
from cairn.git.file_list import FileInTree, list_files
from cairn.git.path_patterns import PathPattern, matches_any
from cairn.git.store_state import StoreState
from cairn.git.types import Oid
from cairn.repositories.languages.table import Language, find_language, language_of_name
from cairn.repositories.search_words import QUERY_LENGTH_MAX, Words, split_query, unquoted

NAMES_FOUND_MAX = 200
"""Files that are called what was searched for."""

FILTERS_MAX = 20
_QUALIFIERS = frozenset({"path", "language", "lang", "in"})
_NOT_OFFERED = frozenset({"user", "org", "size", "fork", "symbol", "content", "is", "license", "enterprise"})
_WHOLE, _CUT = b"\1", b"\0"
"""What a kept answer begins with: whether it is to be kept."""

_WILDCARDS = re.compile(r"[*?\[]")


class QueryRefused(Invalid):
    """The query cannot be understood; the message says which part of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeQuery:
    """What to look for. ``in_contents`` and ``in_names`` say where; patterns and languages narrow both."""

    text: str
    is_regex: bool = False
    is_case_sensitive: bool = False
    in_contents: bool = True
    in_names: bool = True
    paths: tuple[str, ...] = ()
    other_paths: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    other_languages: tuple[str, ...] = ()


class FoundName(msgspec.Struct, array_like=True):
    """A file that is called what was searched for: its path, also as plain text and matches by turns."""

    path: bytes
    oid: str
    pieces: list[str]


class FoundCode(msgspec.Struct, array_like=True):
    """What a search came to: by content, and paths of files that are called so. ``is_partial`` of a huge tree."""

    contents: FoundInFiles
    names: list[FoundName]
    has_more_names: bool
    is_partial: bool

    @property
    def is_complete(self) -> bool:
        """True if every file was looked at."""
        return self.contents.stopped is not Stopped.TIME and not self.is_partial


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(FoundCode).decode


def read_query(typed: str, *, is_regex: bool = False, is_case_sensitive: bool = False) -> CodeQuery:
    """Return what somebody typed as a query. Errors: QueryRefused."""
    if len(typed) > QUERY_LENGTH_MAX:
        raise _refused(f"A search has at most {QUERY_LENGTH_MAX:,} characters.")
    words = split_query(typed, _QUALIFIERS)
    text = words.text
    if len(text) > 2 and text.startswith("/") and text.endswith("/") and not is_regex:
        text, is_regex = text[1:-1], True
    elif not is_regex:
        text = unquoted(text)
    in_contents, in_names = _places(words.of("in"))
    query = CodeQuery(
        text=text,
        is_regex=is_regex,
        is_case_sensitive=is_case_sensitive,
        in_contents=in_contents,
        in_names=in_names,
        paths=tuple(words.of("path")),
        other_paths=tuple(words.of("path", is_negated=True)),
        languages=_languages(words, is_negated=False),
        other_languages=_languages(words, is_negated=True),
    )
    if len(words.qualifiers) > FILTERS_MAX:
        raise _refused(f"A search has at most {FILTERS_MAX} filters.")
    return query


def read_api_query(typed: str) -> tuple[list[str], CodeQuery]:
    """Return the repositories that ``repo:`` names, and the rest of a query as GitHub's API writes it.

    ``extension:`` and ``filename:`` are paths here. Errors: QueryRefused for what is not offered.
    """
    words = split_query(typed, {"repo", "extension", "filename", *_QUALIFIERS, *_NOT_OFFERED})
    for one in words.qualifiers:
        if one.name in _NOT_OFFERED or (one.is_negated and one.name == "repo"):
            raise _refused(f"{'-' * one.is_negated}{one.name}: is not offered here.")
    rest = [words.text]
    for one in words.qualifiers:
        sign = "-" * one.is_negated
        if one.name == "extension":
            rest.append(f'{sign}path:"*.{one.value.removeprefix(".")}"')
        elif one.name == "filename":
            rest.append(f'{sign}path:"**/{one.value}"')
        elif one.name != "repo":
            rest.append(f'{sign}{one.name}:"{one.value}"')
    query = read_query(" ".join(rest))
    if not words.of("in"):
        # GitHub looks into the files unless told otherwise.
        query = replace(query, in_names=False)
    return list(dict.fromkeys(name.lower() for name in words.of("repo"))), query


def _places(values: Sequence[str]) -> tuple[bool, bool]:
    wanted = {part for value in values for part in value.lower().split(",")}
    if not wanted <= {"file", "path"}:
        raise _refused("in: takes file (what is in the files) or path (what they are called).")
    return not wanted or "file" in wanted, not wanted or "path" in wanted


def _languages(words: Words, *, is_negated: bool) -> tuple[str, ...]:
    found = []
    for name in words.of("language", is_negated=is_negated) + words.of("lang", is_negated=is_negated):
        language = find_language(name)
        if language is None:
            raise _refused(f"No language is called {name[:60]!r} here.")
        found.append(language.name)
    return tuple(found)


def _refused(message: str) -> QueryRefused:
    return QueryRefused(message, FieldProblem("q", "invalid", message))


def narrow(files: Sequence[FileInTree], query: CodeQuery) -> list[FileInTree]:
    """Return the files that a query's filters leave, in their order."""
    wanted, unwanted = _patterns(query.paths), _patterns(query.other_paths)
    languages, other = frozenset(query.languages), frozenset(query.other_languages)
    known: dict[bytes, Language | None] = {}

    def is_left(file: FileInTree) -> bool:
        if (wanted and not matches_any(wanted, file.path)) or matches_any(unwanted, file.path):
            return False
        if not languages and not other:
            return True
        ending = file.name.lower().partition(b".")[2] or file.name
        if ending not in known:
            known[ending] = language_of_name(file.name)
        language = known[ending]
        name = language.name if language is not None else ""
        return (not languages or name in languages) and name not in other

    return [file for file in files if is_left(file)]


def _patterns(values: Sequence[str]) -> list[PathPattern]:
    """Return path filters compiled: one without wildcards is a folder or a file from the root on."""
    found = []
    for value in values:
        text = value if _WILDCARDS.search(value) or value.startswith("/") else f"/{value}"
        found.append(PathPattern(text.encode("utf-8", "surrogateescape")))
    return found


async def search_code(
    engine: Engine, state: StoreState, tree: Oid, query: CodeQuery, *, deadline_seconds: float
) -> FoundCode:
    """Return what is found in a tree whose reachability the caller has proved; a whole answer is kept for the next.

    Errors: PatternRefused, the runner's.
    """
    pattern = compile_pattern(query.text, is_regex=query.is_regex, is_case_sensitive=query.is_case_sensitive)
    key = answer_key("search", state.id, state.cache_epoch, tree, msgspec.msgpack.encode(query))
    known = engine.answers.find(key)
    if known is not None:
        return _read(known if isinstance(known, bytes) else await asyncio.to_thread(known.read_bytes))

    async def produce() -> AsyncGenerator[bytes, None]:
        found = await _search(engine, state, tree, query, pattern, deadline_seconds)
        # What time cut off is the asker's bad luck, not the answer.
        yield _WHOLE if found.contents.stopped is not Stopped.TIME else _CUT
        yield _encode(found)

    async with engine.answers.fly(key, produce, shared=None, is_final=lambda head: head[:1] == _WHOLE) as flight:
        return _read(b"".join([chunk async for chunk in flight.chunks()]))


def _read(answer: bytes) -> FoundCode:
    return _decode(memoryview(answer)[1:])


async def _search(
    engine: Engine, state: StoreState, tree: Oid, query: CodeQuery, pattern: LinearRegex, deadline_seconds: float
) -> FoundCode:
    listed = await list_files(engine, state, tree)
    files = await asyncio.to_thread(narrow, listed.files, query)
    names = await asyncio.to_thread(_find_names, pattern, files) if query.in_names else []
    contents = FoundInFiles([], 0, len(files), 0, Stopped.NOT)
    if query.in_contents:
        contents = await search_files(engine, state, files, pattern, deadline_seconds=deadline_seconds)
    return FoundCode(contents, names[:NAMES_FOUND_MAX], len(names) > NAMES_FOUND_MAX, listed.is_truncated)


def _find_names(pattern: LinearRegex, files: Sequence[FileInTree]) -> list[FoundName]:
    found = []
    for file in files:
        if pattern.found_in(file.path) and (spans := pattern.spans(file.path, most=10)):
            found.append(FoundName(file.path, file.oid, _pieces(file.path, spans)))
            if len(found) > NAMES_FOUND_MAX:
                break
    return found


def _pieces(path: bytes, spans: Sequence[tuple[int, int]]) -> list[str]:
    pieces, place = [], 0
    for start, end in spans:
        pieces += [path[place:start], path[start:end]]
        place = end
    return [piece.decode("utf-8", "replace") for piece in [*pieces, path[place:]]]


def page_of(found: FoundCode, *, page: int, per_page: int) -> tuple[list[FoundFile], bool]:
    """Return the files of one page (from 1) of what was found by content, and whether more follow."""
    start = (page - 1) * per_page
    return found.contents.files[start : start + per_page], len(found.contents.files) > start + per_page
