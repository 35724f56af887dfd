"""What a reader of a diff asked for: which view, which part of it; and the addresses that ask for another.

The words in the address are few and the same for every page that shows a diff: ``diff`` (unified or split), ``w``
(1: white space does not count), ``skip`` (files left out), ``file`` (one file by its key), ``after`` (lines of that
file left out), ``context`` (all: the whole file around its changes), ``gap`` and ``grow`` (unchanged lines that are
hidden), ``list`` (1: the list of files alone), ``part`` (1: without the page around it).
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple
from urllib.parse import urlencode

from cairn.web.context import DIFF_VIEW_COOKIE, Cookie, RequestContext

View = Literal["unified", "split"]
Grow = Literal["up", "down", "all"]

_YEAR_SECONDS = 365 * 86400
_NUMBER_MAX = 10**8
_KEY = re.compile(r"[0-9a-f]{12}")
_GAP = re.compile(r"([0-9]{1,9})-([0-9]{0,9})-([0-9]{1,9})")


class GapLines(NamedTuple):
    """Unchanged lines between two hunks: ``start`` to ``end`` of the new side (None: to the file's end), which are
    ``old_start`` and so on of the old."""

    start: int
    end: int | None
    old_start: int

    @property
    def word(self) -> str:
        """The gap as an address has it."""
        return f"{self.start}-{'' if self.end is None else self.end}-{self.old_start}"


def file_key(path: bytes) -> str:
    """Return what names a changed file in addresses and anchors: short, the same in every diff, whatever the path."""
    return hashlib.sha256(path).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffRequest:
    """One request for a diff or a part of it. What an address cannot mean is taken as not said."""

    path: str
    view: View = "unified"
    says_view: bool = False
    ignores_whitespace: bool = False
    skip: int = 0
    file: str = ""
    after: int = 0
    is_whole_file: bool = False
    gap: GapLines | None = None
    grow: Grow = "all"
    is_list: bool = False
    is_part: bool = False

    def address(self, **words: str | int) -> str:
        """Return the address of another part, in the same view and with the same white space."""
        kept: dict[str, str | int] = {}
        if self.says_view:
            kept["diff"] = self.view
        if self.ignores_whitespace:
            kept["w"] = 1
        query = {name: value for name, value in (kept | words).items() if value not in ("", 0)}
        return f"{self.path}?{urlencode(query)}" if query else self.path

    @property
    def here(self) -> dict[str, str | int]:
        """The words of the part that is shown, for addresses that show it in another way."""
        return {"skip": self.skip, "file": self.file, "context": "all" if self.is_whole_file else ""}


def read_diff_request(context: RequestContext) -> DiffRequest:
    """Return what the address asks for; a view that it names is remembered in a cookie."""
    query = context.request.query_params
    asked = query.get("diff", "")
    view = _view(asked) or _view(context.request.cookies.get(DIFF_VIEW_COOKIE, "")) or "unified"
    if _view(asked):
        context.set_cookie(Cookie(DIFF_VIEW_COOKIE, view, max_age_seconds=_YEAR_SECONDS))
    file = query.get("file", "")
    grow: dict[str, Grow] = {"up": "up", "down": "down"}
    return DiffRequest(
        path=context.path,
        view=view,
        says_view=_view(asked) is not None,
        ignores_whitespace=query.get("w", "") == "1",
        skip=_number(query.get("skip", "")),
        file=file if _KEY.fullmatch(file) else "",
        after=_number(query.get("after", "")),
        is_whole_file=query.get("context", "") == "all",
        gap=_read_gap(query.get("gap", "")),
        grow=grow.get(query.get("grow", ""), "all"),
        is_list=query.get("list", "") == "1",
        is_part=query.get("part", "") == "1",
    )


def _view(word: str) -> View | None:
    views: dict[str, View] = {"unified": "unified", "split": "split"}
    return views.get(word)


def _number(word: str) -> int:
    return min(int(word), _NUMBER_MAX) if word.isascii() and word.isdigit() and len(word) < 30 else 0


def _read_gap(word: str) -> GapLines | None:
    found = _GAP.fullmatch(word)
    if found is None:
        return None
    start, end, old_start = int(found[1]), int(found[2]) if found[2] else None, int(found[3])
    return GapLines(start, end, old_start) if start > 0 and old_start > 0 and (end is None or end >= start) else None
