"""Archives equal those of stock git, of whole trees and of parts."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from tests.factories.git_repositories import init
from tests.factories.pushes import make_store, push_commit

from cairn.git.archive import ArchiveFormat, stream_archive
from cairn.git.engine import Engine
from cairn.git.runner import GitFailed

pytest_plugins = ["tests.factories.engines"]


async def archive(engine: Engine, store: int, oid: str, **options: object) -> bytes:
    async with engine.view(await engine.state(store)) as view:
        chunks = stream_archive(engine.runner, view, oid, **options)  # type: ignore[arg-type]  # a table of cases
        return b"".join([chunk async for chunk in chunks])


async def test_an_archive_has_the_bytes_that_stock_git_writes(engine: Engine, tmp_path: Path) -> None:
    store, client = await make_store(engine), init(tmp_path / "client")
    client.commit(
        {"a.txt": "one\n", "sub/b.txt": "two\n", "secret.txt": "no\n", ".gitattributes": "secret.txt export-ignore\n"}
    )
    assert (await push_commit(engine, store, client)).is_ok
    head = client.oid("HEAD")
    for form in ArchiveFormat:
        stock = client.git("archive", f"--format={form.value}", "--prefix=p-1/", "HEAD")
        assert await archive(engine, store, head, form=form, prefix="p-1/") == stock
    part = await archive(engine, store, head, form=ArchiveFormat.TAR, paths=[b"sub"])
    with tarfile.open(fileobj=io.BytesIO(part)) as listed:
        assert listed.getnames() == ["sub", "sub/b.txt"]
    names = zipfile.ZipFile(io.BytesIO(await archive(engine, store, head, form=ArchiveFormat.ZIP))).namelist()
    assert "secret.txt" not in names
    assert "a.txt" in names


async def test_a_path_that_is_not_there_fails(engine: Engine, tmp_path: Path) -> None:
    store, client = await make_store(engine), init(tmp_path / "client")
    client.commit({"a.txt": "one\n"})
    assert (await push_commit(engine, store, client)).is_ok
    with pytest.raises(GitFailed) as failed:
        await archive(engine, store, client.oid("HEAD"), form=ArchiveFormat.TAR, paths=[b"--output=/tmp/x"])
    assert "did not match any files" in failed.value.stderr
