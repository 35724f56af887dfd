"""Where relative addresses of a text lead: to files of the same revision, whatever folder the text lies in."""

import re
from html import unescape
from typing import Literal
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec

from cairn.web.urls import path_join

ID_PREFIX = "user-content-"
"""Before every id that comes from a text, so that none can take the place of the page's own."""

LINK_SCHEMES = frozenset({"http", "https", "mailto"})
IMAGE_SCHEMES = frozenset({"http", "https"})
AddressKind = Literal["link", "image"]

_RENDERED = (b".md", b".markdown", b".rst", b".ipynb")
_WIKI_RENDERED = (b".md", b".markdown", b".rst")
_LINE = re.compile(r"L\d+(C\d+)?(-L?\d+(C\d+)?)?")
_LEVELS_TO_REPOSITORY = 2  # ``/blob/REVISION``: so many folders stand between a file's page and its repository


class LinkContext(msgspec.Struct, frozen=True):
    """The place a text has on the site.

    ``repository`` is the repository's path (``/ada/engine``), with the origin before it where the HTML leaves the site;
    ``revision`` is what the page's address calls the revision, ``folder`` the text's own folder in it, as git has them.
    """

    repository: str
    revision: bytes
    folder: bytes = b""
    is_wiki: bool = False
    """The text is a page of the repository's wiki: its links lead to pages there, its pictures to the wiki's files."""

    def lead(self, address: str, kind: AddressKind) -> str:
        """Return where a relative address leads: a page for links, the bytes for images.

        A leading slash means the repository's root. What climbs out of the revision ends at the repository's own pages,
        so that ``../../issues`` works as it does elsewhere, and never leaves the repository.
        """
        rest, mark, fragment = address.partition("#")
        path, question, query = rest.partition("?")
        target, above = _join(b"" if path.startswith("/") else self.folder, unquote_to_bytes(path))
        if self.is_wiki:
            return self._lead_in_wiki(target, above, kind, question + query, mark + fragment)
        if above >= _LEVELS_TO_REPOSITORY:
            return self.repository + (path_join(target) if target else "") + question + query + mark + fragment
        here = path_join("raw" if kind == "image" else "blob", self.revision)
        found = self.repository + here + (path_join(target) if target else "")
        if kind == "image":
            return found + mark + fragment
        if fragment and target.lower().endswith(_RENDERED) and not _LINE.fullmatch(fragment):
            fragment = prefixed_id(fragment)
        return found + question + query + mark + fragment

    def _lead_in_wiki(self, target: bytes, above: int, kind: AddressKind, query: str, fragment: str) -> str:
        """Return where an address leads that a wiki's page has: the page is one folder below its repository."""
        if above:
            return self.repository + (path_join(target) if target else "") + query + fragment
        if kind == "image":
            return self.repository + path_join("wiki", "_files", "raw", self.revision, target) + fragment
        name = target
        for ending in _WIKI_RENDERED:
            name = name.removesuffix(ending)
        heading = "#" + prefixed_id(fragment[1:]) if len(fragment) > 1 else fragment
        return self.repository + (path_join("wiki", name) if name else path_join("wiki")) + query + heading


def _join(folder: bytes, target: bytes) -> tuple[bytes, int]:
    """Return a relative path made absolute within the revision, and how often it climbed above the root."""
    parts = folder.split(b"/") if folder else []
    above = 0
    for part in target.split(b"/"):
        if part == b"..":
            above += not parts
            del parts[-1:]
        elif part not in {b"", b"."}:
            parts.append(part)
    return b"/".join(parts), above


def prefixed_id(value: str) -> str:
    """Return an id of a text as the page carries it."""
    return value if value.startswith(ID_PREFIX) else ID_PREFIX + value


def lead_address(address: str, kind: AddressKind, links: LinkContext | None) -> str | None:
    """Return an address of a text as the page may carry it, None for one that it may not.

    Absolute ones stay as they are if their scheme is allowed; ``//host`` and what browsers read as such is refused.
    """
    cleaned = "".join(c for c in unescape(address) if c not in "\t\r\n").strip()
    try:
        parts = urlsplit(cleaned)
    except ValueError:
        return None
    if parts.scheme:
        allowed = IMAGE_SCHEMES if kind == "image" else LINK_SCHEMES
        return address if parts.scheme.lower() in allowed else None
    if cleaned.startswith(("//", "\\", "/\\")):
        return None
    if cleaned.startswith("#"):
        return "#" + prefixed_id(cleaned[1:]) if kind == "link" and cleaned[1:] else cleaned
    return links.lead(cleaned, kind) if links is not None and cleaned else address
