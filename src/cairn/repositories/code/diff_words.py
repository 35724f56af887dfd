"""Which words changed inside changed lines, and which removed line became which added one.

Lines are compared as sequences of words, runs of space and single signs. Their longest common subsequence is found with
one integer of as many bits as a line has words (Hyyrö 2004, "Bit-parallel LCS-length computation revisited"), so that
the longest lines that are compared at all cost a fraction of a millisecond, whatever is in them.
"""

import re
from collections import Counter
from collections.abc import Sequence

WORDS_MAX = 600
"""In a line of more words only what both begin and end with is told apart from what changed."""

PAIRED_LINES_MAX = 40
"""Where more lines than this were replaced on either side, they are paired in order."""

SIMILAR_MIN = 0.4
"""Two lines that share less of their letters than this have nothing to do with each other."""

_WORD = re.compile(r"\w+|[^\S\n]+|[^\w\s]|\n")

Range = tuple[int, int]


def pair_lines(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Return which removed line (by its place) became which added one, in the order of both.

    As many lines on both sides are taken as they stand; else the pairs that are most alike are kept, without crossing.
    """
    if not old or not new:
        return []
    if len(old) == len(new) or max(len(old), len(new)) > PAIRED_LINES_MAX:
        return list(zip(range(len(old)), range(len(new)), strict=False))
    weights_old, weights_new = [Counter(_words(line)) for line in old], [Counter(_words(line)) for line in new]
    # best[i][j]: how much alike the lines from i and from j on can be at most.
    best = [[0.0] * (len(new) + 1) for _ in range(len(old) + 1)]
    alike = [[_alikeness(a, b) for b in weights_new] for a in weights_old]
    for i in reversed(range(len(old))):
        for j in reversed(range(len(new))):
            best[i][j] = max(best[i + 1][j], best[i][j + 1], alike[i][j] + best[i + 1][j + 1])
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(old) and j < len(new):
        if alike[i][j] and best[i][j] == alike[i][j] + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _words(line: str) -> list[str]:
    """Return the words of a line, without its space, as many as are ever compared."""
    return [word for word in _WORD.findall(line[: 8 * WORDS_MAX])[:WORDS_MAX] if not word.isspace()]


def _alikeness(old: Counter[str], new: Counter[str]) -> float:
    """Return which part of the letters of both lines is common to them, 0 if it is too little."""
    common = sum(len(word) * count for word, count in (old & new).items())
    total = sum(len(word) * count for word, count in old.items()) + sum(len(w) * n for w, n in new.items())
    found = 2 * common / total if total else 0.0
    return found if found >= SIMILAR_MIN else 0.0


def changed_words(old: str, new: str) -> tuple[list[Range], list[Range]] | None:
    """Return which characters of two lines changed, as ranges; None if the lines have too little in common to say."""
    a, b = _WORD.findall(old), _WORD.findall(new)
    start = _common_prefix(a, b)
    end = _common_prefix(a[: start - 1 if start else None : -1], b[: start - 1 if start else None : -1])
    middle_a, middle_b = a[start : len(a) - end], b[start : len(b) - end]
    kept_a, kept_b = _common(middle_a, middle_b)
    kept = sum(len(word) for word in (*a[:start], *a[len(a) - end :], *kept_a.values()) if not word.isspace())
    letters = sum(len(word) for word in (*a, *b) if not word.isspace())
    if letters and 2 * kept / letters < SIMILAR_MIN:
        return None
    return (
        _ranges(middle_a, kept_a, sum(map(len, a[:start]))),
        _ranges(middle_b, kept_b, sum(map(len, b[:start]))),
    )


def _common_prefix(a: Sequence[str], b: Sequence[str]) -> int:
    count = 0
    for one, other in zip(a, b, strict=False):
        if one != other:
            break
        count += 1
    return count


def _common(a: Sequence[str], b: Sequence[str]) -> tuple[dict[int, str], dict[int, str]]:
    """Return the words common to both in the same order, by their places on both sides; none beyond WORDS_MAX.

    Words proper are matched first, space and signs between them then: else commas would outvote names.
    """
    if not a or not b or max(len(a), len(b)) > WORDS_MAX:
        return {}, {}
    proper_a = [at for at, word in enumerate(a) if _is_proper(word)]
    proper_b = [at for at, word in enumerate(b) if _is_proper(word)]
    found = _subsequence([a[at] for at in proper_a], [b[at] for at in proper_b])
    anchors = [(proper_a[i], proper_b[j]) for i, j in found]
    pairs = list(anchors)
    start_a = start_b = 0
    for end_a, end_b in [*anchors, (len(a), len(b))]:
        between = _subsequence(a[start_a:end_a], b[start_b:end_b])
        pairs += [(start_a + i, start_b + j) for i, j in between]
        start_a, start_b = end_a + 1, end_b + 1
    return {i: a[i] for i, _ in pairs}, {j: b[j] for _, j in pairs}


def _is_proper(word: str) -> bool:
    return word[0].isalnum() or word[0] == "_"


def _subsequence(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int]]:
    """Return the places of a longest common subsequence in both."""
    if not a or not b:
        return []
    places: dict[str, int] = {}
    for j, word in enumerate(b):
        places[word] = places.get(word, 0) | 1 << j
    every = (1 << len(b)) - 1
    row = every
    rows: list[int] = []
    # Bit j of a row is 0 where one more word of a is common with the first j + 1 of b than with the first j.
    for word in a:
        match = row & places.get(word, 0)
        row = ((row + match) | (row - match)) & every
        rows.append(row)
    found: list[tuple[int, int]] = []
    i, j = len(a), len(b)
    while i and j:
        if rows[i - 1] >> (j - 1) & 1:
            j -= 1
            continue
        i -= 1
        if i == 0 or rows[i - 1] >> (j - 1) & 1:
            j -= 1
            found.append((i, j))
    return found[::-1]


def _ranges(words: Sequence[str], kept: dict[int, str], offset: int) -> list[Range]:
    """Return the characters of words that are not kept; space alone between two changes belongs to them."""
    found: list[Range] = []
    at = offset
    for index, word in enumerate(words):
        end = at + len(word)
        is_gap = index in kept and word.isspace() and index - 1 not in kept and index + 1 not in kept
        if index not in kept or (is_gap and 0 < index < len(words) - 1):
            if found and found[-1][1] == at:
                found[-1] = (found[-1][0], end)
            else:
                found.append((at, end))
        at = end
    return found
