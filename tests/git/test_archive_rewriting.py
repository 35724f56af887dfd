"""An archive is written anew with other contents for small files, and is otherwise what git wrote."""

import io
import os
import subprocess
import tarfile
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest
from tests.factories.git_repositories import StockRepository, init

from cairn.git.archive import ArchiveFormat
from cairn.git.archive_rewriting import Find, Replacement, rewrite_archive

FORMS = list(ArchiveFormat)
LONG = "a-rather-long-folder-name/" * 6 + "and-a-file-whose-name-does-not-fit-into-a-header-" * 2
MARK = "replace me ".ljust(120, ".")


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> StockRepository:
    """Files of every size around blocks, names that need more than a header, a link, a run bit, an empty file."""
    made = init(tmp_path_factory.mktemp("stock") / "r")
    files: dict[str, str | bytes | None] = {f"sizes/{size}": os.urandom(size) for size in (0, 1, 511, 512, 513, 5000)}
    made.commit(files | {"run": "x", LONG: "far down", "umlaut-ü/ñ": "text", "two/small": MARK, "small": MARK})
    (made.path / "link").symlink_to("sizes/513")
    (made.path / ("link-" + "l" * 90)).symlink_to(LONG)
    (made.path / "run").chmod(0o755)
    made.commit({"large": os.urandom(300_000)})
    return made


def git_archive(stock: StockRepository, form: str) -> bytes:
    return stock.git("archive", f"--format={form}", "--prefix=p/", "HEAD")


async def rewritten(tar: bytes, form: ArchiveFormat, find: Find, *, piece: int = 1000) -> bytes:
    async def pieces() -> AsyncGenerator[bytes, None]:
        for start in range(0, len(tar), piece):
            yield tar[start : start + piece]

    return b"".join([chunk async for chunk in rewrite_archive(pieces(), form, find)])


def with_content(data: bytes) -> Find:
    async def read() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 70_000):
            yield data[start : start + 70_000]

    return lambda content: Replacement(len(data), read) if content == MARK.encode() else None


def extracted(data: bytes, form: ArchiveFormat, folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return what the system's own tool makes of an archive: of each path mode and content."""
    folder.mkdir()
    archive = folder.with_suffix(f".{form.value}")
    archive.write_bytes(data)
    if form is ArchiveFormat.ZIP:
        with zipfile.ZipFile(archive) as opened:
            assert opened.testzip() is None
            return {one.filename: (one.external_attr >> 16, opened.read(one)) for one in opened.infolist()}
    subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)
    found = {}
    for path in folder.rglob("*"):
        content = str(path.readlink()).encode() if path.is_symlink() else b"" if path.is_dir() else path.read_bytes()
        name = str(path.relative_to(folder)) + ("/" if path.is_dir() and not path.is_symlink() else "")
        found[name] = (path.lstat().st_mode & 0o170100, content)
    return found


@pytest.mark.parametrize("piece", [1, 512, 700, 10**6])
async def test_a_tar_without_replacements_is_gits_own(stock: StockRepository, piece: int) -> None:
    data = git_archive(stock, "tar")
    cut = data if piece > 1 else data[: 40 * 512]
    again = await rewritten(cut, ArchiveFormat.TAR, lambda content: None, piece=piece)
    assert again[: len(cut.rstrip(b"\0"))] == cut.rstrip(b"\0")
    if piece > 1:
        assert again == data


@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("size", [0, 1, 512, 400_000])
async def test_small_files_are_replaced_and_nothing_else(
    stock: StockRepository, tmp_path: Path, form: ArchiveFormat, size: int
) -> None:
    other = os.urandom(size)
    data = await rewritten(git_archive(stock, "tar"), form, with_content(other))
    found = extracted(data, form, tmp_path / "out")
    wanted = extracted(git_archive(stock, form.value), form, tmp_path / "gits")
    replaced = {"p/small", "p/two/small"}
    for name, (mode, content) in wanted.items():
        assert found[name][1] == (other if name in replaced else content), name
        if not name.endswith("/"):
            # Git writes no Unix mode for plain files of a zip.
            assert mode in {0, found[name][0]}, name
    assert found.keys() == wanted.keys()


async def test_the_commit_stays_in_the_archive(stock: StockRepository, tmp_path: Path) -> None:
    tar = git_archive(stock, "tar")
    data = await rewritten(tar, ArchiveFormat.TAR, with_content(b"x" * 9000))
    shown = subprocess.run(["git", "get-tar-commit-id"], input=data, capture_output=True, check=True).stdout
    assert shown.decode().strip() == stock.oid("HEAD")
    with zipfile.ZipFile(io.BytesIO(await rewritten(tar, ArchiveFormat.ZIP, with_content(b"")))) as opened:
        assert opened.comment.decode() == stock.oid("HEAD")


async def test_a_file_beyond_8_gib_has_a_size_that_tar_can_say(stock: StockRepository) -> None:
    """Only its header is looked at: what comes after would take minutes."""
    huge = 9 << 30

    class EnoughSeen(Exception):
        pass

    async def read() -> AsyncIterator[bytes]:
        for _ in range(1):
            raise EnoughSeen
        yield b""

    def find(content: bytes) -> Replacement | None:
        return Replacement(huge, read) if content == MARK.encode() else None

    async def whole() -> AsyncGenerator[bytes, None]:
        yield git_archive(stock, "tar")

    out = bytearray()

    async def take() -> None:
        async for chunk in rewrite_archive(whole(), ArchiveFormat.TAR, find):
            out.extend(chunk)

    with pytest.raises(EnoughSeen):
        await take()
    last = tarfile.TarInfo.frombuf(bytes(out[-512:]), "utf-8", "surrogateescape")
    assert (last.name, last.size) == ("p/small", huge)
