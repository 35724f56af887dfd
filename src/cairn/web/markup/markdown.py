"""GitHub's Markdown to HTML: what is allowed of it is for ``sanitise`` to say, which comes after."""

from collections.abc import Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from cairn.web.markup.code_blocks import CodeBlocks
from cairn.web.markup.documents import Source
from cairn.web.markup.emojis import replace_shortcodes
from cairn.web.markup.formulas import render_formula
from cairn.web.markup.front_matter import front_matter_html
from cairn.web.markup.references import link_references
from cairn.web.markup.sanitise import place, without_marks
from cairn.web.markup.wiki_links import parse_wiki_link

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

NESTING_MAX = 100
"""Quotes and lists deeper than this are text."""

FORMULAS_MAX = 2_000
"""So many formulas of a text are set; the rest is shown as written."""

DIAGRAMS_MAX = 50

UNCLOSED_CHARACTERS_MAX = 300_000
"""So many characters are looked at in vain for the ends of brackets; after that a bracket is a bracket."""

_PROTOCOL_RULE = "gfm_autolink_protocol"
_PROTOCOLS = ("http", "https", "mailto", "xmpp")


def to_html(source: Source, pieces: list[Markup]) -> str:
    """Return Markdown as HTML that still has to be sanitised; formulas are appended to ``pieces``."""
    env = {
        "pieces": pieces,
        "code": CodeBlocks(),
        "references": source.references,
        "is_wiki": source.links is not None and source.links.is_wiki,
        "diagrams": 0,
        "unclosed": 0,
    }
    return str(_parser(source.hard_breaks).render(without_marks(source.text), env))


@lru_cache(maxsize=2)
def _parser(hard_breaks: bool) -> "MarkdownIt":
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin
    from mdit_py_plugins.gfm import gfm_plugin

    parser = MarkdownIt("commonmark", {"html": True, "breaks": hard_breaks, "maxNesting": NESTING_MAX})
    parser.use(gfm_plugin, front_matter=True)
    parser.use(
        dollarmath_plugin,
        allow_labels=False,
        allow_space=False,
        allow_digits=False,
        allow_blank_lines=False,
        double_inline=True,
    )
    _bound(parser)
    parser.inline.ruler.before("link", "wiki_link", parse_wiki_link)
    parser.core.ruler.push("cells", _align_cells)
    parser.core.ruler.push("words", _rewrite_words)
    for name, rule in {
        "fence": _render_fence,
        "code_block": _render_code,
        "front_matter": _render_front_matter,
        "math_inline": _render_math,
        "math_inline_double": _render_math,
        "math_block": _render_math,
    }.items():
        parser.add_render_rule(name, rule)
    return parser


def _bound(parser: "MarkdownIt") -> None:
    """Take from the parser two ways to look at the same characters again and again."""
    from markdown_it import helpers

    def label_end(state: Any, start: int, disable_nested: bool = False) -> int:  # noqa: ANN401 (the parser's state)
        """Look for the end of a link's label, until a text has made us look in vain for too long."""
        if state.env["unclosed"] > UNCLOSED_CHARACTERS_MAX:
            return -1
        end = helpers.parseLinkLabel(state, start, disable_nested)
        if end < 0:
            state.env["unclosed"] += state.posMax - start
        return end

    find_protocol = next(rule.fn for rule in parser.inline.ruler.__rules__ if rule.name == _PROTOCOL_RULE)

    def protocol(state: Any, silent: bool) -> bool:  # noqa: ANN401 (the parser's state)
        """Look back from a colon only where a protocol stands before it."""
        is_colon = state.src[state.pos] == ":"
        before = state.src[max(0, state.pos - 6) : state.pos].lower()
        return is_colon and before.endswith(_PROTOCOLS) and bool(find_protocol(state, silent))

    parser.helpers = SimpleNamespace(  # type: ignore[assignment]  # the parser asks it for these three
        parseLinkLabel=label_end,
        parseLinkDestination=helpers.parseLinkDestination,
        parseLinkTitle=helpers.parseLinkTitle,
    )
    parser.inline.ruler.at(_PROTOCOL_RULE, protocol)


def _align_cells(state: Any) -> None:  # noqa: ANN401 (the parser's state)
    """Say a table cell's alignment by attribute: styles do not pass the sanitiser."""
    for token in state.tokens:
        if token.type in {"th_open", "td_open"} and "style" in token.attrs:
            token.attrs["align"] = str(token.attrs.pop("style")).removeprefix("text-align:")


def _rewrite_words(state: Any) -> None:  # noqa: ANN401 (the parser's state)
    """Replace shortcodes and link references in running text."""
    known = state.env["references"]
    for token in state.tokens:
        if token.type != "inline" or not token.children:
            continue
        for child in token.children:
            if child.type == "text":
                child.content = replace_shortcodes(child.content)
        if known:
            token.children = link_references(token.children, known)


def _render_fence(self: Any, tokens: "Sequence[Token]", index: int, options: Any, env: Any) -> str:  # noqa: ANN401
    token = tokens[index]
    language = token.info.strip().split()[0][:40] if token.info.strip() else ""
    if language == "math":
        return f"<p>{_formula(token.content, env, is_display=True)}</p>\n"
    if language == "mermaid" and env["diagrams"] < DIAGRAMS_MAX:
        env["diagrams"] += 1
        return f'<div class="diagram"><pre><code>{escape(token.content)}</code></pre></div>\n'
    return str(env["code"].html(token.content, language))


def _render_code(self: Any, tokens: "Sequence[Token]", index: int, options: Any, env: Any) -> str:  # noqa: ANN401
    return str(env["code"].html(tokens[index].content, ""))


def _render_front_matter(self: Any, tokens: "Sequence[Token]", index: int, options: Any, env: Any) -> str:  # noqa: ANN401
    return front_matter_html(tokens[index].content, env["code"])


def _render_math(self: Any, tokens: "Sequence[Token]", index: int, options: Any, env: Any) -> str:  # noqa: ANN401
    token = tokens[index]
    found = _formula(token.content, env, is_display=token.type != "math_inline")
    return f"<p>{found}</p>\n" if token.type == "math_block" else found


def _formula(latex: str, env: dict[str, Any], *, is_display: bool) -> str:
    """Return the place of a formula; ``$`…`$`` is the way to write one in which Markdown's own signs stand."""
    if len(latex) > 2 and latex[0] == latex[-1] == "`":
        latex = latex[1:-1]
    pieces: list[Markup] = env["pieces"]
    if len(pieces) >= FORMULAS_MAX:
        return str(Markup("<code>{}</code>").format(latex))
    pieces.append(render_formula(latex, is_display=is_display))
    return place(len(pieces) - 1)
