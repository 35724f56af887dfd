"""Which language a file is written in, by its name, its ending or its first line; and what counts as code.

The names are those that most forges use. What our own table does not have, Pygments may know by its ending.
"""

import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from hashlib import sha256
from importlib import resources
from types import MappingProxyType

SHEBANG_BYTES = 256
"""So much of a file is looked at for the interpreter it names."""

_SHEBANG = re.compile(rb"#!\s*(?:\S*/)?(\S+)(?:\s+(.*))?")
_ENV_WORD = re.compile(rb"-\S+|\w+=\S*")
_ENDINGS_TRIED = 2
_NOT_CODE = ("diff", "textfmts", "textedit", "data", "configs", "console", "special", "markup", "installers")
"""Modules of Pygments whose lexers read what nobody would call a program."""

_NO_LANGUAGE = re.compile(r"\+|[Ss]ession|Traceback|EXPLAIN|armored|E-mail|^Perl6$|.{41}")
"""Names of mixtures, of what programs print, and of what our own table calls otherwise."""


class LanguageKind(StrEnum):
    """What a language is for; only the first two are counted unless a repository says otherwise."""

    PROGRAMMING = "programming"
    MARKUP = "markup"
    DATA = "data"
    PROSE = "prose"


@dataclass(frozen=True, slots=True)
class Language:
    """A language; ``colour`` as a style sheet writes it."""

    name: str
    kind: LanguageKind
    colour: str

    @property
    def is_counted(self) -> bool:
        """True if its files count without being told to."""
        return self.kind in {LanguageKind.PROGRAMMING, LanguageKind.MARKUP}


@dataclass(frozen=True, slots=True)
class _Table:
    by_name: MappingProxyType[str, Language]
    by_file: MappingProxyType[str, Language]
    by_ending: MappingProxyType[str, Language]
    by_interpreter: MappingProxyType[str, Language]


@cache
def _table() -> _Table:
    text = (resources.files(__package__) / "table.toml").read_text(encoding="utf-8")
    names: dict[str, Language] = {}
    files: dict[str, Language] = {}
    endings: dict[str, Language] = {}
    interpreters: dict[str, Language] = {}
    for name, facts in tomllib.loads(text).items():
        language = Language(name, LanguageKind(facts["kind"]), facts["colour"])
        names |= dict.fromkeys((name.lower(), *facts.get("also", "").split()), language)
        files |= dict.fromkeys(facts.get("files", "").split(), language)
        endings |= dict.fromkeys(facts.get("endings", "").split(), language)
        interpreters |= dict.fromkeys(facts.get("run", "").split(), language)
    rare = {ending: language for ending, language in _rare_endings().items() if ending not in endings}
    names = {language.name.lower(): language for language in rare.values()} | names
    return _Table(*map(MappingProxyType, (names, files, rare | endings, interpreters)))


def _rare_endings() -> dict[str, Language]:
    """Return the endings that exactly one of Pygments' lexers of programming languages claims."""
    from pygments.lexers import LEXERS

    claims: dict[str, list[Language | None]] = {}
    for module, name, _, patterns, _ in LEXERS.values():
        is_code = module.rpartition(".")[2] not in _NOT_CODE and not _NO_LANGUAGE.search(name)
        language = Language(name, LanguageKind.PROGRAMMING, _colour_of(name)) if is_code else None
        for pattern in patterns:
            if re.fullmatch(r"\*\.[a-z][\w.-]*", pattern):
                claims.setdefault(pattern[2:], []).append(language)
    return {ending: found[0] for ending, found in claims.items() if len(found) == 1 and found[0] is not None}


def _colour_of(name: str) -> str:
    """Return a colour of middle lightness that is always the same for a name."""
    digest = sha256(name.encode()).digest()
    return "#" + "".join(f"{70 + byte % 110:02x}" for byte in digest[:3])


def find_language(name: str) -> Language | None:
    """Return the language somebody names, by its name or another word for it, in any case; blanks may be hyphens."""
    names = _table().by_name
    wanted = name.strip().lower()
    return names.get(wanted) or names.get(wanted.replace("-", " "))


def all_languages() -> list[Language]:
    """Return every language there is, by name."""
    return sorted(set(_table().by_name.values()), key=lambda language: language.name.lower())


def language_of_name(file_name: bytes) -> Language | None:
    """Return the language of a file by its name alone: the whole of it, its longest ending, its ending."""
    name = file_name.decode("utf-8", "replace")
    table = _table()
    if name in table.by_file:
        return table.by_file[name]
    endings = name.lower().split(".")[1:]
    for count in range(min(_ENDINGS_TRIED, len(endings)), 0, -1):
        found = table.by_ending.get(".".join(endings[-count:]))
        if found is not None:
            return found
    # Dockerfile.alpine and Makefile.am: what stands before the first dot.
    return table.by_file.get(name.split(".", 1)[0]) if endings and not name.startswith(".") else None


def language_of_start(start: bytes) -> Language | None:
    """Return the language of the interpreter that a file's first line names; ``start`` is its first bytes."""
    match = _SHEBANG.match(start.split(b"\n", 1)[0])
    if match is None:
        return None
    program = match[1]
    if program == b"env":
        words = [word for word in (match[2] or b"").split() if not _ENV_WORD.fullmatch(word)]
        program = words[0].rpartition(b"/")[2] if words else b""
    name = program.decode("utf-8", "replace")
    interpreters = _table().by_interpreter
    # python3.12 is python3, ruby2 is ruby.
    for tried in (name, re.sub(r"\.[\d.]+$", "", name), re.sub(r"[\d.]+$", "", name)):
        if tried in interpreters:
            return interpreters[tried]
    return None


def may_begin_with_interpreter(file_name: bytes) -> bool:
    """Tell whether the name leaves open what a file is written in, as those of scripts do: it has no ending."""
    return b"." not in file_name.lstrip(b".")
