import re

import pytest

from cairn.web.markup.csv_tables import (
    CELL_CHARACTERS_MAX,
    COLUMNS_MAX,
    ROWS_MAX,
    CsvUnreadable,
    sniff_delimiter,
    to_html,
)


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b,c\n1,2,3\n", ","),
        ("a;b\n1,5;2\n3,5;4\n", ";"),
        ("a\tb\n1,2\t3\n", "\t"),
        ("a|b|c\n1|2|3\n", "|"),
        ("only one column\nhere, and here\n", ","),
        ("", ","),
        ('"a;b",c\n"d;e",f\n', ","),
    ],
)
def test_the_delimiter_is_what_divides_evenly(text: str, delimiter: str) -> None:
    assert sniff_delimiter(text) == delimiter


def test_the_first_row_is_the_head_and_cells_may_have_lines() -> None:
    html, notice = to_html('name,note\nAda,"one\ntwo"\nBob\n')
    assert re.findall(r'<th scope="col">([^<]*)</th>', html) == ["#", "name", "note"]
    assert "<td>one\ntwo</td>" in html
    assert '<th scope="row">2</th><td>Bob</td><td></td>' in html
    assert notice == ""


def test_a_table_has_an_end_both_ways() -> None:
    html, notice = to_html((",".join(["x"] * 100) + "\n") * (ROWS_MAX + 500))
    assert html.count("<tr>") == ROWS_MAX + 1
    assert html.count('<th scope="col">') == COLUMNS_MAX + 1
    assert notice == f"Shown are the first {ROWS_MAX:,} rows and the first {COLUMNS_MAX} columns."
    assert len(to_html("x" * 5_000)[0]) < CELL_CHARACTERS_MAX + 500


def test_nothing_gives_nothing() -> None:
    assert to_html("") == ("", "")


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(CsvUnreadable):
        to_html('"' + "x" * 200_000)
