"""The changed files of a diff as a tree of folders, cheap for thousands of them: plain values for one template."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from cairn.git.diff import FileDiff
from cairn.git.types import show
from cairn.repositories.code.diff_request import file_key


@dataclass(frozen=True, slots=True)
class TreeFile:
    """A file of the tree; ``place`` is its place in the list of all that changed, ``letter`` git's for its status."""

    name: str
    key: str
    place: int
    letter: str


@dataclass(slots=True)
class TreeFolder:
    """A folder with what changed in it; one that holds a single folder only is one with it (``a/b``)."""

    name: str
    folders: list["TreeFolder"] = field(default_factory=list)
    files: list[TreeFile] = field(default_factory=list)


def diff_tree(files: Iterable[tuple[int, FileDiff]]) -> TreeFolder:
    """Return the tree of some files, each with its place in the list; folders and files keep the list's order."""
    root = TreeFolder("")
    folders: dict[bytes, TreeFolder] = {b"": root}
    for place, file in files:
        parent, _, name = file.path.rpartition(b"/")
        folder = _folder(folders, parent)
        folder.files.append(TreeFile(show(name), file_key(file.path), place, file.status.value))
    for child in root.folders:
        _join(child)
    return root


def _folder(folders: dict[bytes, TreeFolder], path: bytes) -> TreeFolder:
    """Return a folder of the tree, made with those above it if it is new."""
    missing = []
    while path not in folders:
        missing.append(path)
        path = path.rpartition(b"/")[0]
    found = folders[path]
    for new in reversed(missing):
        child = TreeFolder(show(new.rpartition(b"/")[2]))
        found.folders.append(child)
        found = folders[new] = child
    return found


def _join(top: TreeFolder) -> None:
    """Join chains of folders that hold one folder each. No recursion: paths may be thousands of folders deep."""
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        while not folder.files and len(folder.folders) == 1:
            only = folder.folders[0]
            folder.name, folder.files, folder.folders = f"{folder.name}/{only.name}", only.files, only.folders
        waiting += folder.folders
