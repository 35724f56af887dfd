"""Ids of headings, by the rules GitHub follows, so that links made for it work here."""

import unicodedata

SLUG_CHARACTERS_MAX = 200


class Slugs:
    """Gives each heading of one text its id."""

    def __init__(self) -> None:
        self._used: set[str] = set()
        self._counts: dict[str, int] = {}

    def next(self, title: str) -> str:
        """Return the id of the next heading: its words in lower case joined by hyphens; ``-1`` and so on for others.

        Letters, marks, digits, ``_`` and ``-`` stay, spaces become hyphens one by one, everything else goes. Where
        ``words-1`` is taken by a heading of just these words, the next free number is used: no id comes twice.
        """
        base = "".join("-" if c == " " else c for c in title.lower() if c in " -" or _is_word(c))
        base = base[:SLUG_CHARACTERS_MAX] or "section"
        slug, count = base, self._counts.get(base, 0)
        while slug in self._used:
            count += 1
            slug = f"{base}-{count}"
        self._counts[base] = count
        self._used.add(slug)
        return slug


def _is_word(character: str) -> bool:
    return character == "_" or character.isalnum() or unicodedata.category(character) in {"Mn", "Mc", "Me", "Pc"}
