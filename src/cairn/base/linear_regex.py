"""Regular expressions whose time is linear in the text, whatever the expression: RE2's, over bytes.

The one place that knows the library. There are no back-references and no look-around, which is what it costs.
"""

from itertools import islice

import re2

MEMORY_BYTES = 8 << 20
"""What one expression may take; RE2 goes on more slowly within it, and refuses what does not fit at all."""


class RegexRefused(ValueError):
    """The text is no expression that RE2 takes; the message says why."""


class LinearRegex:
    """One compiled expression over bytes: UTF-8 unless ``is_bytewise``.

    ``^`` and ``$`` are a line's, and no match goes over the end of a line, unless ``spans_lines``. ``is_literal`` takes
    the text as it is. Errors: RegexRefused.
    """

    def __init__(
        self,
        pattern: bytes,
        *,
        is_literal: bool = False,
        is_case_sensitive: bool = True,
        spans_lines: bool = False,
        is_bytewise: bool = False,
    ) -> None:
        options = re2.Options()
        options.literal = is_literal
        options.case_sensitive = is_case_sensitive
        options.never_nl = not (is_literal or spans_lines)
        options.dot_nl = spans_lines
        options.log_errors = False
        options.max_mem = MEMORY_BYTES
        if is_bytewise:
            options.encoding = re2.Options.Encoding.LATIN1
        whole = pattern if is_literal or spans_lines else b"(?m)" + pattern
        try:
            self._compiled = re2.compile(whole, options)
        except re2.error as error:
            said = error.args[0] if error.args else b"it cannot be read"
            raise RegexRefused(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)) from None

    def found_in(self, text: bytes) -> bool:
        """Tell whether the text has a match."""
        return self._compiled.search(text) is not None

    def matches(self, text: bytes) -> bool:
        """Tell whether the whole text is a match."""
        return self._compiled.fullmatch(text) is not None

    def spans(self, text: bytes, *, most: int) -> list[tuple[int, int]]:
        """Return where the first ``most`` matches begin and end, those of nothing left out."""
        found = (match.span() for match in self._compiled.finditer(text))
        return list(islice(((start, end) for start, end in found if start < end), most))
