"""What a git client asks for: the address of an HTTP request, the command of an SSH session, the protocol's version."""

import re
from dataclasses import dataclass
from enum import StrEnum

from cairn.base.errors import Malformed
from cairn.git.bundles import BUNDLE_PART
from cairn.git.types import show


class Verb(StrEnum):
    """The conversations there are; values are git's names for them."""

    FETCH = "git-upload-pack"
    PUSH = "git-receive-pack"
    ARCHIVE = "git-upload-archive"
    """Over SSH only."""
    LFS_DOWNLOAD = "git-lfs-authenticate download"
    LFS_UPLOAD = "git-lfs-authenticate upload"
    """Over SSH a command with its operation; over HTTP only a name for what is counted."""


class Part(StrEnum):
    """What of a repository an HTTP address names; values are paths below the repository."""

    REFS = "info/refs"
    FETCH = "git-upload-pack"
    PUSH = "git-receive-pack"
    BUNDLE = BUNDLE_PART
    DUMB = "(dumb)"
    """A file of the old protocol that a web server could serve by itself."""


@dataclass(frozen=True, slots=True)
class GitAddress:
    """An address that belongs to git. ``name`` is as written, with or without ``.git``."""

    owner: str
    name: str
    part: Part


class CommandUnknown(Malformed):
    """An SSH command that is none of git's; the message is for the person who typed it."""


@dataclass(frozen=True, slots=True)
class GitCommandLine:
    """What an SSH client asked to run: ``path`` is only a name to look up."""

    verb: Verb
    owner: str
    name: str


_ADDRESS = re.compile(
    r"/([^/]+)/([^/]+)/(info/refs|git-upload-pack|git-receive-pack|clone\.bundle|"
    r"(HEAD|objects/(?:info/[^/]+|pack/[^/]+|../[^/]+)))"
)
_VERSION = re.compile(r"(?:^|:)version=([0-9])(?=:|\Z)")
_PROTOCOL_LENGTH_MAX = 200
_COMMAND_LENGTH_MAX = 1000
_COMMAND = re.compile(r"\s*git[ -](upload-pack|receive-pack|upload-archive)\s+(\S.*?)\s*", re.DOTALL)
_LFS_COMMAND = re.compile(r"\s*(git-lfs-authenticate)\s+(\S.*?)\s+(download|upload)\s*", re.DOTALL)
_TOKEN = re.compile(r"""'([^']*)'|"([^"\\$`]*)"|\\(['!])|([A-Za-z0-9._/~@%+=:,-]+)""")


def parse_address(path: str) -> GitAddress | None:
    """Return what a path asks for, None if it is not git's."""
    # Most requests are not git's, and those that are end in one of few ways: the suffix is the cheap question.
    if not path.endswith(("/info/refs", "-pack", "/HEAD", "/clone.bundle")) and "/objects/" not in path:
        return None
    match = _ADDRESS.fullmatch(path)
    if match is None:
        return None
    owner, name, part, dumb = match.groups()
    return GitAddress(owner, name, Part.DUMB if dumb else Part(part))


def requested_version(protocol: str) -> int:
    """Return the highest protocol version of 0, 1 and 2 that a Git-Protocol header (or GIT_PROTOCOL) asks for."""
    if not protocol or len(protocol) > _PROTOCOL_LENGTH_MAX:
        return 0
    return max((int(number) for number in _VERSION.findall(protocol) if int(number) <= 2), default=0)


def parse_command(command: str) -> GitCommandLine:
    """Return what a command line asks for, read by git's own quoting and nothing else of a shell; CommandUnknown."""
    if len(command) <= _COMMAND_LENGTH_MAX and (match := _LFS_COMMAND.fullmatch(command)):
        return _command_line(Verb(f"{match[1]} {match[3]}"), match[2])
    match = _COMMAND.fullmatch(command) if len(command) <= _COMMAND_LENGTH_MAX else None
    if match is None:
        raise CommandUnknown(f"Cairn runs no {show(command[:60].encode())!r}: only git fetch and git push work here.")
    return _command_line(Verb(f"git-{match[1]}"), match[2])


def _command_line(verb: Verb, argument: str) -> GitCommandLine:
    owner, _, name = _unquote(argument).removeprefix("/").removesuffix("/").partition("/")
    return GitCommandLine(verb, owner, name)


def _unquote(text: str) -> str:
    r"""Undo the quoting of one argument: ``'…'``, ``"…"`` without escapes, ``\`` before ' or !, plain characters."""
    pieces: list[str] = []
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise CommandUnknown(f"Cairn cannot read the argument {show(text[:60].encode())!r}: it wants one path.")
        pieces.append(token[token.lastindex or 0])
        at = token.end()
    return "".join(pieces)
