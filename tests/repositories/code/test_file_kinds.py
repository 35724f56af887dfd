"""What a file is by its name and bytes."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cairn.repositories.code.file_kinds import (
    FileKind,
    media_kind,
    media_type,
    raw_type,
    read_dimensions,
)

SHA = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        (b"a.png", b"x", "image/png"),
        (b"A.PNG", b"x", "image/png"),
        (b"a.svg", b"<svg/>", "image/svg+xml"),
        (b"a.html", b"<script>", "text/plain; charset=utf-8"),
        (b"a.js", b"alert(1)", "text/plain; charset=utf-8"),
        (b"a.xhtml", b"\xff\xfex\0", "text/plain; charset=utf-16le"),
        (b"a", b"\0", "application/octet-stream"),
        (b"a.swf", b"\0", "application/octet-stream"),
        (b"a.html", None, "text/plain; charset=utf-8"),
        (b"a.log", None, "text/plain; charset=utf-8"),
        (b"a.zip", None, "application/octet-stream"),
        (b"noname", None, "application/octet-stream"),
    ],
)
def test_bytes_are_sent_as_nothing_a_browser_runs(name: bytes, data: bytes | None, kind: str) -> None:
    assert raw_type(name, data) == kind


@given(st.binary(max_size=20), st.binary(max_size=20))
def test_no_name_makes_a_page_of_a_file(name: bytes, data: bytes) -> None:
    assert raw_type(name, data).partition(";")[0] in {"text/plain", "application/octet-stream", media_type(name)}
    assert media_type(name).partition("/")[2] not in {"html", "xhtml+xml", "javascript", "xml"}


def test_media_are_known_by_name() -> None:
    kinds = {b"a.jpeg": FileKind.IMAGE, b"b.MP3": FileKind.AUDIO, b"c.mp4": FileKind.VIDEO, b"d.pdf": FileKind.PDF}
    assert {name: media_kind(name) for name in kinds} == kinds
    assert media_kind(b"png") is None


@given(st.binary(max_size=200))
def test_no_bytes_break_a_reader(data: bytes) -> None:
    assert read_dimensions(data) is None or data


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_a_picture_says_its_dimensions(kind: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", (7, 5)).save(out, kind)
    assert read_dimensions(out.getvalue()) == (7, 5)
    assert read_dimensions(out.getvalue()[:8]) is None
