"""Forms with files are read as they arrive, onto the disk, within bounds."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cairn.base.errors import Malformed, TooLarge
from cairn.web import multipart
from cairn.web.multipart import UploadedFile, read_parts, upload_folder

HEAD = b'--x\r\nContent-Disposition: form-data; name="%b"\r\n\r\n'
FILE = b'--x\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\n\r\n'
END = b"--x--\r\n"


async def sent(*pieces: bytes, size: int = 7) -> AsyncIterator[bytes]:
    whole = b"".join(pieces)
    for start in range(0, len(whole), size):
        yield whole[start : start + size]


async def test_texts_stay_in_memory_and_files_go_to_the_disk(tmp_path: Path) -> None:
    body = sent(HEAD % b"a", "é\n".encode(), b"\r\n", FILE % (b"f", b"dir/one.bin"), b"\0" * 100_000, b"\r\n", END)
    (name, text), (field, file) = await read_parts(body, b"x", tmp_path, parts_max=2)
    assert (name, text, field) == ("a", "é\n", "f")
    assert isinstance(file, UploadedFile)
    assert (file.filename, file.size_bytes, file.path.parent) == ("dir/one.bin", 100_000, tmp_path)
    assert await file.read() == b"\0" * 100_000


@pytest.mark.parametrize(
    "pieces",
    [
        (HEAD % b"a", b"1\r\n", HEAD % b"b", b"2\r\n", HEAD % b"c", b"3\r\n", END),
        (HEAD % b"a", b"1"),
        (HEAD % b"a", b"\xff\r\n", END),
        (FILE % (b"f", b"x"), b"half"),
        (b"no form at all",),
    ],
    ids=["too many", "cut", "not UTF-8", "file cut", "no form"],
)
async def test_what_is_no_whole_form_is_refused(tmp_path: Path, pieces: tuple[bytes, ...]) -> None:
    with pytest.raises(Malformed):
        await read_parts(sent(*pieces), b"x", tmp_path, parts_max=2)


async def test_text_has_a_bound_that_files_have_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "TEXT_BYTES_MAX", 10)
    found = await read_parts(sent(FILE % (b"f", b"x"), b"a" * 1000, b"\r\n", END), b"x", tmp_path, parts_max=2)
    assert len(found) == 1
    with pytest.raises(TooLarge):
        await read_parts(sent(HEAD % b"a", b"a" * 11, b"\r\n", END), b"x", tmp_path, parts_max=2)


def test_the_folder_is_gone_afterwards(tmp_path: Path) -> None:
    with upload_folder(tmp_path / "cache" / "forms") as folder:
        (folder / "0").write_bytes(b"x")
        assert folder.parent == tmp_path / "cache" / "forms"
    assert list((tmp_path / "cache" / "forms").iterdir()) == []
