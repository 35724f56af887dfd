import pytest

from cairn.web.markup.formulas import FORMULA_CHARACTERS_MAX, FormulaRefused, render_formula, to_mathml


@pytest.mark.parametrize(
    ("latex", "has"),
    [
        (r"\sum_{i=1}^n x_i", "<munderover>"),
        (r"\begin{pmatrix}a&b\\c&d\end{pmatrix}", "<mtable>"),
        (r"\sqrt[3]{x} \le \alpha", "<mroot>"),
        (r"\begin{align}a&=b\\c&=d\end{align}", 'columnalign="right"'),
        (r"\begin{cases}1 & x>0\\0 & x \leq 0\end{cases}", "<mtable"),
        (r"\text{if } x < y", "<mtext>"),
        (r"\mathbb{R} \to \infty", "\u211d"),
    ],
)
def test_formulas_become_mathml(latex: str, has: str) -> None:
    assert has in to_mathml(latex, is_display=True)


def test_a_matrix_with_an_exponent_is_one_base() -> None:
    html = to_mathml(r"\begin{pmatrix}a\end{pmatrix}^{-1}", is_display=True)
    assert html.count("<msup><mrow><mo>(</mo><mtable>") == 1
    assert "</mtable><mo>)</mo></mrow><mrow>" in html


def test_a_formula_carries_its_source() -> None:
    assert 'alttext="a^2"' in to_mathml("a^2", is_display=False)


@pytest.mark.parametrize(
    "latex", ["{", r"\frac{", r"\nosuchcommand x", "", "x" * (FORMULA_CHARACTERS_MAX + 1), "{" * 900 + "x" + "}" * 900]
)
def test_what_cannot_be_set_is_shown_as_written(latex: str) -> None:
    with pytest.raises(FormulaRefused):
        to_mathml(latex, is_display=False)
    assert render_formula(latex, is_display=False).startswith('<code class="math-source">')


@pytest.mark.parametrize(
    "latex",
    [
        r"\href{javascript:alert(1)}{x}",
        r"\class{site-header}{x}",
        r"\style{background:url(//evil.test)}{x}",
        r"\text{<script>alert(1)</script>}",
        r'\text{"><img src=x onerror=alert(1)>}',
        r"\color{red\" onclick=alert(1) x=\"}{x}",
    ],
)
def test_a_formula_neither_leads_nor_acts(latex: str) -> None:
    """LaTeX has commands for links, classes and styles; the library passes them and raw text on."""
    html = str(render_formula(latex, is_display=False))
    outside = html.replace("&lt;", "").replace("&gt;", "")
    for word in ("<script", "<img", "href=", 'class="site', "style=", 'onclick="', "onclick=a"):
        assert word not in outside.split("alttext=")[0] + "".join(outside.split('">')[1:])
