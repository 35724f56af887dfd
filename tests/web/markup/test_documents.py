import pytest

from cairn.web.markup.documents import Heading, Source, TextKind, render_document
from cairn.web.markup.sanitise import SafeHtml

TEXTS = {
    TextKind.MARKDOWN: "# T\n",
    TextKind.RST: "T\n=\n\nx\n",
    TextKind.CSV: "T,b\n",
    TextKind.TSV: "T\tb\n",
    TextKind.NOTEBOOK: '{"cells": [{"cell_type": "markdown", "source": "# T"}]}',
}


@pytest.mark.parametrize("kind", TextKind)
def test_every_kind_gives_safe_html(kind: TextKind) -> None:
    rendered = render_document(Source(kind, TEXTS[kind]))
    assert isinstance(rendered.html, SafeHtml)
    assert "T" in rendered.html
    has_heading = kind not in {TextKind.CSV, TextKind.TSV}
    assert rendered.outline == ((Heading(1, "user-content-t", "T"),) if has_heading else ())


def test_the_same_text_gives_the_same_document() -> None:
    source = Source(TextKind.MARKDOWN, "# T\n\n$x$ :rocket: [^1]\n\n[^1]: y\n")
    assert render_document(source) == render_document(source)
