from cairn.web.markup.code_blocks import CodeBlocks
from cairn.web.markup.front_matter import ROWS_MAX, front_matter_html


def html_of(text: str) -> str:
    return front_matter_html(text, CodeBlocks())


def test_names_and_values_are_a_table() -> None:
    html = html_of("title: 'A & B'\ntags:\n  - one\n  - two\nmore: [x, \"y\"]\n# a remark\nempty:\n")
    assert "<td>A &amp; B</td>" in html
    assert "<td>one, two</td>" in html
    assert "<td>x, y</td>" in html
    assert "remark" not in html


def test_what_is_not_that_simple_is_code() -> None:
    for text in (
        "a:\n  b: c\n",
        "a: |\n  long\n",
        "- x\n",
        "a: {b: c}",
        "".join(f"k{n}: v\n" for n in range(ROWS_MAX + 1)),
    ):
        assert '<code class="language-yaml">' in html_of(text)


def test_nothing_is_nothing() -> None:
    assert html_of("\n") == ""
