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
    read_lfs_pointer,
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


def test_a_pointer_says_which_object_and_how_large() -> None:
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA}\nsize 12345\n"
    found = read_lfs_pointer(text.encode())
    assert found is not None
    assert (found.sha256, found.size_bytes) == (SHA, 12345)
    extended = text.replace("oid", f"ext-0-foo sha256:{SHA}\noid")
    assert read_lfs_pointer(extended.encode()) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version https://git-lfs.github.com/spec/v1\n",
        f"version https://example.org/spec\noid sha256:{SHA}\nsize 1\n",
        f"version https://git-lfs.github.com/spec/v1\noid md5:{SHA}\nsize 1\n",
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA[:-1]}\nsize 1\n",
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA}\nsize -1\n",
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA}\nsize 1\nmore",
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA}\nsize 1\n" + "x y\n" * 300,
    ],
)
def test_what_only_looks_like_a_pointer_is_text(text: str) -> None:
    assert read_lfs_pointer(text.encode()) is None


@given(st.binary(max_size=200))
def test_no_bytes_break_a_reader(data: bytes) -> None:
    read_lfs_pointer(b"version " + data)
    assert read_dimensions(data) is None or data


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_a_picture_says_its_dimensions(kind: str) -> None:
    out = io.BytesIO()
    Image.new("RGB", (7, 5)).save(out, kind)
    assert read_dimensions(out.getvalue()) == (7, 5)
    assert read_dimensions(out.getvalue()[:8]) is None
