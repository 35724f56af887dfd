"""Nothing of a stranger's text acts, leads astray or takes the place of the page's own parts."""

import re

import pytest
from markupsafe import Markup
from tests.factories.hostile_markup import PAYLOADS, RST_PAYLOADS

from cairn.web.markup.documents import Source, TextKind, render_document
from cairn.web.markup.sanitise import SafeHtml, place, sanitise, without_marks

FORBIDDEN = re.compile(
    r"<(script|style|iframe|object|embed|form|base|meta|link|template|textarea|button|video|audio|frame|area|dialog)\b"
    r"|<(?!/?(svg|path|math|m[a-z]+)\b)[^>]*\s(on\w+|style|hx-[\w:]+|data-[\w-]+|srcdoc|formaction|ping|xlink:href|slot|is)\s*="
    r"|(href|src|srcset)=\"\s*(javascript|data|vbscript|feed|blob|view-source|livescript|//|/\\|\\)",
    re.IGNORECASE,
)
OURS = re.compile(r'class="[^"]*(site-header|menu-items|button)|id="(?!user-content-)|name="(?!user-content-)')
QUOTED = re.compile(r'="[^"]*"')


def markdown(text: str, **more: object) -> str:
    return str(render_document(Source(TextKind.MARKDOWN, text, **more)).html)  # type: ignore[arg-type]


def assert_harmless(html: str) -> None:
    tags = "".join(re.findall(r'<[^<>"]*(?:"[^"]*"[^<>"]*)*>', html))
    assert not FORBIDDEN.search(tags) or not FORBIDDEN.search(_without_values(tags)), html
    assert not OURS.search(tags), html
    assert not re.search(r'(href|src|srcset)="\s*(javascript|vbscript|data:text|//|/\\)', tags, re.IGNORECASE), html


def _without_values(tags: str) -> str:
    """Return tags with what stands in quotes left out: a title may say anything."""
    return QUOTED.sub('=""', tags)


@pytest.mark.parametrize("number", range(len(PAYLOADS)))
def test_nothing_that_acts_survives_in_markdown(number: int) -> None:
    """A text tries to run script, to load from elsewhere, or to look like our own page: the sanitiser comes last."""
    assert_harmless(markdown(PAYLOADS[number]))


@pytest.mark.parametrize("number", range(len(RST_PAYLOADS)))
def test_nothing_that_acts_survives_in_restructured_text(number: int) -> None:
    """docutils can read files, fetch addresses and pass HTML through: none of it does anything here."""
    html = str(render_document(Source(TextKind.RST, RST_PAYLOADS[number])).html)
    assert_harmless(html)
    assert "root:" not in html
    assert "PATH=" not in html


@pytest.mark.parametrize("kind", [TextKind.CSV, TextKind.TSV])
def test_cells_of_a_table_are_text(kind: TextKind) -> None:
    text = "\n".join(PAYLOADS[:50])
    html = str(render_document(Source(kind, text)).html)
    assert set(re.findall(r"<([a-z]+)", html)) <= {"div", "table", "thead", "tbody", "tr", "th", "td"}


def test_the_check_of_this_file_sees_what_it_must_not_miss() -> None:
    for bad in (
        '<a href="javascript:alert(1)">',
        '<p onclick="x">',
        "<script>",
        '<div style="x">',
        '<p id="main">',
        '<a class="button">',
    ):
        with pytest.raises(AssertionError):
            assert_harmless(bad)


def test_ids_of_a_text_cannot_be_the_pages_own() -> None:
    html = markdown("# Main\n\n<p id=main>x</p>\n\n[to](#main)\n\nfoot[^1]\n\n[^1]: note")
    ids = re.findall(r'id="([^"]+)"', html)
    assert ids
    assert all(found.startswith("user-content-") for found in ids)
    targets = re.findall(r'href="#([^"]+)"', html)
    assert "user-content-main" in targets
    assert all(target in ids for target in targets)


def test_names_of_a_text_cannot_be_those_of_the_pages_fields() -> None:
    """Attack: an anchor named like a form's field, which scripts then find in its place."""
    html = markdown('<a name="csrf_token"></a><a name="user-content-x"></a>[to](#csrf_token)')
    assert re.findall(r'name="([^"]+)"', html) == ["user-content-csrf_token", "user-content-x"]
    assert 'href="#user-content-csrf_token"' in html


def test_a_piece_stands_in_running_text_only() -> None:
    """Attack: a formula inside an attribute that stays open over a blank line; its own quotes would end it."""
    html = markdown('<div title="\n\n$\\text{x" onmouseover=alert(1) y="}$\n\n">x</div>')
    assert "<math" not in html
    assert "onmouseover=alert" not in _without_values(html)


def test_nobody_writes_what_stands_for_a_piece() -> None:
    assert "\ufffd0\ufffd" in without_marks(place(0))
    html = markdown(f"{place(0)} $x$")
    assert html.count("<math") == 1
    assert sanitise(place(7), pieces=[Markup("x")])[0] == ""


def test_links_do_not_vouch_for_where_they_lead_and_pictures_do_not_tell_who_reads() -> None:
    html = markdown("[x](https://example.org) ![y](https://example.org/y.png)")
    assert 'rel="nofollow ugc noopener"' in html
    assert 'referrerpolicy="no-referrer"' in html
    assert 'loading="lazy"' in html


def test_html_that_readmes_are_made_of_stays() -> None:
    html = markdown(
        '<h1 align="center">Mill</h1>\n<p align="center"><img src="logo.png" width="120" height="50%" alt="Mill"></p>\n'
        "<details open><summary>More</summary>\n\n*x*\n\n</details>\n\n"
        '<kbd>Ctrl</kbd> H<sub>2</sub>O x<sup>2</sup> <picture><source media="(prefers-color-scheme: dark)" '
        'srcset="dark.png 2x, dark1.png"><img src="light.png"></picture>\n\n'
        '<table><tr><td colspan="2" valign="top">x</table>'
    )
    assert '<h1 id="user-content-mill" align="center">Mill<a class="anchor"' in html
    assert 'width="120" height="50%"' in html
    assert "<details open" in html
    assert "<kbd>Ctrl</kbd> H<sub>2</sub>O x<sup>2</sup>" in html
    assert '<source media="(prefers-color-scheme: dark)" srcset="dark.png 2x, dark1.png">' in html
    assert '<td colspan="2" valign="top">' in html


def test_sizes_are_sizes() -> None:
    html = markdown('<img src="x" width="9999999" height="1;position:fixed">')
    assert "width" not in html
    assert "height" not in html


def test_fields_are_boxes_of_tasks_or_nothing() -> None:
    html = markdown("<input type=checkbox checked> <input type=text value=x> <input name=password type=password>")
    assert re.findall("<input[^>]*>", html) == ['<input type="checkbox" disabled aria-label="Completed task" checked>']


def test_headings_make_an_outline_whatever_wrote_them() -> None:
    safe, outline, _ = sanitise("<h1>A <em>b</em></h1><h2 id=own>C &amp; d</h2><h3></h3>")
    assert isinstance(safe, SafeHtml)
    assert outline == [(1, "user-content-a-b", "A b"), (2, "user-content-own", "C & d")]
    assert 'href="#user-content-own"' in safe
