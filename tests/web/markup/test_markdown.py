import re

from cairn.web.markup.documents import Source, TextKind, render_document
from cairn.web.markup.links import LinkContext


def html_of(text: str, **more: object) -> str:
    return str(render_document(Source(TextKind.MARKDOWN, text, **more)).html)  # type: ignore[arg-type]


def test_tables_strikes_and_addresses() -> None:
    html = html_of(
        "~~old~~ ~older~ https://example.org/a_b(c). www.example.org x@example.org\n\n|a|b|\n|:-|-:|\n|1|2|\n"
    )
    assert "<s>old</s> <s>older</s>" in html
    assert '<a href="https://example.org/a_b(c)" rel="nofollow ugc noopener">https://example.org/a_b(c)</a>.' in html
    assert 'href="http://www.example.org"' in html
    assert 'href="mailto:x@example.org"' in html
    assert '<td align="right">2</td>' in html
    assert '<div class="table-scroll"><table>' in html


def test_tasks_have_names() -> None:
    html = html_of("- [x] done\n- [ ] open\n  - [ ] inner\n")
    assert re.findall(r'aria-label="([^"]+)"', html) == ["Completed task", "Incomplete task", "Incomplete task"]
    assert html.count("disabled") == 3


def test_five_kinds_of_alerts() -> None:
    kinds = ["note", "tip", "important", "warning", "caution"]
    html = html_of("\n\n".join(f"> [!{kind.upper()}]\n> text of {kind}" for kind in kinds))
    assert re.findall(r"markdown-alert-(note|tip|important|warning|caution)", html) == kinds
    assert "[!" not in html
    assert len(set(re.findall(r"<svg.*?</svg>", html))) == 5
    assert html_of("> [!OTHER]\n> x").count("<blockquote>") == 1


def test_footnotes_lead_there_and_back() -> None:
    html = html_of("a[^one] b[^two] c[^one]\n\n[^one]: first\n[^two]: second")
    assert 'aria-label="Footnotes"' in html
    targets, ids = re.findall(r'href="#([^"]+)"', html), re.findall(r'id="([^"]+)"', html)
    assert len(targets) == 6
    assert set(targets) <= set(ids)
    assert len(ids) == len(set(ids))


def test_shortcodes_become_emoji_but_not_in_code() -> None:
    html = html_of(":rocket: :+1: :no-such: `:rocket:` [:tada:](x)\n\n```\n:rocket:\n```")
    assert "🚀 👍 :no-such:" in html
    assert "<code>:rocket:</code>" in html
    assert ">🎉</a>" in html


def test_formulas_are_set_and_money_is_not() -> None:
    html = html_of(
        "$a_1$ costs $5 or $6, and $`x_*y*`$ too\n\n$$\n\\frac{a}{b}\n$$\n\n```math\nz\n```\n\nin $$w$$ line"
    )
    assert html.count("<math") == 5
    assert "costs $5 or $6, and" in html
    assert "<mfrac><mrow><mi>a</mi></mrow><mrow><mi>b</mi></mrow></mfrac>" in html
    assert html.count("math-display") == 3


def test_diagrams_keep_their_source() -> None:
    rendered = render_document(Source(TextKind.MARKDOWN, "```mermaid\ngraph TD\n  A-->B\n```"))
    assert rendered.has_diagrams
    assert '<div class="diagram"><pre><code>graph TD\n  A--&gt;B\n</code></pre></div>' in rendered.html
    assert not render_document(Source(TextKind.MARKDOWN, "```\nA-->B\n```")).has_diagrams


def test_code_is_coloured_by_class_and_stays_text() -> None:
    html = html_of("```python\ndef f(): return '<b>'\n```\n\n```no-such-language\n<b>\n```\n\n    <i>\n")
    assert '<span class="hl-k">def</span>' in html
    assert "<b>" not in html
    assert "<i>" not in html
    assert 'class="language-python"' in html


def test_lines_of_a_file_run_on_and_lines_of_a_comment_break() -> None:
    assert "<br>" not in html_of("a\nb")
    assert "a<br>\nb" in html_of("a\nb", hard_breaks=True)


def test_front_matter_is_shown_and_not_a_heading() -> None:
    html = html_of("---\ntitle: Mill\n---\n# Real\n")
    assert '<th scope="row">title</th><td>Mill</td>' in html
    assert "<h2" not in html


def test_known_references_are_linked_and_others_stay_text() -> None:
    known = {"@ada": "/ada", "#12": "/ada/engine/issues/12", "1a2b3c4d": "/ada/engine/commit/1a2b3c4d"}
    html = html_of("@ada @bob #12 #13 1a2b3c4d `@ada` [@ada](x) a@ada.test", references=known)
    assert '<a href="/ada" rel="nofollow ugc noopener">@ada</a> @bob' in html
    assert html.count('href="/ada"') == 1
    assert '<a href="/ada/engine/issues/12" rel="nofollow ugc noopener">#12</a> #13' in html
    assert "<code>1a2b3c4</code></a>" in html


def test_links_mean_files_of_the_revision() -> None:
    html = html_of("[a](docs/a.md) ![b](b.png) <img src='d.png'>", links=LinkContext("/ada/engine", b"main"))
    assert 'href="/ada/engine/blob/main/docs/a.md"' in html
    assert 'src="/ada/engine/raw/main/b.png"' in html
    assert 'src="/ada/engine/raw/main/d.png"' in html


def test_lists_nest_as_deep_as_people_write_them() -> None:
    html = html_of("".join("  " * depth + f"- level {depth}\n" for depth in range(12)))
    assert html.count("<ul>") == 12
