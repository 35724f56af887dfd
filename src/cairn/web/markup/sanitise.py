"""The last step of every text: what is not allowed goes, then our own few things come in.

nh3 reads the HTML as a browser would and writes it anew, so that its output is regular: every attribute in double
quotes, every ``<`` and ``>`` elsewhere escaped. ``_Finisher`` relies on that and walks over it once, tag by tag. It
puts in only what this package made: anchors, icons, labels, and the *pieces* (formulas, pictures) at their places.
"""

import re
from collections.abc import Sequence
from html import unescape

import nh3
from markupsafe import Markup, escape

from cairn.web.icons import icon
from cairn.web.markup.anchors import Slugs
from cairn.web.markup.links import LINK_SCHEMES, LinkContext, lead_address, prefixed_id

OUTLINE_MAX = 500
"""So many headings at most are listed."""

LINK_REL = "nofollow ugc noopener"

ALERTS = {
    "note": "info",
    "tip": "star",
    "important": "bell",
    "warning": "alert",
    "caution": "circle-slash",
}
"""The kinds of alerts, and the icon of each."""

PIECE_MARK = ("\ue000", "\ue001")
"""Around the number of a piece, in the text where it shall stand."""

_ELEMENTS = """
    a abbr aside b bdo blockquote br caption cite code col colgroup dd del details dfn div dl dt em figcaption figure
    h1 h2 h3 h4 h5 h6 hr i img input ins kbd li mark ol p picture pre q rp rt ruby s samp section small source span
    strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul var wbr
"""
_DROPPED_WITH_CONTENT = """
    script style template svg math iframe noscript noembed noframes textarea title xmp plaintext object embed
"""
_HIGHLIGHTS = "hl-c hl-m hl-k hl-n hl-t hl-b hl-f hl-v hl-s hl-gd hl-gi hl-ge hl-gs"
_CELL = frozenset({"colspan", "rowspan", "valign", "width", "height"})
_ATTRIBUTES: dict[str, frozenset[str]] = {
    "*": frozenset({"id", "title", "align", "lang", "dir"}),
    "a": frozenset({"href", "name"}),
    "blockquote": frozenset({"cite"}),
    "code": frozenset({"class"}),
    "col": frozenset({"span", "width"}),
    "colgroup": frozenset({"span"}),
    "del": frozenset({"cite", "datetime"}),
    "details": frozenset({"open"}),
    "img": frozenset({"src", "alt", "width", "height"}),
    "input": frozenset({"type", "checked"}),
    "ins": frozenset({"cite", "datetime"}),
    "li": frozenset({"value"}),
    "ol": frozenset({"start", "reversed", "type"}),
    "q": frozenset({"cite"}),
    "source": frozenset({"srcset", "media"}),
    "table": frozenset({"width"}),
    "td": _CELL,
    "th": _CELL | {"scope"},
    "time": frozenset({"datetime"}),
    "tr": frozenset({"valign"}),
}
_CLASSES: dict[str, set[str]] = {
    "a": {"footnote-backref", "wiki-missing"},
    "div": {
        "markdown-alert",
        *(f"markdown-alert-{kind}" for kind in ALERTS),
        "code-block",
        "diagram",
        "cell",
        "cell-out",
    },
    "hr": {"footnotes-sep"},
    "li": {"task-list-item", "footnote-item"},
    "ol": {"footnotes-list"},
    "p": {"markdown-alert-title", "cell-count"},
    "section": {"footnotes"},
    "span": set(_HIGHLIGHTS.split()),
    "sup": {"footnote-ref"},
    "table": {"front-matter", "data-table"},
    "ul": {"contains-task-list"},
}
_LANGUAGE = re.compile(r"language-[\w+#.-]{1,40}")
_SIZE = re.compile(r"\d{1,4}(\.\d{1,3})?(px|%)?")


class SafeHtml(Markup):
    """HTML the sanitiser has passed; templates show it unescaped. Only this package makes it."""

    __slots__ = ()


def sanitise(
    html: str, *, pieces: Sequence[Markup] = (), links: LinkContext | None = None
) -> tuple[SafeHtml, list[tuple[int, str, str]], bool]:
    """Return what may be shown of the HTML, its headings (level, id, title), and whether it has diagrams.

    ``pieces`` are safe HTML of this package, put in where ``place`` of their number stands in running text.
    """

    def filter_attribute(tag: str, name: str, value: str) -> str | None:
        match name:
            case "id" | "name":
                return prefixed_id(value) if value else None
            case "href":
                return lead_address(value, "link", links)
            case "src":
                return lead_address(value, "image", links)
            case "srcset":
                return _source_set(value, links)
            case "cite":
                return value if value.startswith(("https://", "http://")) else None
            case "class" if tag == "code":
                return value if _LANGUAGE.fullmatch(value) else None
            case "width" | "height":
                return value if _SIZE.fullmatch(value.strip()) else None
            case _:
                return value

    cleaned = nh3.clean(
        html,
        tags=set(_ELEMENTS.split()),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        allowed_classes=_CLASSES,
        url_schemes=set(LINK_SCHEMES),
        attribute_filter=filter_attribute,
        clean_content_tags=set(_DROPPED_WITH_CONTENT.split()),
        set_tag_attribute_values={"img": {"loading": "lazy", "decoding": "async", "referrerpolicy": "no-referrer"}},
        link_rel=LINK_REL,
        strip_comments=True,
    )
    finisher = _Finisher(pieces)
    return SafeHtml(finisher.finish(cleaned)), finisher.outline, finisher.has_diagrams


def place(number: int) -> str:
    """Return what stands in a text for piece ``number``."""
    return f"{PIECE_MARK[0]}{number}{PIECE_MARK[1]}"


def without_marks(text: str) -> str:
    """Return a text in which nobody has written what stands for pieces."""
    return text.replace(PIECE_MARK[0], "\ufffd").replace(PIECE_MARK[1], "\ufffd")


def _source_set(value: str, links: LinkContext | None) -> str | None:
    """Return the pictures of a ``srcset`` led like others, each with its size; None if one may not be."""
    found = []
    for candidate in value.split(",")[:10]:
        address, _, size = candidate.strip().partition(" ")
        led = lead_address(address, "image", links) if address else None
        if led is None or (size and not re.fullmatch(r"\d{1,5}(\.\d{1,3})?[wx]", size.strip())):
            return None
        found.append(f"{led} {size.strip()}".strip())
    return ", ".join(found)


_TAG = re.compile(r'(<[^<>"]*(?:"[^"]*"[^<>"]*)*>)')
_HEADING = re.compile(r"<h([1-6])[ >]")
_ID = re.compile(r' id="([^"]*)"')
_ALERT = re.compile(r'<div class="markdown-alert markdown-alert-(\w+)">')
_PIECE = re.compile(f"{PIECE_MARK[0]}(\\d{{1,6}}){PIECE_MARK[1]}")
_ANY_TAG = re.compile(r"<[^>]*>")


class _Finisher:
    """Walks once over what nh3 wrote and puts in what is ours."""

    def __init__(self, pieces: Sequence[Markup]) -> None:
        self._pieces = pieces
        self._slugs = Slugs()
        self._out: list[str] = []
        self._heading: tuple[int, int] | None = None
        """Level, and where in ``_out`` the heading's opening tag stands."""
        self._alert = "note"
        self.outline: list[tuple[int, str, str]] = []
        self.has_diagrams = False

    def finish(self, html: str) -> str:
        """Return the HTML with everything in its place."""
        for index, part in enumerate(_TAG.split(html)):
            if index % 2:
                self._tag(part)
            elif part:
                self._out.append(_PIECE.sub(self._piece, part))
        return "".join(self._out)

    def _piece(self, match: re.Match[str]) -> str:
        number = int(match[1])
        return str(self._pieces[number]) if number < len(self._pieces) else ""

    def _tag(self, tag: str) -> None:
        # Marks inside a tag are in an attribute, where a piece's own quotes would end it: there they go.
        tag = _PIECE.sub("", tag).replace(' class=""', "")
        put = self._out.append
        if (found := _HEADING.match(tag)) and self._heading is None:
            self._heading = (int(found[1]), len(self._out))
            put(tag)
        elif self._heading is not None and tag == f"</h{self._heading[0]}>":
            self._close_heading(tag)
        elif tag.startswith("<table") and tag[6] in " >":
            put('<div class="table-scroll">' + tag)
        elif tag == "</table>":
            put(tag + "</div>")
        elif tag.startswith("<input"):
            put(_task_box(tag))
        elif found := _ALERT.fullmatch(tag):
            self._alert = found[1] if found[1] in ALERTS else "note"
            put(tag)
        elif tag == '<p class="markdown-alert-title">':
            put(tag + str(icon(ALERTS[self._alert])))
        elif tag == '<section class="footnotes">':
            put('<section class="footnotes" aria-label="Footnotes">')
        elif tag.startswith("<a ") and 'class="footnote-backref"' in tag:
            put(tag.replace("<a ", '<a aria-label="Back to the text" ', 1))
        else:
            self.has_diagrams |= tag == '<div class="diagram">'
            put(tag)

    def _close_heading(self, tag: str) -> None:
        assert self._heading is not None
        level, start = self._heading
        self._heading = None
        inner = "".join(self._out[start + 1 :])
        title = unescape(_ANY_TAG.sub("", inner)).strip()
        opening = self._out[start]
        own = _ID.search(opening)
        name = unescape(own[1]) if own else prefixed_id(self._slugs.next(title))
        if own is None:
            self._out[start] = f'<h{level} id="{escape(name)}"{opening[3:]}'
        label = f"Link to “{title[:100]}”"
        self._out.append(str(Markup('<a class="anchor" href="#{}" aria-label="{}"></a>').format(name, label)) + tag)
        if title and len(self.outline) < OUTLINE_MAX:
            self.outline.append((level, name, title[:200]))


def _task_box(tag: str) -> str:
    """Return a box of a task list as we write it, nothing for any other field."""
    if 'type="checkbox"' not in tag:
        return ""
    is_done = ' checked="' in tag
    label = escape("Completed task" if is_done else "Incomplete task")
    return f'<input type="checkbox" disabled aria-label="{label}"{" checked" if is_done else ""}>'
