"""One text to one rendered document: a pure function of its bytes, without files, network or clock.

``render_document`` is what runs in the child that ``render_server`` makes for each text, where time and memory are
bounded from outside; nothing here watches a clock.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import msgspec
from markupsafe import Markup
from msgspec import Meta

from cairn.web.markup.links import LinkContext
from cairn.web.markup.sanitise import SafeHtml, sanitise

VERSION = 2
"""Raised with each change of what is rendered, so that kept results of before are not shown."""

TEXT_BYTES_MAX = 1 << 20
"""Larger texts are shown as they are."""


class TextKind(StrEnum):
    """What a text is written in."""

    MARKDOWN = "markdown"
    RST = "rst"
    CSV = "csv"
    TSV = "tsv"
    NOTEBOOK = "notebook"


class Source(msgspec.Struct, frozen=True):
    """A text and all that its rendering depends on.

    ``hard_breaks`` makes each line end a break, as people expect of comments. ``references`` is what mentions, issue
    numbers and commit ids lead to, as written (``@ada``, ``#12``, ``1a2b3c4``): those that are missing stay text.
    """

    kind: TextKind
    text: str
    links: LinkContext | None = None
    hard_breaks: bool = False
    references: dict[str, str] = {}


class TextUnreadable(Exception):
    """A text is not what its kind says: it is shown as it is, and nobody's program is at fault."""


class Heading(msgspec.Struct, frozen=True):
    """A heading, 1 to 6, and the id it has on the page."""

    level: Annotated[int, Meta(ge=1, le=6)]
    id: str
    title: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A text as HTML that the sanitiser has passed, with its headings in order.

    ``notice`` says why a text is shown as it is, or only in part. ``has_diagrams`` tells that the page needs frames.
    """

    html: SafeHtml
    outline: tuple[Heading, ...] = ()
    notice: str = ""
    has_diagrams: bool = False
    is_passing: bool = False
    """True where it is shown as it is for what may be otherwise a little later."""


def render_document(source: Source) -> Rendered:
    """Return a text as a document. Whatever it raises means that the text is shown as it is."""
    from cairn.web.markup import csv_tables, markdown, notebooks, restructured_text

    pieces: list[Markup] = []
    notice = ""
    match source.kind:
        case TextKind.MARKDOWN:
            html = markdown.to_html(source, pieces)
        case TextKind.RST:
            html = restructured_text.to_html(source.text, pieces)
        case TextKind.CSV | TextKind.TSV:
            html, notice = csv_tables.to_html(source.text, delimiter="\t" if source.kind is TextKind.TSV else None)
        case TextKind.NOTEBOOK:
            html = notebooks.to_html(source, pieces)
    safe, outline, has_diagrams = sanitise(html, pieces=pieces, links=source.links)
    return Rendered(safe, tuple(Heading(*heading) for heading in outline), notice, has_diagrams)
