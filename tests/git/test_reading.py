from datetime import timedelta
from pathlib import Path

import pytest
from tests.factories import git_repositories
from tests.factories.git_repositories import StockRepository

from cairn.git.quarantine import open_quarantine
from cairn.git.reading import BlobTooLarge, ObjectNotFound, ObjectReader
from cairn.git.types import ObjectKind, Oid

ABSENT = Oid("1" * 40)


@pytest.fixture
def repository(tmp_path: Path) -> StockRepository:
    return git_repositories.init(tmp_path / "r")


async def test_a_commit_is_read_with_its_people_and_their_offsets(repository: StockRepository) -> None:
    first = repository.commit({"a": "1"})
    second = repository.commit({"a": "2"}, "Subject\ncontinued\n\nBody é")
    commit = await ObjectReader(repository.git_dir).read_commit(second)
    assert (commit.oid, commit.parent_oids) == (second, (first,))
    assert commit.tree_oid == repository.oid("HEAD^{tree}")
    assert (commit.author.name, commit.author.email) == ("Ada", "ada@example.org")
    assert commit.author.at.timestamp() == 1700000000
    assert commit.author.at.utcoffset() == timedelta(hours=1)
    assert commit.committer.at.utcoffset() == timedelta(hours=-5)
    assert commit.message == "Subject\ncontinued\n\nBody é\n"
    assert commit.subject == "Subject continued"


async def test_messages_follow_their_declared_encoding_and_never_fail(repository: StockRepository) -> None:
    repository.git("config", "i18n.commitEncoding", "ISO-8859-1")
    latin = repository.commit({"a": "1"}, "x")
    tree = repository.oid("HEAD^{tree}")
    raw = b"tree %b\nauthor \xff <a@b> 1 +0000\ncommitter C <c@d> 99999999999999 +0000\nencoding %b\n\ncaf\xe9\n"
    texts = {}
    for encoding in (b"ISO-8859-1", b"no-such"):
        data = raw % (tree.encode(), encoding)
        oid = repository.git("hash-object", "-t", "commit", "-w", "--stdin", "--literally", stdin=data)
        commit = await ObjectReader(repository.git_dir).read_commit(Oid(oid.decode().strip()))
        texts[encoding] = (commit.message, commit.author.name, commit.committer.at.timestamp())
    assert texts == {b"ISO-8859-1": ("café\n", "\ufffd", 0), b"no-such": ("caf\ufffd\n", "\ufffd", 0)}
    assert (await ObjectReader(repository.git_dir).read_commit(latin)).subject == "x"


async def test_trees_keep_names_as_bytes_and_know_links(repository: StockRepository) -> None:
    blob = repository.git("hash-object", "-w", "--stdin", stdin=b"x").decode().strip()
    listing = b"".join(
        [
            b"100755 blob %b\tbad\xff\0" % blob.encode(),
            b"120000 blob %b\tlink\0" % blob.encode(),
            b"160000 commit %b\tmodule\0" % ABSENT.encode(),
        ]
    )
    tree = Oid(repository.git("mktree", "-z", "--missing", stdin=listing).decode().strip())
    entries = await ObjectReader(repository.git_dir).read_tree(tree)
    assert [(entry.name, entry.mode, entry.oid, entry.kind) for entry in entries] == [
        (b"bad\xff", 0o100755, blob, ObjectKind.BLOB),
        (b"link", 0o120000, blob, ObjectKind.BLOB),
        (b"module", 0o160000, ABSENT, ObjectKind.COMMIT),
    ]
    assert entries[2].is_submodule
    found = await ObjectReader(repository.git_dir).resolve_path(tree, b"bad\xff")
    assert found == entries[0]


async def test_paths_are_resolved_through_folders_and_absent_ones_are_not_found(repository: StockRepository) -> None:
    tip = repository.commit({"d/e/f": "x", "g": "y"})
    reader = ObjectReader(repository.git_dir)
    assert (await reader.resolve_path(tip, b"d/e/f")).oid == repository.oid("HEAD:d/e/f")
    assert (await reader.resolve_path(tip, b"d/e")).kind is ObjectKind.TREE
    assert (await reader.resolve_path(tip, b"")).oid == repository.oid("HEAD^{tree}")
    for path in (b"d/x", b"g/h", b"d//e", b"/d", b"d/", b"..", b"d/../g", b"d\0", b"D"):
        with pytest.raises(ObjectNotFound):
            await reader.resolve_path(tip, path)


async def test_a_large_blob_is_refused_by_size_before_it_is_read(repository: StockRepository) -> None:
    repository.commit({"a": "x" * 1000})
    oid = repository.oid("HEAD:a")
    reader = ObjectReader(repository.git_dir)
    assert await reader.read_blob(oid, max_bytes=1000) == b"x" * 1000
    with pytest.raises(BlobTooLarge, match="1,000 bytes") as caught:
        await reader.read_blob(oid, max_bytes=999)
    assert caught.value.size_bytes == 1000


async def test_tags_of_tags_peel_to_what_they_name(repository: StockRepository) -> None:
    tip = repository.commit({"a": "x"})
    repository.git("tag", "-a", "-m", "first", "one")
    repository.git("tag", "-a", "-m", "second", "two", "one")
    reader = ObjectReader(repository.git_dir)
    outer, inner = repository.oid("refs/tags/two"), repository.oid("refs/tags/one")
    tag = await reader.read_tag(outer)
    assert (tag.name, tag.target_oid, tag.target_kind, tag.message) == (b"two", inner, ObjectKind.TAG, "second\n")
    assert tag.tagger is not None
    assert tag.tagger.name == "Grace"
    assert await reader.peel(outer) == (tip, ObjectKind.COMMIT)
    assert await reader.peel(tip) == (tip, ObjectKind.COMMIT)


async def test_absent_objects_and_wrong_kinds_are_not_found(repository: StockRepository) -> None:
    tip = repository.commit({"a": "x"})
    blob = repository.oid("HEAD:a")
    reader = ObjectReader(repository.git_dir)
    for call in (
        reader.read_commit(ABSENT),
        reader.read_commit(blob),
        reader.read_tree(blob),
        reader.read_blob(tip, max_bytes=10),
        reader.read_blob(ABSENT, max_bytes=10),
        reader.read_tag(tip),
        reader.resolve_path(blob, b"a"),
        reader.read_kind(ABSENT),
    ):
        with pytest.raises(ObjectNotFound):
            await call
    reader.close()
    assert await reader.read_kind(blob) is ObjectKind.BLOB


async def test_alternates_are_read_through(repository: StockRepository, tmp_path: Path) -> None:
    tip = repository.commit({"a": "x"})
    async with open_quarantine(tmp_path / "q") as quarantine:
        reader = ObjectReader(quarantine.path, alternates=[repository.objects])
        assert (await reader.read_commit(tip)).oid == tip
        with pytest.raises(ObjectNotFound):
            await ObjectReader(quarantine.path).read_commit(tip)


async def test_several_kinds_are_read_at_once(repository: StockRepository) -> None:
    commit = repository.commit({"a": "1"})
    oids = [commit, repository.oid("HEAD^{tree}"), repository.oid("HEAD:a")]
    reader = ObjectReader(repository.git_dir)
    assert await reader.read_kinds(oids) == [ObjectKind.COMMIT, ObjectKind.TREE, ObjectKind.BLOB]
    with pytest.raises(ObjectNotFound):
        await reader.read_kinds([commit, ABSENT])
