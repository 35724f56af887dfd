"""What stands between ``---`` at the start of a text: as a table if it is simple, else as code."""

import re

from markupsafe import Markup

from cairn.web.markup.code_blocks import CodeBlocks

ROWS_MAX = 50
_PAIR = re.compile(r"([\w][\w .-]{0,60}):(?:[ \t]+(.*))?")
_ITEM = re.compile(r"[ \t]*-[ \t]+(.*)")


def front_matter_html(text: str, code: CodeBlocks) -> str:
    """Return a table of names and values; the text as YAML where it is more than names, values and flat lists."""
    rows = _rows(text)
    if not rows:
        return code.html(text.strip("\n") + "\n", "yaml") if text.strip() else ""
    cells = Markup("").join(Markup("<tr><th scope=row>{}</th><td>{}</td></tr>").format(*row) for row in rows)
    return str(Markup('<table class="front-matter"><tbody>{}</tbody></table>\n').format(cells))


def _rows(text: str) -> list[tuple[str, str]]:
    """Return names and values, lists joined by commas; nothing if the text is not that simple."""
    found: list[tuple[str, list[str]]] = []
    for line in text.split("\n"):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if found and (item := _ITEM.fullmatch(line)):
            found[-1][1].append(item[1])
        elif pair := _PAIR.fullmatch(line):
            found.append((pair[1], [pair[2]] if pair[2] else []))
        else:
            return []
    if len(found) > ROWS_MAX or any(_is_nested(value) for _, values in found for value in values):
        return []
    return [(name, ", ".join(_plain(value) for value in values)) for name, values in found]


def _is_nested(value: str) -> bool:
    return value[:1] in set("{|>&*!") or bool(re.match(r"[\w-]+:[ \t]", value))


def _plain(value: str) -> str:
    value = value.strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        return value[1:-1]
    return ", ".join(_plain(part) for part in value[1:-1].split(",")) if re.fullmatch(r"\[[^\[\]]*\]", value) else value
