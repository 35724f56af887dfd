"""Links of wikis: ``[[Page]]``, ``[[text|Page]]``, ``[[Page#heading]]``, ``[[picture.png|alt=text]]``.

Which pages there are is looked up before (``find_wiki_links``), because what renders can ask nobody: those that are
known come along among a text's references under their brackets, the others are shown as pages yet to be written.
"""

import re
from typing import Any
from urllib.parse import quote

from markdown_it.token import Token

TARGETS_MAX = 500
"""So many different pages of a text are looked up; the rest counts as not there."""

MISSING_CLASS = "wiki-missing"

_LINK = re.compile(r"\[\[([^\[\]\n]{1,500})\]\]")
_PICTURE = re.compile(r"\.(?:png|apng|jpe?g|gif|webp|avif|bmp|ico|svg)\Z", re.IGNORECASE)
_ELSEWHERE = re.compile(r"(?:https?://|mailto:)", re.IGNORECASE)


def find_wiki_links(text: str) -> list[str]:
    """Return the names of pages that a text may link to, each once, as written."""
    found: dict[str, None] = {}
    for match in _LINK.finditer(text):
        page = _page(match[1])[1]
        if page and not _ELSEWHERE.match(page):
            found[page] = None
        if len(found) >= TARGETS_MAX:
            break
    return list(found)


def reference_key(page: str) -> str:
    """Return under what a page that is there stands among a text's references."""
    return f"[[{page}]]"


def parse_wiki_link(state: Any, silent: bool) -> bool:  # noqa: ANN401 (the parser's state)
    """Read a link of a wiki where one begins: a rule of the Markdown parser, for texts that stand in a wiki."""
    if not state.env.get("is_wiki") or not state.src.startswith("[[", state.pos):
        return False
    match = _LINK.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    if not silent:
        _push(state, match[1])
    state.pos = match.end()
    return True


def _page(inner: str) -> tuple[str, str, str]:
    """Return a link's text, the page or file it names, and the heading there."""
    first, bar, second = inner.partition("|")
    if bar and second.lstrip().lower().startswith("alt="):
        return second.partition("=")[2].strip(), first.strip(), ""
    text, target = (first.strip(), second.strip()) if bar else ("", first.strip())
    if _ELSEWHERE.match(target):
        return text or target, target, ""
    page, _, heading = target.partition("#")
    return text or target, page.strip(), heading.strip()


def _push(state: Any, inner: str) -> None:  # noqa: ANN401 (the parser's state)
    text, page, heading = _page(inner)
    if _PICTURE.search(page):
        token = state.push("image", "img", 0)
        token.attrs = {"src": page if _ELSEWHERE.match(page) else "/" + quote(page.lstrip("/")), "alt": ""}
        alt = Token("text", "", 0, content="" if text == page else text)
        token.content, token.children = alt.content, [alt]
        return
    token = state.push("link_open", "a", 1)
    token.attrs = {"href": _address(state, page, heading)}
    if page and not _ELSEWHERE.match(page) and reference_key(page) not in state.env["references"]:
        token.attrs["class"] = MISSING_CLASS
    state.push("text", "", 0).content = text
    state.push("link_close", "a", -1)


def _address(state: Any, page: str, heading: str) -> str:  # noqa: ANN401 (the parser's state)
    if _ELSEWHERE.match(page):
        return page
    fragment = "#" + quote(heading.lower().replace(" ", "-")) if heading else ""
    if not page:
        return fragment
    known: str | None = state.env["references"].get(reference_key(page))
    return "/" + quote(known if known is not None else page.strip("/").replace(" ", "-")) + fragment
