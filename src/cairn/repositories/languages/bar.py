"""A repository's languages as shares of a bar: the largest by name, the rest together."""

from collections.abc import Mapping
from dataclasses import dataclass

from cairn.repositories.languages.table import find_language

SHOWN_MAX = 6
OTHER = "Other"
_OTHER_COLOUR = "#8a8578"
_TENTHS = 1000


@dataclass(frozen=True, slots=True)
class Share:
    """One part of the bar; ``start`` and ``percent`` are of its whole width, in percent with one decimal."""

    name: str
    colour: str
    start: float
    percent: float


def language_shares(sizes: Mapping[str, int]) -> list[Share]:
    """Return the parts of a bar, the largest first, all together 100 percent; empty where nothing is counted.

    What is less than a twentieth of a percent is with the rest.
    """
    total = sum(sizes.values())
    if not total:
        return []
    named = sorted(sizes.items(), key=lambda item: (-item[1], item[0]))
    shown = [(name, round(size * _TENTHS / total)) for name, size in named[:SHOWN_MAX]]
    shown = [(name, tenths) for name, tenths in shown if tenths]
    rest = _TENTHS - sum(tenths for _, tenths in shown)
    if len(shown) < len(named) and rest > 0:
        shown.append((OTHER, rest))
    elif rest:  # of rounding
        shown[0] = (shown[0][0], shown[0][1] + rest)
    found: list[Share] = []
    start = 0
    for name, tenths in shown:
        found.append(Share(name, colour_of(name), start / 10, tenths / 10))
        start += tenths
    return found


def colour_of(name: str) -> str:
    """Return the colour of a language by its name; a grey one for what is none."""
    language = find_language(name)
    return _OTHER_COLOUR if language is None else language.colour
