"""Comma-separated values as a table, as far as a reader wants to scroll."""

import csv
from collections.abc import Iterator
from io import StringIO

from markupsafe import Markup, escape

from cairn.web.markup.documents import TextUnreadable

ROWS_MAX = 1_000
COLUMNS_MAX = 60
CELL_CHARACTERS_MAX = 1_000
_SNIFFED_LINES = 20
_DELIMITERS = ",;\t|"


def to_html(text: str, *, delimiter: str | None = None) -> tuple[str, str]:
    """Return a table, its first row as the head, and a word on what is left out, empty for nothing.

    Without a delimiter the one of comma, semicolon, tab and bar that divides the first lines most evenly is taken.
    """
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter or sniff_delimiter(text))
    rows = _rows(reader)
    shown: list[list[str]] = []
    has_more = False
    for row in rows:
        if len(shown) > ROWS_MAX:
            has_more = True
            break
        shown.append(row)
    width = max((len(row) for row in shown), default=0)
    cut = min(width, COLUMNS_MAX)
    notices = []
    if has_more:
        notices.append(f"the first {ROWS_MAX:,} rows")
    if width > cut:
        notices.append(f"the first {COLUMNS_MAX} columns")
    notice = f"Shown are {' and '.join(notices)}." if notices else ""
    return _table(shown, cut), notice


def sniff_delimiter(text: str) -> str:
    """Return what divides the first lines into equally many parts, and into most; a comma if nothing does."""
    lines = [line[:4_000] for line in text[:64_000].split("\n")[:_SNIFFED_LINES] if line.strip()]
    best, best_score = ",", (0.0, 0)
    for delimiter in _DELIMITERS:
        counts = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        usual = max(set(counts), key=counts.count, default=1)
        score = (counts.count(usual) / len(counts) if usual > 1 else 0.0, usual)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _rows(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise CsvUnreadable(str(error)) from error
        if row:
            yield row


class CsvUnreadable(TextUnreadable):
    """A text is no table: a field does not end, or there are NULs."""


def _table(rows: list[list[str]], width: int) -> str:
    if not rows:
        return ""
    head, *body = rows
    out = ['<table class="data-table"><thead><tr><th scope="col">#</th>']
    out += [f'<th scope="col">{_cell(head, column)}</th>' for column in range(width)]
    out.append("</tr></thead><tbody>")
    for number, row in enumerate(body, 1):
        cells = "".join(f"<td>{_cell(row, column)}</td>" for column in range(width))
        out.append(f'<tr><th scope="row">{number}</th>{cells}</tr>\n')
    out.append("</tbody></table>")
    return "".join(out)


def _cell(row: list[str], column: int) -> Markup:
    if column >= len(row):
        return Markup("")
    value = row[column]
    return escape(value if len(value) <= CELL_CHARACTERS_MAX else value[:CELL_CHARACTERS_MAX] + "…")
