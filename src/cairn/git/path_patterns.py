"""Patterns for paths as ``.gitignore`` and ``.gitattributes`` write them, matched in time linear in the path."""

from collections.abc import Iterable, Iterator

from cairn.base.linear_regex import LinearRegex, RegexRefused

PATTERN_BYTES_MAX = 1024
_NOTHING = rb"[^\x00-\xff]"


class PathPattern:
    """One pattern. Without a slash (but at its end) it names files and folders anywhere below ``folder``; with one, a
    path from there. ``*`` and ``?`` stop at a slash, ``**`` does not, ``[a-z]`` is one of these bytes, a backslash
    takes the next byte as it is. What matches a folder matches everything in it if ``takes_folders``. ``can_match`` is
    False of what is too long or no pattern: it matches nothing.

    Source: gitignore(5), "Pattern format"; gitattributes(5) matches paths only, so there it is False.
    """

    def __init__(self, pattern: bytes, *, folder: bytes = b"", takes_folders: bool = True) -> None:
        wants_folder = pattern.endswith(b"/")
        body = pattern.rstrip(b"/")
        is_anchored = b"/" in body
        start = rb"" if is_anchored else rb"(?:.*/)?"
        prefix = _quote(folder + b"/") if folder else b""
        end = rb"/.*" if wants_folder else rb"(?:/.*)?" if takes_folders else rb""
        self.can_match = len(pattern) <= PATTERN_BYTES_MAX
        self._expression = prefix + start + _translate(body.removeprefix(b"/")) + end if self.can_match else _NOTHING
        try:
            self._regex = _compiled(self._expression)
        except RegexRefused:  # a range that ends before it begins: git matches nothing with it either
            self.can_match = False
            self._expression = _NOTHING
            self._regex = _compiled(_NOTHING)

    def matches(self, path: bytes) -> bool:
        """Tell whether a path from the root of the tree matches."""
        return self._regex.matches(path)

    @property
    def expression(self) -> bytes:
        """The same as an expression of RE2's over bytes."""
        return self._expression


class PatternSet:
    """Patterns of which one is to match, looked at together: time hardly depends on how many there are."""

    def __init__(self, patterns: Iterable[PathPattern]) -> None:
        self._patterns = list(patterns)
        try:
            self._all: LinearRegex | None = _compiled(
                b"|".join(b"(?:" + one.expression + b")" for one in self._patterns)
            )
        except RegexRefused:  # too large together
            self._all = None

    def matches(self, path: bytes) -> bool:
        """Tell whether one of the patterns matches."""
        if self._all is None or not self._patterns:
            return matches_any(self._patterns, path)
        return self._all.matches(path)


def matches_any(patterns: Iterable[PathPattern], path: bytes) -> bool:
    """Tell whether one of the patterns matches."""
    return any(pattern.matches(path) for pattern in patterns)


def classes_in(pattern: bytes) -> Iterator[bytes]:
    """Yield what stands between the brackets of each class of a pattern, without what negates it."""
    place = 0
    while place < len(pattern):
        rest = pattern[place:]
        if rest.startswith(b"[") and (end := _class_end(rest)) > 0:
            yield rest[2 if rest[1:2] in {b"!", b"^"} else 1 : end]
            place += end
        place += 2 if rest.startswith(b"\\") else 1


def _compiled(expression: bytes) -> LinearRegex:
    return LinearRegex(expression, spans_lines=True, is_bytewise=True)


def _translate(pattern: bytes) -> bytes:
    """Return a pattern as a regular expression over bytes."""
    found: list[bytes] = []
    place = 0
    while place < len(pattern):
        rest = pattern[place:]
        if rest.startswith(b"**/") and (place == 0 or pattern[place - 1 : place] == b"/"):
            found.append(rb"(?:.*/)?")
            place += 3
        elif rest == b"**" and pattern[place - 1 : place] == b"/":
            found.append(rb".+")
            place += 2
        elif rest.startswith(b"*"):
            found.append(rb"[^/]*")
            place += len(rest) - len(rest.lstrip(b"*"))
        elif rest.startswith(b"?"):
            found.append(rb"[^/]")
            place += 1
        elif rest.startswith(b"[") and (end := _class_end(rest)) > 0:
            found.append(_class(rest[1:end]))
            place += end + 1
        else:
            place += rest.startswith(b"\\") and len(rest) > 1
            found.append(_quote(pattern[place : place + 1]))
            place += 1
    return b"".join(found)


def _class_end(rest: bytes) -> int:
    """Return where the class that ``rest`` begins with ends; -1 if nothing ends it and the bracket is a bracket."""
    first = 2 if rest[1:2] in {b"!", b"^"} else 1
    return rest.find(b"]", first + 1)


def _class(inside: bytes) -> bytes:
    is_negated = inside[:1] in {b"!", b"^"}
    members = b"".join(
        bytes([byte]) if byte == ord("-") and 0 < index < len(inside) - 1 else _quote(bytes([byte]))
        for index, byte in enumerate(inside[is_negated:], int(is_negated))
    )
    # A negated class does not match a slash either.
    return b"[^/" + members + b"]" if is_negated else b"[" + members + b"]"


def _quote(text: bytes) -> bytes:
    return b"".join(rb"\x%02x" % byte if not bytes([byte]).isalnum() else bytes([byte]) for byte in text)
