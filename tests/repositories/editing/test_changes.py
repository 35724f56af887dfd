"""Changes judged against what stands there: each as if those before it were made."""

import pytest

from cairn.base.errors import Invalid
from cairn.git.reading import TreeEntry
from cairn.git.types import ObjectKind, Oid
from cairn.git.writing import EXECUTABLE_MODE, LINK_MODE, SUBMODULE_MODE, TREE_MODE, File, PathInvalid, Placed
from cairn.repositories.editing.changes import (
    CHANGES_MAX,
    Change,
    DeleteFile,
    FileExists,
    PathIsFolder,
    PutFile,
    RenameFile,
    TooManyChanges,
    paths_of,
    resolve_changes,
    same_there,
)

A, B = Oid("a" * 40), Oid("b" * 40)
STANDING = {
    b"run": TreeEntry(b"run", EXECUTABLE_MODE, A, ObjectKind.BLOB),
    b"link": TreeEntry(b"link", LINK_MODE, B, ObjectKind.BLOB),
    b"folder": TreeEntry(b"folder", TREE_MODE, A, ObjectKind.TREE),
    b"sub": TreeEntry(b"sub", SUBMODULE_MODE, A, ObjectKind.COMMIT),
}


def resolve(*changes: Change) -> dict[bytes, File | Placed | None]:
    return resolve_changes(STANDING, changes, file_bytes_max=10)


def test_modes_stay_and_what_an_earlier_change_made_room_for_may_be_put() -> None:
    assert resolve(PutFile(b"run", b"1"), PutFile(b"link", b"2"), PutFile(b"new", b"3")) == {
        b"run": File(b"1", EXECUTABLE_MODE),
        b"link": File(b"2", LINK_MODE),
        b"new": File(b"3"),
    }
    assert resolve(RenameFile(b"run", b"old"), RenameFile(b"link", b"run")) == {
        b"run": Placed(B, LINK_MODE),
        b"old": Placed(A, EXECUTABLE_MODE),
        b"link": None,
    }
    assert resolve(RenameFile(b"folder", b"moved")) == {b"folder": None, b"moved": Placed(A, TREE_MODE)}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ((PutFile(b"folder", b""),), PathIsFolder),
        ((PutFile(b"sub", b""),), PathIsFolder),
        ((RenameFile(b"folder", b"x", b"content"),), PathIsFolder),
        ((RenameFile(b"run", b"link"),), FileExists),
        ((PutFile(b"x", b"1"), PutFile(b"x", b"2")), Invalid),
        ((DeleteFile(b"run"), DeleteFile(b"run")), Invalid),
    ],
    ids=["folder", "submodule", "folder with content", "taken", "put twice", "deleted twice"],
)
def test_what_contradicts_is_refused(changes: tuple[Change, ...], error: type[Invalid]) -> None:
    with pytest.raises(error):
        resolve(*changes)


def test_paths_are_checked_and_bounded() -> None:
    assert paths_of([RenameFile(b"a", b"b"), PutFile(b"b", b""), DeleteFile(b"c")]) == [b"a", b"b", b"c"]
    with pytest.raises(PathInvalid):
        paths_of([RenameFile(b"a", b"../b")])
    with pytest.raises(TooManyChanges):
        paths_of([DeleteFile(b"a")] * (CHANGES_MAX + 1))


def test_the_same_stands_there_only_with_the_same_mode() -> None:
    plain = {b"run": TreeEntry(b"run", 0o100644, A, ObjectKind.BLOB)}
    assert same_there([b"run", b"gone"], STANDING, dict(STANDING))
    assert not same_there([b"run"], STANDING, plain)
    assert same_there([b"link"], {}, {})
