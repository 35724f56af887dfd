"""Uploaded pictures: only pixels survive, and nothing a stranger uploads costs much."""

import io
import struct
import zlib

import pytest
from PIL import Image

from cairn.base.errors import TooLarge
from cairn.identity.avatar_images import PIXELS_MAX, SIZES, UPLOAD_BYTES_MAX, PictureInvalid, draw_picture


def picture(kind: str, size: tuple[int, int] = (64, 40), **options: object) -> bytes:
    out = io.BytesIO()
    mode = "RGB" if kind == "JPEG" else "RGBA"
    Image.new(mode, size, (200, 30, 40) if mode == "RGB" else (200, 30, 40, 128)).save(out, kind, **options)
    return out.getvalue()


def png_of(width: int, height: int, data: bytes) -> bytes:
    """Return a PNG whose header promises that many pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
async def test_every_size_is_a_square_webp(kind: str) -> None:
    drawn = await draw_picture(picture(kind))
    assert tuple(drawn) == SIZES
    for size, data in drawn.items():
        with Image.open(io.BytesIO(data)) as found:
            assert (found.format, found.size) == ("WEBP", (size, size))


async def test_nothing_of_the_file_but_its_pixels_is_kept() -> None:
    """A phone writes where the photo was taken; somebody hides a script behind the picture."""
    exif = Image.Exif()
    exif[0x010E] = "canary-description"
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 0.0)}
    data = picture("JPEG", exif=exif.tobytes(), comment=b"canary-comment") + b"<script>canary</script>"
    for drawn in (await draw_picture(data)).values():
        assert b"canary" not in drawn
        with Image.open(io.BytesIO(drawn)) as found:
            assert not found.getexif()
            assert "exif" not in found.info
            assert "icc_profile" not in found.info


async def test_a_photo_taken_upright_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = Image.new("RGB", (40, 40), "white")
    sideways.paste((0, 0, 0), (0, 0, 20, 40))
    out = io.BytesIO()
    sideways.save(out, "JPEG", exif=exif.tobytes())
    drawn = await draw_picture(out.getvalue())
    with Image.open(io.BytesIO(drawn[48])) as found:
        shown = found.convert("L")
        assert shown.getpixel((24, 4)) < 60 < 200 < shown.getpixel((24, 44))  # type: ignore[operator]


async def test_a_bomb_is_refused_by_its_header() -> None:
    """Four kilobytes that promise sixteen gigabytes of pixels."""
    with pytest.raises(PictureInvalid):
        await draw_picture(png_of(65_000, 65_000, zlib.compress(bytes(4_000_000))))
    with pytest.raises(PictureInvalid, match="pixels"):
        await draw_picture(png_of(5_000, PIXELS_MAX // 5_000 + 1, zlib.compress(bytes(1000))))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"BM" + bytes(60),
        picture("PNG")[:-30],
        picture("JPEG")[:200],
        png_of(10, 10, b"not compressed"),
        picture("PNG", (2000, 3)),
    ],
    ids=["empty", "gif", "png", "svg", "eps", "bmp", "cut-png", "cut-jpeg", "broken-png", "narrow"],
)
async def test_what_is_no_picture_is_refused_with_a_sentence(data: bytes) -> None:
    with pytest.raises(PictureInvalid) as refused:
        await draw_picture(data)
    assert refused.value.problems[0].field == "picture"


async def test_a_large_file_is_refused_unread() -> None:
    with pytest.raises(TooLarge, match="5 MiB"):
        await draw_picture(bytes(UPLOAD_BYTES_MAX + 1))
