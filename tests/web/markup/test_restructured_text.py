import re

from cairn.web.markup.documents import Source, TextKind, render_document


def html_of(text: str) -> str:
    return str(render_document(Source(TextKind.RST, text)).html)


def test_a_document_with_headings_lists_and_tables() -> None:
    rendered = render_document(
        Source(
            TextKind.RST,
            "Title\n=====\n\nPart one\n--------\n\n- a\n- *b*\n\n"
            "======  ===\nx       y\n======  ===\n1       2\n======  ===\n",
        )
    )
    assert [(h.level, h.title) for h in rendered.outline] == [(1, "Title"), (2, "Part one")]
    ids = re.findall(r'id="([^"]+)"', rendered.html)
    assert len(ids) == len(set(ids)) == 2
    assert "<em>b</em>" in rendered.html
    assert '<div class="table-scroll"><table>' in rendered.html


def test_code_formulas_and_boxes_look_as_in_markdown() -> None:
    html = html_of(
        ".. code-block:: python\n\n   def f(): pass\n\n:math:`a^2`\n\n.. math::\n\n   b\n\n"
        ".. warning:: Mind.\n\n.. seealso:: There.\n\n.. admonition:: Own\n\n   Box.\n\n>>> 1\n1\n"
    )
    assert '<span class="hl-k">def</span>' in html
    assert html.count("<math") == 2
    assert '<div class="markdown-alert markdown-alert-warning">' in html
    titles = re.findall(r'<p class="markdown-alert-title"><svg.*?</svg>([^<]*)</p>', html)
    assert titles == ["Warning", "See also", "Own"]


def test_words_of_sphinx_lose_nothing() -> None:
    html = html_of("See :func:`run`, :doc:`guide` and ``code``.\n\n.. toctree::\n\n   first\n   second\n")
    assert "<code>run</code>" in html
    assert "guide" in html
    assert "first\n   second" in html


def test_what_is_wrong_with_a_text_is_not_told_to_its_readers() -> None:
    html = html_of("*open\n\n`unknown`_\n\nTitle\n==\n")
    assert "System Message" not in html
    assert "WARNING" not in html
    assert "*open" in html


def test_a_link_inside_the_text_finds_its_heading() -> None:
    html = html_of("Title\n=====\n\nOther part!\n-----------\n\n`Other part!`_\n")
    target = re.findall(r'<a href="#([^"]+)"', html)
    assert target
    assert f'id="{target[0]}"' in html
