"""What wiki pages are called: a title ``Set up``, a name in addresses ``Set-up``, a file ``Set-up.md``.

A page is a file with one of ``PAGE_ENDINGS``; blanks of its title are hyphens in its file's name, and folders are
part of the name (``guides/Set-up``). Files of other endings belong to the wiki, and are no pages.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cairn.base.errors import FieldProblem, Invalid
from cairn.git.types import is_oid, show
from cairn.git.writing import PathInvalid, check_path
from cairn.repositories.wiki.models import PAGE_BYTES_MAX
from cairn.web.markup.documents import TextKind

HOME = b"Home"
SIDEBAR = b"_Sidebar"
FOOTER = b"_Footer"
FORMATS = {"md": "Markdown", "rst": "reStructuredText", "txt": "Plain text"}
"""What a page may be written in here, by the ending of its file."""

PAGE_ENDINGS: Mapping[bytes, TextKind | None] = {
    b"md": TextKind.MARKDOWN,
    b"markdown": TextKind.MARKDOWN,
    b"mdown": TextKind.MARKDOWN,
    b"mkd": TextKind.MARKDOWN,
    b"mkdn": TextKind.MARKDOWN,
    b"rst": TextKind.RST,
    b"rest": TextKind.RST,
    b"txt": None,
    b"asciidoc": None,
    b"adoc": None,
    b"org": None,
    b"textile": None,
    b"mediawiki": None,
    b"wiki": None,
    b"creole": None,
    b"rdoc": None,
    b"pod": None,
}
"""Endings of pages, the preferred first, and what renders them; None is shown as it is written."""

_SPECIAL = frozenset({SIDEBAR.lower(), FOOTER.lower()})
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f\\\[\]|#?<>*":\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]')
_ORDER = {ending: number for number, ending in enumerate(PAGE_ENDINGS)}


class PageNameInvalid(Invalid):
    """The text cannot be the title of a page; the message says why."""

    def __init__(self, message: str) -> None:
        super().__init__(message, FieldProblem("title", "invalid", message))


@dataclass(frozen=True, slots=True)
class WikiPage:
    """A page: its file's path, and the name that addresses have."""

    path: bytes
    oid: str
    name: bytes

    @property
    def title(self) -> str:
        """The name for people: its last part with blanks."""
        return title_of(self.name)

    @property
    def ending(self) -> bytes:
        """The ending of its file, in lower case."""
        return self.path.rpartition(b".")[2].lower()

    @property
    def kind(self) -> TextKind | None:
        """What renders it, None if it is shown as it is written."""
        return PAGE_ENDINGS[self.ending]

    @property
    def folder(self) -> bytes:
        """The folder its relative links start from."""
        return self.path.rpartition(b"/")[0]


def name_of(path: bytes) -> bytes | None:
    """Return the name of the page that a file is, None for a file that is none."""
    stem, dot, ending = path.rpartition(b".")
    if not dot or ending.lower() not in PAGE_ENDINGS or not stem or stem.endswith(b"/"):
        return None
    return stem.replace(b" ", b"-")


def title_of(name: bytes) -> str:
    """Return a page's title: ``guides/Set-up`` is called ``Set up``."""
    return show(name.rpartition(b"/")[2].replace(b"-", b" "))


def full_title_of(name: bytes) -> str:
    """Return a page's title with its folders, as a form has it."""
    return show(name.replace(b"-", b" "))


def key_of(name: bytes) -> bytes:
    """Return what two spellings of one page share: case, blanks and hyphens do not count."""
    return name.decode("utf-8", "surrogateescape").replace(" ", "-").lower().encode("utf-8", "surrogateescape")


def path_of_title(title: str, ending: str) -> bytes:
    """Return the file of a page of this title. Errors: PageNameInvalid.

    Folders are written with slashes. What git or another system could not keep is refused, and so is what an address
    of the wiki means otherwise: names that begin with ``_``, and commit ids.
    """
    assert ending in FORMATS, "the form offers these"
    parts = [" ".join(part.split()) for part in title.strip().strip("/").split("/")]
    if not all(parts) or not title.strip():
        raise PageNameInvalid("A page needs a title, and so does every folder before it.")
    if (found := _FORBIDDEN.search(title)) is not None:
        raise PageNameInvalid(f"A title cannot contain {found[0]!r}.")
    if any(part.startswith((".", "-")) or part.endswith(".") for part in parts):
        raise PageNameInvalid("No part of a title begins with a dot or a hyphen, or ends with a dot.")
    name = "/".join(part.replace(" ", "-") for part in parts).encode("utf-8", "replace")
    last = name.rpartition(b"/")[2].lower()
    if any(part.startswith("_") for part in parts) and name.lower() not in _SPECIAL:
        raise PageNameInvalid("Titles that begin with an underscore belong to the wiki: _Sidebar and _Footer.")
    if last.rpartition(b".")[2] in PAGE_ENDINGS and b"." in last:
        raise PageNameInvalid("A title has no file ending; choose the format beside it.")
    if is_oid(last.decode("utf-8", "replace")):
        raise PageNameInvalid("A title cannot look like a commit id: such an address is a version of a page.")
    path = name + b"." + ending.encode()
    if len(path) > PAGE_BYTES_MAX or any(len(part.encode("utf-8", "replace")) > 200 for part in parts):
        raise PageNameInvalid(f"A title has at most 200 bytes in each part and {PAGE_BYTES_MAX:,} in all.")
    try:
        check_path(path)
    except PathInvalid as error:
        raise PageNameInvalid(error.message) from None
    return path


@dataclass(frozen=True, slots=True)
class PageIndex:
    """The pages and other files of a wiki at one commit."""

    pages: list[WikiPage]
    """By name, one for each, without the sidebar and the footer."""
    files: dict[bytes, str]
    """Everything that is no page: path to blob."""
    sidebar: WikiPage | None = None
    footer: WikiPage | None = None
    is_partial: bool = False
    """There are more files than are looked at."""
    _by_key: dict[bytes, WikiPage] = field(default_factory=dict, repr=False)
    _by_last: dict[bytes, WikiPage] = field(default_factory=dict, repr=False)

    def find(self, name: bytes) -> WikiPage | None:
        """Return the page that a name means: by its whole name, else by its last part alone, as other forges find it.

        Case does not count unless two pages differ in nothing else.
        """
        exact = next((page for page in self._special() if page.name == name), None)
        if exact is not None:
            return exact
        key = key_of(name)
        found = self._by_key.get(key)
        if found is not None and found.name != name:
            found = next((page for page in self.pages if page.name == name), found)
        return found or (None if b"/" in key else self._by_last.get(key))

    def has_file(self, path: bytes) -> bool:
        """Tell whether the wiki has a file of this whole name, page or not."""
        return path in self.files or any(page.path == path for page in (*self.pages, *self._special()))

    def _special(self) -> list[WikiPage]:
        return [page for page in (self.sidebar, self.footer) if page is not None]


def index_pages(files: Iterable[tuple[bytes, str]], *, is_partial: bool = False) -> PageIndex:
    """Return the pages among files (path, blob); of several files with one name the preferred ending is the page."""
    chosen: dict[bytes, WikiPage] = {}
    others: dict[bytes, str] = {}
    for path, oid in files:
        name = name_of(path)
        if name is None:
            others[path] = oid
            continue
        page = WikiPage(path, oid, name)
        known = chosen.get(name)
        if known is None or (_ORDER[page.ending], page.path) < (_ORDER[known.ending], known.path):
            chosen[name] = page
    special = {name.lower(): chosen.pop(name) for name in list(chosen) if name.lower() in _SPECIAL}
    pages = sorted(chosen.values(), key=lambda page: (key_of(page.name), page.name))
    by_key: dict[bytes, WikiPage] = {}
    by_last: dict[bytes, WikiPage] = {}
    for page in pages:
        by_key.setdefault(key_of(page.name), page)
        by_last.setdefault(key_of(page.name).rpartition(b"/")[2], page)
    return PageIndex(
        pages, others, special.get(SIDEBAR.lower()), special.get(FOOTER.lower()), is_partial, by_key, by_last
    )
