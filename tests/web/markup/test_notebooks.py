import json

import pytest

from cairn.web.markup.code_blocks import language_of_notebook
from cairn.web.markup.documents import Source, TextKind, render_document
from cairn.web.markup.notebooks import NotebookUnreadable


def notebook(*cells: dict[str, object], language: str = "python") -> str:
    return json.dumps({"cells": list(cells), "metadata": {"language_info": {"name": language}}, "nbformat": 4})


def html_of(*cells: dict[str, object]) -> str:
    return str(render_document(Source(TextKind.NOTEBOOK, notebook(*cells))).html)


def code(*outputs: dict[str, object]) -> dict[str, object]:
    return {"cell_type": "code", "source": ["def f():\n", "  pass"], "execution_count": 3, "outputs": list(outputs)}


def test_cells_are_shown_in_order_with_what_they_gave() -> None:
    html = html_of(
        {"cell_type": "markdown", "source": "# Title\n\n$x$"},
        code(
            {"output_type": "stream", "text": ["\x1b[31mred\x1b[0m\n"]},
            {"output_type": "error", "traceback": ["Trace <x>"]},
        ),
    )
    assert html.index("Title") < html.index("In [3]:") < html.index("red") < html.index("Trace &lt;x&gt;")
    assert "\x1b" not in html
    assert "<math" in html
    assert '<span class="hl-k">def</span>' in html


def test_pictures_carry_their_own_bytes_and_nothing_else() -> None:
    html = html_of(
        code({"output_type": "display_data", "data": {"image/png": "aGVs\nbG8=", "text/plain": "x"}}),
        code({"output_type": "display_data", "data": {"image/svg+xml": "<svg onload='alert(1)'/>"}}),
        code(
            {
                "output_type": "display_data",
                "data": {"image/png": '"><script>alert(1)</script>', "text/plain": "instead"},
            }
        ),
    )
    assert '<img src="data:image/png;base64,aGVsbG8=" alt="Output of the cell">' in html
    assert '<img src="data:image/svg+xml;base64,' in html
    assert "<script" not in html
    assert "<svg" not in html
    assert "instead" in html


def test_html_that_a_cell_gave_is_sanitised() -> None:
    html = html_of(
        code(
            {
                "output_type": "execute_result",
                "data": {"text/html": "<table onclick=x><tr><td>1</table><script>alert(1)</script>"},
            }
        ),
        code({"output_type": "execute_result", "data": {"text/latex": "$\\frac ab$"}}),
        code(
            {"output_type": "execute_result", "data": {"application/javascript": "alert(1)", "text/plain": "<plain>"}}
        ),
    )
    assert "<td>1</td>" in html
    assert "onclick" not in html
    assert "alert" not in html
    assert "<mfrac>" in html
    assert "&lt;plain&gt;" in html


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": 3}', "{" * 50, '{"worksheets": [3]}', "null"])
def test_what_is_no_notebook_is_refused(text: str) -> None:
    with pytest.raises(NotebookUnreadable):
        render_document(Source(TextKind.NOTEBOOK, text))


@pytest.mark.parametrize(
    "cell",
    [
        {},
        {"cell_type": "code", "outputs": 3},
        {"cell_type": "code", "outputs": [3, {"output_type": "stream", "text": {}}]},
        {"cell_type": 7, "source": {"a": 1}},
    ],
)
def test_odd_cells_do_no_harm(cell: dict[str, object]) -> None:
    assert "after" in html_of(cell, {"cell_type": "markdown", "source": "after"})


def test_the_language_is_read_before_the_notebook_is() -> None:
    assert language_of_notebook(notebook(language="Julia")) == "julia"
    assert language_of_notebook("{}") == ""
