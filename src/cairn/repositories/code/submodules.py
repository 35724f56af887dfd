"""Submodules: what ``.gitmodules`` says of them, and where a reader finds the commit they are at."""

import posixpath
import re
from urllib.parse import urlsplit

from cairn.base.errors import NotFound
from cairn.base.settings import Settings
from cairn.git.types import Oid
from cairn.repositories.code.browse import Code
from cairn.repositories.code.revisions import Place, Revision
from cairn.repositories.queries import RepositoryView
from cairn.web.urls import path_join

GITMODULES = b".gitmodules"
GITMODULES_BYTES_MAX = 256 << 10
_SECTION = re.compile(r'\[\s*submodule\s+"(?:[^"\\]|\\.)*"\s*\]')
_SETTING = re.compile(r"([A-Za-z][A-Za-z0-9-]*)\s*=\s*(.*)")
_VALUE_PIECE = re.compile(r'"((?:[^"\\]|\\.)*)"|(\\.)|([#;].*)|([^"\\#;]+)')
_ESCAPES = {"n": "\n", "t": "\t", "b": "\b"}
_SCP_LIKE = re.compile(r"(?:[^@/:\s]+@)?([^/:\s]+):(?!//)(.+)")


async def read_submodules(code: Code, revision: Revision) -> dict[bytes, str]:
    """Return path to address of a revision's submodules, as far as it says so."""
    try:
        entry = await code.entry(Place(revision, GITMODULES))
        content = await code.file(entry, max_bytes=GITMODULES_BYTES_MAX)
    except NotFound:
        return {}
    return parse_gitmodules(content.data or b"")


def parse_gitmodules(data: bytes) -> dict[bytes, str]:
    """Return path to address of a ``.gitmodules`` file; what cannot be read is left out.

    Source: git-config(1), "Syntax", without continued lines, which git does not write here.
    """
    found: dict[bytes, str] = {}
    values: dict[str, str] = {}
    for line in data.decode("utf-8", "surrogateescape").splitlines():
        word = line.strip()
        if word.startswith("["):
            values = {}
        elif setting := _SETTING.fullmatch(word):
            values[setting[1].lower()] = _value(setting[2])
            if {"path", "url"} <= values.keys():
                found[values["path"].encode("utf-8", "surrogateescape")] = values["url"]
    return found


def _value(raw: str) -> str:
    """Return a value without its quotes, escapes and comment."""
    text = ""
    for quoted, escaped, comment, plain in _VALUE_PIECE.findall(raw):
        if comment:
            break
        text += re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), quoted or escaped) or plain
    return text.strip()


def submodule_href(url: str, oid: Oid | str, repository: RepositoryView, settings: Settings) -> str:
    """Return where a reader finds a submodule: at its commit on this forge, else its own page on the web.

    Empty for an address that no browser opens. Credentials in an address are left out.
    """
    own = _path_here(url, repository, settings)
    if own is not None:
        parts = own.strip("/").removesuffix(".git").split("/")
        is_name = len(parts) == 2 and all(part.strip(".") for part in parts)
        return path_join(*parts, "tree", oid) if is_name else ""
    try:
        found = urlsplit(url)
        host = found.hostname
    except ValueError:
        return ""
    if found.scheme not in {"http", "https"} or not host:
        return ""
    return f"{found.scheme}://{found.netloc.rpartition('@')[2]}{found.path.removesuffix('.git')}"


def _path_here(url: str, repository: RepositoryView, settings: Settings) -> str | None:
    """Return the path of a repository on this forge that an address means, None for another host's."""
    if url.startswith(("./", "../")):
        # Git takes it from the address of the repository itself.
        return posixpath.normpath(posixpath.join("/", repository.owner, repository.name, url))
    if scp_like := _SCP_LIKE.fullmatch(url):
        return scp_like[2] if scp_like[1] == urlsplit(settings.ssh_origin).hostname else None
    try:
        found = urlsplit(url)
        place = (found.scheme, found.hostname, found.port)
    except ValueError:
        return None
    ours = [urlsplit(origin) for origin in (settings.origin, settings.ssh_origin)]
    return found.path if place in [(own.scheme, own.hostname, own.port) for own in ours] else None
