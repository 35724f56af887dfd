import subprocess
import sys

import pytest
from markupsafe import Markup, escape

from cairn.web.highlight import HIGHLIGHT_BYTES_MAX, decode_text, highlight_language, highlight_lines, highlight_spans

SOURCES = [
    ("a.py", b'def f():\n    """doc\n    more"""\n    return "<b>&"\n'),
    ("a.js", b"const a = `x\n${1}`;\r\n// <script>\r\n"),
    ("a.html", b"<script>alert(1)</script>\n\n"),
    ("Makefile", b"all:\n\techo hi"),
    ("a.unknown", b"<i>plain</i>\n"),
    ("empty.py", b""),
    ("a.py", b"\n\n\nx = 1\n\n"),
    ("a.c", b"\xff\xfe<x>\n"),
    ("run", b"#!/usr/bin/env python3\nimport os\n"),
]


@pytest.mark.parametrize(("name", "content"), SOURCES)
def test_the_lines_say_what_the_file_says(name: str, content: bytes) -> None:
    lines = highlight_lines(content, name)
    text = decode_text(content)
    assert [str(line.striptags()) for line in lines] == [str(Markup(escape(line)).striptags()) for line in _split(text)]
    for line in lines:
        assert str(line).count("<span") == str(line).count("</span>")
        assert "<" not in str(line).replace("<span class=", "").replace("</span>", "")


def _split(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n")


def test_classes_are_our_own() -> None:
    assert str(highlight_lines(b"def f(): pass\n", "a.py")[0]).startswith('<span class="hl-k">def</span>')
    assert str(highlight_lines(b"#!/bin/sh\necho x\n", "run")[0]).startswith('<span class="hl-')
    assert highlight_language("x", "no such") == "x"


def test_spans_cover_every_character_of_every_line() -> None:
    text = "\ufeffdef f():\r\n\treturn '''a\n\n b'''\r  # \u202e\n"
    spans = highlight_spans(text, "a.py")
    assert spans is not None
    assert [sum(count for _, count in line) for line in spans[: text.count("\n") + 1]] == [
        len(line) for line in text.split("\n")
    ]
    assert ("hl-k", 3) in spans[0]
    assert highlight_spans("some words", "NOTES") is None
    assert highlight_spans("x" * 30_000, "a.py") is None


def test_large_files_and_long_lines_stay_plain() -> None:
    assert str(highlight_lines(b"def f():\n" * (HIGHLIGHT_BYTES_MAX // 9 + 1), "a.py")[0]) == "def f():"
    assert str(highlight_lines(b"def " + b"x" * 30_000, "a.py")[0]).startswith("def x")


def test_importing_the_toolkit_does_not_load_the_highlighter() -> None:
    """A worker that shows no code pays no memory for lexers."""
    late = "('pygments.lexers.python', 'markdown_it')"
    code = f"import sys, cairn.web.app; print([name for name in {late} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
