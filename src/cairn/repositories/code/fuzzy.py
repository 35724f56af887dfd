"""Finding paths by some of their letters; ``static/finder.js`` does the same, so that both show the same list.

A path is in the first tier whose condition it meets: its name has the text as it stands, the path has it, or the path
has its letters in their order. Within a tier the score decides, then the path itself.
"""

import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass

QUERY_CHARACTERS_MAX = 100
MATCHES_MAX = 50

_BOUNDARIES = "/_-. "
_LENGTH_WEIGHT = 0.1
_SCORED_MAX = 2000
"""Of a tier with more paths than this, the shortest are scored: a query that short says no more."""

_ASCII = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


@dataclass(frozen=True, slots=True)
class Match:
    """A path that was found: ``positions`` are those of its letters that the text matched."""

    path: str
    score: float
    positions: tuple[int, ...]

    @property
    def pieces(self) -> list[tuple[str, bool]]:
        """The path cut into pieces that were matched and pieces that were not."""
        found: list[tuple[str, bool]] = []
        matched = set(self.positions)
        for index, letter in enumerate(self.path):
            is_matched = index in matched
            if found and found[-1][1] is is_matched:
                found[-1] = (found[-1][0] + letter, is_matched)
            else:
                found.append((letter, is_matched))
        return found


@dataclass(frozen=True, slots=True)
class Found:
    """The best matches and how many paths match at all in the tiers that were needed."""

    matches: list[Match]
    total: int


def normalise(query: str) -> str:
    """Return a query as it is matched: in lower case, without blanks, within its bound."""
    return lower("".join(query.split()))[:QUERY_CHARACTERS_MAX]


def lower(text: str) -> str:
    """Return text in lower case and of the same length."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else text.translate(_ASCII)


def find_paths(text: str, query: str, *, max_matches: int = MATCHES_MAX) -> Found:
    """Return the best matches among the lines of ``text``; the first lines for an empty query.

    Linear in the text. Blocks for a good 100 ms where a hundred thousand paths match: call it in a thread.
    """
    wanted = normalise(query)
    if not text or not wanted:
        shown = text.split("\n", max_matches)[:max_matches] if text else []
        return Found([Match(path, 0, ()) for path in shown], text.count("\n") + 1 if text else 0)
    lowered = lower(text)
    found: list[Match] = []
    seen: set[int] = set()
    for pattern in _tiers(wanted):
        lines = [line for line in _lines(pattern, lowered) if line[0] not in seen]
        seen.update(start for start, _ in lines)
        if len(lines) > _SCORED_MAX:
            lines = heapq.nsmallest(_SCORED_MAX, lines, key=lambda line: (line[1] - line[0], line[0]))
        matches = [_match(text[start:end], lowered[start:end], wanted) for start, end in lines]
        found += heapq.nsmallest(max_matches - len(found), matches, key=lambda match: (-match.score, match.path))
        if len(found) >= max_matches:
            break
    return Found(found, len(seen))


def _tiers(wanted: str) -> Iterator[re.Pattern[str]]:
    # Possessive, so that no line costs more than its length.
    literal = re.escape(wanted)
    if "/" not in wanted:
        yield re.compile(rf"{literal}(?=[^/\n]*+(?:\n|\Z))")
    yield re.compile(literal)
    yield re.compile(
        "^" + "".join(rf"[^{re.escape(letter)}\n]*+{re.escape(letter)}" for letter in wanted), re.MULTILINE
    )


def _lines(pattern: re.Pattern[str], lowered: str) -> Iterator[tuple[int, int]]:
    """Yield where each line with a match begins and ends, once."""
    position = 0
    while (found := pattern.search(lowered, position)) is not None:
        start = lowered.rfind("\n", 0, found.start()) + 1
        end = lowered.find("\n", found.end())
        end = len(lowered) if end < 0 else end
        yield start, end
        if end == len(lowered):
            return
        position = end + 1


def _match(path: str, lowered: str, wanted: str) -> Match:
    base = path.rfind("/") + 1
    start = lowered.rfind(wanted)
    positions = range(start, start + len(wanted)) if start >= 0 else _positions(lowered, wanted)
    return Match(path, _score(path, lowered, base, wanted, positions), tuple(positions))


def _positions(lowered: str, wanted: str) -> list[int]:
    """Return where the letters are, the last ones that can be: names tell more than folders."""
    found = []
    end = len(lowered)
    for letter in reversed(wanted):
        end = lowered.rfind(letter, 0, end)
        found.append(end)
    return found[::-1]


def _score(path: str, lowered: str, base: int, wanted: str, positions: "list[int] | range") -> float:
    score = -_LENGTH_WEIGHT * len(path)
    name = lowered[base:]
    if name == wanted:
        score += 200
    elif name.startswith(f"{wanted}."):
        score += 120
    before = -2
    for position in positions:
        score += 1 + 5 * (position == before + 1) + 4 * (position >= base)
        score += 8 * _begins_word(path, position)
        before = position
    return score


def _begins_word(path: str, position: int) -> bool:
    if position == 0 or path[position - 1] in _BOUNDARIES:
        return True
    return path[position].isupper() and path[position - 1].islower()
