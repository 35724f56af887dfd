"""Changed files as a tree of folders."""

from cairn.git.diff import FileDiff, FileStatus
from cairn.git.types import Oid
from cairn.repositories.code.diff_tree import TreeFolder, diff_tree


def file(path: bytes) -> FileDiff:
    return FileDiff(FileStatus.ADDED, None, path, None, 0o100644, None, Oid("1" * 40), None, 1, 0)


def shape(folder: TreeFolder) -> list[object]:
    """Return a folder as nested names."""
    return [*((child.name, shape(child)) for child in folder.folders), *(file.name for file in folder.files)]


def test_folders_hold_their_files_and_single_folders_are_joined() -> None:
    paths = [b"README", b"a/b/c/x", b"a/b/c/y", b"a/b/d", b"deep/er/and/er/z", b"\xff/odd\n"]
    tree = diff_tree(enumerate(map(file, paths)))
    assert shape(tree) == [
        ("a/b", [("c", ["x", "y"]), "d"]),
        ("deep/er/and/er", ["z"]),
        ("\\xff", ["odd\\n"]),
        "README",
    ]


def test_a_path_of_a_thousand_folders_is_no_recursion() -> None:
    tree = diff_tree([(0, file(b"a/" * 3000 + b"x"))])
    assert shape(tree) == [("/".join("a" * 3000), ["x"])]


def test_places_are_those_of_the_list() -> None:
    tree = diff_tree([(4000, file(b"x")), (4001, file(b"y"))])
    assert [one.place for one in tree.files] == [4000, 4001]
    assert {one.letter for one in tree.files} == {"A"}
