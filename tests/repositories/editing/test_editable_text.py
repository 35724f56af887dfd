"""What nobody touched is the same again, byte by byte, whatever line ends, mark and encoding a file has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.repositories.editing.editable_text import (
    EDITABLE_BYTES_MAX,
    EditableText,
    NotEditable,
    TextUnwritable,
    open_text,
)

KEPT = {
    "plain": b"one\ntwo\n",
    "no line end at the end": b"one\ntwo",
    "empty": b"",
    "blank lines around": b"\n\none\n\n\n",
    "CRLF": b"one\r\ntwo\r\n",
    "CRLF without an end": b"one\r\ntwo",
    "CR": b"one\rtwo\r",
    "mixed": b"one\r\ntwo\nthree\r\nfour\n",
    "a return inside a line": b"one\rhalf\ntwo\n",
    "a return inside a line of CRLF": b"one\rhalf\r\ntwo\r\n",
    "the sign for a return, written by somebody": "one\u240d\ntwo\n".encode(),
    "a mark": b"\xef\xbb\xbfone\n",
    "two marks": b"\xef\xbb\xbf\xef\xbb\xbfone\n",
    "UTF-16": "one\ntwo\n".encode("utf-16"),
    "UTF-16 with CRLF": b"\xfe\xff" + "one\r\ntwo\r\n".encode("utf-16-be"),
    "Windows-1252": "caf\u00e9 \u201cx\u201d\r\n".encode("cp1252"),
    "a form feed and an escape": b"one\x0c\ntwo\x1b[0m\n",
}


@pytest.mark.parametrize("name", list(KEPT))
def test_what_nobody_touched_is_the_same_again(name: str) -> None:
    data = KEPT[name]
    found = open_text(data)
    assert "\r" not in found.text
    assert not found.text.startswith("\ufeff") or name == "two marks"
    assert found.bytes_of(found.text) == data


@given(
    st.text(st.sampled_from("ab\r\n\u240d\u00e9\ufeff"), max_size=40), st.sampled_from(["utf-8", "utf-16", "cp1252"])
)
def test_any_text_comes_back_or_is_refused(text: str, codec: str) -> None:
    data = text.encode(codec, "ignore")
    try:
        found = open_text(data)
    except NotEditable:
        return
    assert found.bytes_of(found.text) == data


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["\n", "\r\n"])), min_size=2, max_size=12),
    st.integers(0, 11),
)
def test_lines_that_stay_keep_their_ends_where_they_are_mixed(lines: list[tuple[str, str]], at: int) -> None:
    numbered = [(f"{number} {letter}", end) for number, (letter, end) in enumerate(lines)]
    found = open_text("".join(line + end for line, end in numbered).encode())
    at %= len(numbered)
    shown = [line for line, _ in numbered]
    written = found.bytes_of("\n".join([*shown[:at], "new", *shown[at:], ""])).decode()
    rest = "".join(line + end for line, end in numbered[:at]), "".join(line + end for line, end in numbered[at:])
    assert written in {f"{rest[0]}new\n{rest[1]}", f"{rest[0]}new\r\n{rest[1]}"}


def test_new_text_gets_the_files_encoding_mark_and_line_ends() -> None:
    assert open_text(b"\xef\xbb\xbfone\r\n").bytes_of("two\nthree") == b"\xef\xbb\xbftwo\r\nthree"
    latin = open_text("caf\u00e9".encode("cp1252"))
    assert latin.is_assumed
    assert latin.facts == ["not UTF-8, read as Windows-1252"]
    assert latin.bytes_of("th\u00e9") == b"th\xe9"
    with pytest.raises(TextUnwritable, match="does not exist in Windows-1252"):
        latin.bytes_of("\u2603")
    assert latin.as_utf8().bytes_of("\u2603") == "\u2603".encode()
    assert EditableText().bytes_of("new\n") == b"new\n"
    chosen = open_text("\u0434\u0430".encode("cp1251"), encoding="Windows-1251")
    assert chosen.bytes_of("\u043d\u0435\u0442") == "\u043d\u0435\u0442".encode("cp1251")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\0one", "binary"),
        (b"a" * 9000 + b"\0", "binary"),
        (b"caf\x81\n", "not all of its bytes are text"),
        (b"a" * (EDITABLE_BYTES_MAX + 1), "more than the 1,048,576"),
        ("a\rb\n\u240d\n".encode(), "not all of its bytes are text"),
    ],
    ids=["binary", "late NUL", "undefined byte", "large", "both returns"],
)
def test_what_would_not_come_back_is_refused_with_the_reason(data: bytes, said: str) -> None:
    with pytest.raises(NotEditable, match=said):
        open_text(data)
