"""Bytes of files as text: what is assumed of them is said."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.web.text_files import ENCODINGS, read_text, split_lines


@pytest.mark.parametrize(
    ("content", "text", "encoding", "is_assumed", "has_mark", "line_ends"),
    [
        (b"", "", "UTF-8", False, False, "LF"),
        (b"a\nb", "a\nb", "UTF-8", False, False, "LF"),
        ("ü".encode(), "ü", "UTF-8", False, False, "LF"),
        (codecs.BOM_UTF8 + b"a\r\nb\r\n", "a\nb\n", "UTF-8", False, True, "CRLF"),
        (b"a\rb\r", "a\nb\n", "UTF-8", False, False, "CR"),
        (b"a\r\nb\n\rc", "a\nb\n\u240dc", "UTF-8", False, False, "mixed"),
        (b"a\rb\n", "a\u240db\n", "UTF-8", False, False, "LF"),
        (codecs.BOM_UTF16_LE + "hé\r\n".encode("utf-16-le"), "hé\n", "UTF-16LE", False, True, "CRLF"),
        (codecs.BOM_UTF16_BE + "hé".encode("utf-16-be"), "hé", "UTF-16BE", False, True, "LF"),
        (b"caf\xe9 \x80", "café €", "Windows-1252", True, False, "LF"),
        (b"\x81", "\ufffd", "Windows-1252", True, False, "LF"),
    ],
)
def test_what_a_file_says_or_what_is_assumed(
    content: bytes, text: str, encoding: str, is_assumed: bool, has_mark: bool, line_ends: str
) -> None:
    found = read_text(content)
    assert found is not None
    assert (found.text, found.encoding, found.is_assumed) == (text, encoding, is_assumed)
    assert (found.has_mark, found.line_ends) == (has_mark, line_ends)


def test_binary_is_told_from_text_as_git_does() -> None:
    assert read_text(b"a\0b") is None
    assert read_text(b"a" * 8000 + b"\0") is not None


def test_a_reader_may_know_better() -> None:
    content = "тест".encode("cp1251")
    found = read_text(content, encoding="Windows-1251")
    assert found is not None
    assert (found.text, found.is_assumed) == ("тест", False)
    unknown = read_text(content, encoding="rot13")
    assert unknown is not None
    assert unknown.encoding == "Windows-1252"


@pytest.mark.parametrize("encoding", list(ENCODINGS))
def test_every_encoding_offered_reads_anything(encoding: str) -> None:
    found = read_text(bytes(range(1, 256)), encoding=encoding)
    assert found is not None
    assert found.encoding == encoding


@given(st.binary())
def test_no_bytes_break_it(content: bytes) -> None:
    found = read_text(content)
    assert found is None or "\r" not in found.text


@pytest.mark.parametrize(
    ("text", "lines"), [("", []), ("\n", [""]), ("a", ["a"]), ("a\n", ["a"]), ("a\n\n", ["a", ""])]
)
def test_an_end_of_line_begins_no_further_line(text: str, lines: list[str]) -> None:
    assert split_lines(text) == lines
