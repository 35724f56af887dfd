"""Markdown to HTML that is safe to show: rendered as GitHub does, then sanitised last, within bounds.

A pure function of its text: no file, no network. ``rewrite`` lets the caller turn relative links into its own. What
takes too long is shown as plain text.
"""

import asyncio
import re
import time
from collections.abc import Callable, MutableMapping, Sequence
from functools import lru_cache
from html import unescape
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import nh3
from markupsafe import Markup, escape

from cairn.web.highlight import highlight_language
from cairn.web.icons import icon

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MARKDOWN_BYTES_MAX = 1 << 20
MARKDOWN_SECONDS_MAX = 1.2
ID_PREFIX = "user-content-"
"""Before every id that comes from a text, so that none can take the place of the page's own."""

Rewrite = Callable[[str, Literal["link", "image"]], str]
"""Turns a relative address of a text into one of this site; gets the address as written."""

_HIGHLIGHT_BYTES_MAX = 64 << 10
_SCHEMES = {"http", "https", "mailto"}
_ALERTS = {
    "NOTE": ("note", "info", "Note"),
    "TIP": ("tip", "star", "Tip"),
    "IMPORTANT": ("important", "bell", "Important"),
    "WARNING": ("warning", "alert", "Warning"),
    "CAUTION": ("caution", "circle-slash", "Caution"),
}
_TAGS = {
    "a",
    "abbr",
    "b",
    "blockquote",
    "br",
    "code",
    "dd",
    "del",
    "details",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "input",
    "ins",
    "kbd",
    "li",
    "mark",
    "ol",
    "p",
    "picture",
    "pre",
    "q",
    "rp",
    "rt",
    "ruby",
    "s",
    "samp",
    "section",
    "small",
    "source",
    "span",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "u",
    "ul",
    "var",
    "wbr",
}
_ATTRIBUTES = {
    "*": {"id", "title", "align", "lang", "dir"},
    "a": {"href", "name", "aria-hidden", "aria-label", "tabindex"},
    "code": {"class"},
    "details": {"open"},
    "img": {"src", "alt", "width", "height", "loading"},
    "input": {"type", "checked", "disabled"},
    "li": {"value"},
    "ol": {"start", "reversed"},
    "source": {"srcset", "media"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
}
_CLASSES: dict[str, set[str]] = {
    "a": {"anchor", "footnote-backref"},
    "div": {
        "table-scroll",
        *(f"markdown-alert-{kind[0]}" for kind in _ALERTS.values()),
        "markdown-alert",
        "code-block",
    },
    "hr": {"footnotes-sep"},
    "li": {"task-list-item", "footnote-item"},
    "ol": {"footnotes-list"},
    "p": {"markdown-alert-title"},
    "section": {"footnotes"},
    "span": {f"hl-{code}" for code in ["c", "m", "k", "n", "t", "b", "f", "v", "s", "gd", "gi", "ge", "gs"]},
    "sup": {"footnote-ref"},
    "ul": {"contains-task-list"},
}


class SafeHtml(Markup):
    """HTML the sanitiser has passed; templates show it unescaped. Only this module makes it."""

    __slots__ = ()


class _TooSlow(Exception):
    """The time for one text is used up."""


async def render_markdown(text: str, *, rewrite: Rewrite | None = None) -> SafeHtml:
    """Return the text as safe HTML, rendered in a thread within 2 seconds; as plain text if it is too large or slow."""
    return await asyncio.to_thread(render_markdown_now, text, rewrite=rewrite)


def render_markdown_now(text: str, *, rewrite: Rewrite | None = None) -> SafeHtml:
    """Return the text as safe HTML; the calling thread is busy for 2 seconds at most."""
    if len(text) > MARKDOWN_BYTES_MAX or len(text.encode("utf-8", "replace")) > MARKDOWN_BYTES_MAX:
        return _plain(text, "This text is over 1 MiB, so it is shown as it is.")
    env: dict[str, Any] = {"deadline": time.monotonic() + MARKDOWN_SECONDS_MAX, "rewrite": rewrite, "slugs": {}}
    try:
        html = _parser().render(text, env)
    except _TooSlow:
        return _plain(text, "This text takes too long to render, so it is shown as it is.")
    return SafeHtml(_sanitise(html, rewrite))


def _plain(text: str, why: str) -> SafeHtml:
    note = Markup('<p class="markdown-plain-note">{}</p>').format(why)
    return SafeHtml(note + Markup('<pre class="markdown-plain">{}</pre>').format(text[:MARKDOWN_BYTES_MAX]))


def _sanitise(html: str, rewrite: Rewrite | None) -> str:
    def filter_attribute(tag: str, name: str, value: str) -> str | None:
        if name in {"id", "name"}:
            return value if value.startswith(ID_PREFIX) else ID_PREFIX + value
        if name == "href" and value.startswith("#"):
            return value if value.startswith("#" + ID_PREFIX) else f"#{ID_PREFIX}{value[1:]}" if value[1:] else value
        if name in {"href", "src"}:
            return _rewritten(value, "image" if name == "src" else "link", rewrite)
        if name == "srcset":
            is_single = bool(value.strip()) and "," not in value
            return _rewritten(value.split(maxsplit=1)[0], "image", rewrite) if is_single else None
        if tag == "input" and name == "type":
            return value if value == "checkbox" else None
        if tag == "code" and name == "class":
            return value if re.fullmatch(r"language-[\w+#.-]{1,40}", value) else None
        return value

    cleaned = nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        allowed_classes=_CLASSES,
        url_schemes=_SCHEMES,
        attribute_filter=filter_attribute,
        clean_content_tags={"script", "style", "template", "svg", "math", "iframe", "noscript", "textarea", "title"},
        set_tag_attribute_values={"input": {"disabled": "", "aria-label": "Task"}, "img": {"loading": "lazy"}},
        link_rel="nofollow noopener",
        strip_comments=True,
    )
    return _place_icons(cleaned)


def _place_icons(html: str) -> str:
    """Put our own icons where the sanitised text has the empty places for them; nothing of the text goes into them."""
    for kind, shape, _ in _ALERTS.values():
        title = f'<div class="markdown-alert markdown-alert-{kind}">\n<p class="markdown-alert-title">'
        html = html.replace(title, title + str(icon(shape)))
    return html.replace('class="anchor" rel="nofollow noopener"></a>', f'class="anchor">{icon("link", 14)}</a>')


def _rewritten(address: str, kind: Literal["link", "image"], rewrite: Rewrite | None) -> str | None:
    """Return an absolute address as it is, a relative one as ``rewrite`` says, None for one that is neither."""
    cleaned = "".join(c for c in unescape(address) if c not in "\t\r\n").strip()
    try:
        parts = urlsplit(cleaned)
    except ValueError:
        return None
    if parts.scheme:
        allowed = {"http", "https"} if kind == "image" else _SCHEMES
        return address if parts.scheme.lower() in allowed else None
    if cleaned.startswith(("//", "\\", "/\\")):
        return None
    return rewrite(cleaned, kind) if rewrite is not None and cleaned else address


@lru_cache(maxsize=1)
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt
    from mdit_py_plugins.footnote import footnote_plugin
    from mdit_py_plugins.tasklists import tasklists_plugin

    parser = MarkdownIt("gfm-like", {"html": True, "linkify": False, "typographer": False, "maxNesting": 20})
    parser.use(footnote_plugin).use(tasklists_plugin)
    parser.block.ruler.before(
        "table", "deadline", _watch_block, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    parser.inline.ruler.before("text", "deadline", _watch_inline)
    parser.core.ruler.push("alerts", _mark_alerts)
    parser.core.ruler.push("alignment", _align_cells)
    parser.core.ruler.push("anchors", _mark_headings)
    parser.core.ruler.push("autolinks", _mark_autolinks)
    parser.add_render_rule("fence", _render_fence)
    parser.add_render_rule("code_block", _render_fence)
    parser.add_render_rule(
        "table_open", lambda self, tokens, index, options, env: '<div class="table-scroll"><table>\n'
    )
    parser.add_render_rule("table_close", lambda self, tokens, index, options, env: "</table></div>\n")
    return parser


def _check(env: MutableMapping[str, Any]) -> None:
    if time.monotonic() > env["deadline"]:
        raise _TooSlow


def _watch_block(state: Any, start: int, end: int, silent: bool) -> bool:  # noqa: ANN401 (the parser's state)
    _check(state.env)
    return False


def _watch_inline(state: Any, silent: bool) -> bool:  # noqa: ANN401 (the parser's state)
    _check(state.env)
    return False


_ALERT = re.compile(r"\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\][ \t]*(?:\n|$)")


def _mark_alerts(state: Any) -> None:  # noqa: ANN401 (the parser's state)
    """Turn quotes that start with ``[!NOTE]`` and its kin into boxes."""
    _check(state.env)
    tokens: list[Token] = state.tokens
    for index, token in enumerate(tokens[:-2]):
        inline = tokens[index + 2]
        if token.type != "blockquote_open" or tokens[index + 1].type != "paragraph_open" or inline.type != "inline":
            continue
        match = _ALERT.match(inline.content)
        if match is None or not inline.children:
            continue
        kind, _, title = _ALERTS[match[1]]
        close = next(
            other for other in tokens[index:] if other.type == "blockquote_close" and other.level == token.level
        )
        token.tag = close.tag = "div"
        token.attrSet("class", f"markdown-alert markdown-alert-{kind}")
        token.meta["alert_title"] = title
        # Drop the marker and the line end after it.
        while inline.children and inline.children[0].type == "text":
            inline.children.pop(0)
        if inline.children and inline.children[0].type in {"softbreak", "hardbreak"}:
            inline.children.pop(0)
    _insert_titles(state)


def _insert_titles(state: Any) -> None:  # noqa: ANN401 (the parser's state)
    from markdown_it.token import Token

    out: list[Token] = []
    for token in state.tokens:
        out.append(token)
        if token.type == "blockquote_open" and "alert_title" in token.meta:
            title = token.meta["alert_title"]
            out.append(Token("html_block", "", 0, content=f'<p class="markdown-alert-title">{title}</p>\n'))
    state.tokens = out


def _align_cells(state: Any) -> None:  # noqa: ANN401 (the parser's state)
    """Say a table cell's alignment by attribute: styles do not pass the sanitiser."""
    _check(state.env)
    for token in state.tokens:
        if token.type in {"th_open", "td_open"} and "style" in token.attrs:
            token.attrs["align"] = str(token.attrs.pop("style")).removeprefix("text-align:")


def _mark_headings(state: Any) -> None:  # noqa: ANN401 (the parser's state)
    """Give each heading an id and a link to itself, as GitHub does: ``-1``, ``-2`` for the same words again."""
    _check(state.env)
    from markdown_it.token import Token

    slugs: dict[str, int] = state.env["slugs"]
    for token, inline in zip(state.tokens, state.tokens[1:], strict=False):
        if token.type != "heading_open" or inline.children is None:
            continue
        text = "".join(child.content for child in inline.children if child.type in {"text", "code_inline"})
        base = re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-")[:200] or "section"
        count = slugs.get(base, 0)
        slugs[base] = count + 1
        slug = f"{base}-{count}" if count else base
        token.attrSet("id", ID_PREFIX + slug)
        link = f'<a href="#{ID_PREFIX}{escape(slug)}" aria-hidden="true" tabindex="-1" class="anchor"></a>'
        inline.children.append(Token("html_inline", "", 0, content=link))


_URL = re.compile(r"\bhttps?://[^\s<>\"'`]{1,2000}")


def _mark_autolinks(state: Any) -> None:  # noqa: ANN401 (the parser's state)
    """Turn bare http addresses in running text into links."""
    _check(state.env)
    for token in state.tokens:
        if token.type == "inline" and token.children and "://" in token.content:
            token.children = _link_children(token.children)


def _link_children(children: "Sequence[Token]") -> "list[Token]":
    out: list[Token] = []
    depth = 0
    for child in children:
        depth += {"link_open": 1, "link_close": -1}.get(child.type, 0)
        if child.type == "text" and depth == 0 and "://" in child.content:
            out += _split_text(child.content)
        else:
            out.append(child)
    return out


def _split_text(text: str) -> "list[Token]":
    from markdown_it.token import Token

    out: list[Token] = []
    end = 0
    for match in _URL.finditer(text):
        url = match[0].rstrip(".,:;!?*_~")
        while url.endswith(")") and url.count("(") < url.count(")"):
            url = url[:-1].rstrip(".,:;!?*_~")
        out.append(Token("text", "", 0, content=text[end : match.start()]))
        out.append(Token("link_open", "a", 1, attrs={"href": url}))
        out.append(Token("text", "", 0, content=url))
        out.append(Token("link_close", "a", -1))
        end = match.start() + len(url)
    out.append(Token("text", "", 0, content=text[end:]))
    return out


def _render_fence(self: Any, tokens: "Sequence[Token]", index: int, options: Any, env: Any) -> str:  # noqa: ANN401
    token = tokens[index]
    language = token.info.strip().split()[0] if token.info.strip() else ""
    spent = env.get("highlighted_bytes", 0) + len(token.content)
    env["highlighted_bytes"] = spent
    _check(env)
    body = highlight_language(token.content, language) if language and spent <= _HIGHLIGHT_BYTES_MAX else None
    shown = body if body is not None else escape(token.content)
    css = Markup(' class="language-{}"').format(language) if language else ""
    return f'<div class="code-block"><pre><code{css}>{shown}</code></pre></div>\n'
