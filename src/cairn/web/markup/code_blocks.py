"""Code inside a text: coloured while there is little of it."""

import re

from markupsafe import Markup, escape

from cairn.web.highlight import highlight_language

COLOURED_CHARACTERS_MAX = 128 << 10
"""So much code of one text is coloured; what comes after that is plain."""


class CodeBlocks:
    """Writes the code blocks of one text."""

    def __init__(self) -> None:
        self._left = COLOURED_CHARACTERS_MAX

    def html(self, code: str, language: str) -> str:
        """Return a block; ``language`` is a name as people write it after a fence, or nothing."""
        self._left -= len(code)
        body = _coloured(code, language) if language and self._left >= 0 else escape(code)
        said = Markup(' class="language-{}"').format(language) if language else ""
        return f'<div class="code-block"><pre><code{said}>{body}</code></pre></div>\n'


def _coloured(code: str, language: str) -> Markup:
    try:
        return highlight_language(code, language)
    except (OSError, RecursionError):  # a lexer would load another one, which cannot be opened here; or it gives up
        return escape(code)


_FENCE = re.compile(r"^[ >]{0,20}(?:[-*+] +)?(?:`{3,}|~{3,}) *([\w+#.-]{1,40})", re.MULTILINE)
_DIRECTIVE = re.compile(r"^ *\.\. (?:code|code-block|sourcecode):: *([\w+#.-]{1,40})", re.MULTILINE)


def languages_in(text: str, *, most: int = 30) -> list[str]:
    """Return the names of the languages that code in a text says it is in, each once."""
    found: dict[str, None] = {}
    for pattern in (_FENCE, _DIRECTIVE):
        for match in pattern.finditer(text):
            found[match[1].lower()] = None
            if len(found) >= most:
                return list(found)
    return list(found)


def language_of_notebook(text: str) -> str:
    """Return the name of the language a notebook's code is in, as far as its text says so; empty if not."""
    found = re.search(r'"language_info"\s*:\s*\{[^{}]*(?:\{[^{}]*\}[^{}]*)?"name"\s*:\s*"([\w+#.-]{1,40})"', text)
    return found[1].lower() if found else ""
