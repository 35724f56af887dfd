"""A folder's parts: order, chains of single folders, links, READMEs, and that it is read once."""

from pathlib import Path

import pytest
from tests.factories.engines import engine
from tests.factories.git_repositories import StockRepository, init
from tests.factories.pushes import make_store, push_commit

from cairn.git import folder_listing
from cairn.git.engine import Engine
from cairn.git.folder_listing import FolderPart, read_folder_part
from cairn.git.types import Oid

__all__ = ["engine"]


async def list_root(engine: Engine, client: StockRepository, *, skip: int = 0) -> FolderPart:
    store = await make_store(engine)
    assert (await push_commit(engine, store, client)).unpacked == "ok"
    state = await engine.state(store)
    async with engine.view(state) as view:
        return await read_folder_part(engine, state, view, client.oid("HEAD^{tree}"), skip=skip)


def add(client: StockRepository, mode: str, oid: str, path: bytes) -> None:
    client.git("update-index", "--add", "-z", "--index-info", stdin=f"{mode} {oid}\t".encode() + path + b"\0")


async def test_folders_come_first_and_single_ones_are_one_entry(engine: Engine, tmp_path: Path) -> None:
    client = init(tmp_path / "client")
    files = {"src/main/java/a/A.java": "", "src/main/java/b/B.java": "", "lib/x": "", "lib/y/z": "", "a": "", "B": ""}
    client.commit(dict(files))
    part = await list_root(engine, client)
    assert [(entry.name, entry.below) for entry in part.entries] == [
        (b"lib", b""),
        (b"src", b"main/java"),
        (b"B", b""),
        (b"a", b""),
    ]
    assert part.total == 4


async def test_links_submodules_bits_and_names_of_any_bytes_are_told(engine: Engine, tmp_path: Path) -> None:
    client = init(tmp_path / "client")
    commit = client.commit({"README": "r", "readme.md": "m", "run": "r"})
    blob = client.git("hash-object", "-w", "--stdin", stdin=b"../else\xff").decode().strip()
    long_link = client.git("hash-object", "-w", "--stdin", stdin=b"x" * 5000).decode().strip()
    add(client, "120000", blob, b"link")
    add(client, "120000", long_link, b"long")
    add(client, "100755", client.oid("HEAD:run"), b"run")
    add(client, "100644", client.oid("HEAD:run"), b"caf\xe9\n")
    add(client, "160000", commit, b"vendor")
    client.git("commit", "-q", "-m", "odd")
    part = await list_root(engine, client)
    assert [(entry.name, entry.mode, entry.target) for entry in part.entries] == [
        (b"vendor", 0o160000, b""),
        (b"README", 0o100644, b""),
        (b"caf\xe9\n", 0o100644, b""),
        (b"link", 0o120000, b"../else\xff"),
        (b"long", 0o120000, b""),
        (b"readme.md", 0o100644, b""),
        (b"run", 0o100755, b""),
    ]
    assert [entry.name for entry in part.readmes] == [b"README", b"readme.md"]


async def test_parts_follow_each_other_without_a_gap(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_listing, "ENTRIES_PER_PART", 3)
    client = init(tmp_path / "client")
    client.commit({f"{number:02}": "" for number in range(8)})
    names: list[bytes] = []
    for skip in (0, 3, 6, 9):
        part = await list_root(engine, client, skip=skip)
        assert part.total == 8
        names += [entry.name for entry in part.entries]
    assert names == [b"%02d" % number for number in range(8)]


async def test_a_part_is_read_from_git_once(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = init(tmp_path / "client")
    client.commit({"a": ""})
    store = await make_store(engine)
    await push_commit(engine, store, client)
    state = await engine.state(store)
    tree = client.oid("HEAD^{tree}")
    async with engine.view(state) as view:
        first = await read_folder_part(engine, state, view, tree)

        def refuse(*_: object) -> FolderPart:
            raise AssertionError("read again")

        monkeypatch.setattr(folder_listing, "_read", refuse)
        assert await read_folder_part(engine, state, view, tree) == first
        with pytest.raises(Exception, match="failed to prepare"):
            await read_folder_part(engine, state, view, Oid("1" * 40))
