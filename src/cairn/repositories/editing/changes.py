"""What one commit changes, in words of files: put, delete, rename; judged against the folder tree it starts from."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from cairn.base.errors import Conflict, FieldProblem, Invalid, TooLarge
from cairn.git.reading import SUBMODULE_MODE, TreeEntry
from cairn.git.types import ZERO_OID, ObjectKind, Oid, show
from cairn.git.writing import EXECUTABLE_MODE, FILE_MODE, LINK_MODE, Content, File, PathInvalid, Placed, check_path

CHANGES_MAX = 1000
"""Changes of one commit; who has more pushes."""


class FileMode(Enum):
    """What a file is to be; KEPT is what it is already, or a plain file where none was."""

    KEPT = 0
    PLAIN = FILE_MODE
    EXECUTABLE = EXECUTABLE_MODE
    LINK = LINK_MODE
    """A symbolic link: the content is the path it leads to."""


@dataclass(frozen=True, slots=True)
class PutFile:
    """A file has this content afterwards, whether or not it was there.

    ``expected`` is the blob that the writer saw: ZERO_OID if there was none, None if that does not matter.
    """

    path: bytes
    content: Content
    mode: FileMode = FileMode.KEPT
    expected: Oid | None = None


@dataclass(frozen=True, slots=True)
class DeleteFile:
    """A file is gone afterwards; with ``is_folder`` a whole folder."""

    path: bytes
    expected: Oid | None = None
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class RenameFile:
    """A file or folder stands at ``new_path`` afterwards; a file may change its content on the way."""

    path: bytes
    new_path: bytes
    content: Content | None = None
    expected: Oid | None = None


Change = PutFile | DeleteFile | RenameFile


class PathIsFolder(PathInvalid):
    """A folder or a submodule stands where a file is to be changed."""


class FileExists(Invalid):
    """A file stands where a new one is to be."""


class FileMissing(Invalid):
    """There is no file to change, rename or delete."""


class StaleFile(Conflict):
    """A file is not what its writer saw; ``found`` is the blob that is there, None if there is no file."""

    def __init__(self, path: bytes, expected: Oid, found: Oid | None) -> None:
        now = f"it is {found} now" if found else "the file is gone"
        super().__init__(f"{show(path)} does not match {expected}: {now}. Look at it again and redo your change.")
        self.path = path
        self.expected = expected
        self.found = found


class FileTooLarge(TooLarge):
    """A file is larger than one file may be."""


class TooManyChanges(TooLarge):
    """One commit would change more files than the server commits at once."""


def paths_of(changes: Sequence[Change]) -> list[bytes]:
    """Return every path that the changes touch; PathInvalid, TooManyChanges."""
    if len(changes) > CHANGES_MAX:
        raise TooManyChanges(
            f"{len(changes):,} files in one commit are more than the {CHANGES_MAX:,} allowed here; push instead."
        )
    paths: list[bytes] = []
    for change in changes:
        paths += [change.path, change.new_path] if isinstance(change, RenameFile) else [change.path]
    for path in paths:
        check_path(path)
    return list(dict.fromkeys(paths))


def resolve_changes(
    standing: Mapping[bytes, TreeEntry], changes: Sequence[Change], *, file_bytes_max: int
) -> dict[bytes, File | Placed | None]:
    """Return what stands at each path afterwards, None for nothing.

    ``standing`` is what stands at the paths of ``changes`` now. Each change is judged as if those before it were made.
    Errors: PathIsFolder, FileExists, FileMissing, StaleFile, FileTooLarge, Invalid for a path that is written twice.
    """
    plan = _Plan(standing, file_bytes_max)
    for change in changes:
        match change:
            case PutFile():
                plan.put(change)
            case DeleteFile():
                plan.delete(change)
            case RenameFile():
                plan.rename(change)
    return plan.planned


class _Plan:
    def __init__(self, standing: Mapping[bytes, TreeEntry], file_bytes_max: int) -> None:
        self._standing = standing
        self._file_bytes_max = file_bytes_max
        self.planned: dict[bytes, File | Placed | None] = {}

    def put(self, change: PutFile) -> None:
        self._require_no_folder(change.path, self._at(change.path))
        found = self._expect(change.path, change.expected)
        self._set(change.path, self._file(change.path, change.content, change.mode, found))

    def delete(self, change: DeleteFile) -> None:
        there = self._at(change.path)
        if there is not None and there.kind is ObjectKind.TREE and not change.is_folder:
            raise PathIsFolder(f"{show(change.path)!r} is a folder; delete the files in it, or the folder as a folder")
        self._require(change.path, change.expected)
        self._set(change.path, None)

    def rename(self, change: RenameFile) -> None:
        found = self._require(change.path, change.expected)
        if self._at(change.new_path) is not None:
            raise file_exists(change.new_path)
        self._set(change.path, None)
        if change.content is None:
            self._set(change.new_path, Placed(found.oid, found.mode))
            return
        self._require_no_folder(change.path, found)
        self._set(change.new_path, self._file(change.new_path, change.content, FileMode.KEPT, found))

    def _at(self, path: bytes) -> TreeEntry | None:
        return None if path in self.planned else self._standing.get(path)

    def _expect(self, path: bytes, expected: Oid | None) -> TreeEntry | None:
        found = self._at(path)
        if expected == ZERO_OID and found is not None:
            raise file_exists(path)
        if expected not in {None, ZERO_OID} and (found is None or found.oid != expected):
            assert expected is not None, "None was excluded"
            raise StaleFile(path, expected, None if found is None else found.oid)
        return found

    def _require(self, path: bytes, expected: Oid | None) -> TreeEntry:
        if self._at(path) is None:
            message = f"There is no file {show(path)!r} on this branch; reload to see what there is."
            raise FileMissing(message, FieldProblem("path", "missing", message))
        found = self._expect(path, expected)
        assert found is not None, "something stands there"
        return found

    def _require_no_folder(self, path: bytes, found: TreeEntry | None) -> None:
        if found is not None and found.kind is ObjectKind.TREE:
            raise PathIsFolder(f"{show(path)!r} is a folder; give the file another name")
        if found is not None and found.mode == SUBMODULE_MODE:
            raise PathIsFolder(f"{show(path)!r} is a submodule; delete it before a file takes its place")

    def _file(self, path: bytes, content: Content, mode: FileMode, found: TreeEntry | None) -> File:
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        if size > self._file_bytes_max:
            raise FileTooLarge(
                f"{show(path)!r} has {size:,} bytes, more than the {self._file_bytes_max:,} that one file may have "
                "(CAIRN_MAX_FILE_BYTES); keep it in Git LFS."
            )
        kept = found.mode if found is not None else FILE_MODE
        return File(content, kept if mode is FileMode.KEPT else mode.value)

    def _set(self, path: bytes, file: File | Placed | None) -> None:
        if self.planned.get(path) is not None or (path in self.planned and file is None):
            message = f"{show(path)!r} is changed twice in one commit; send its last state only."
            raise Invalid(message, FieldProblem("path", "invalid", message))
        self.planned[path] = file


def file_exists(path: bytes) -> FileExists:
    """Return the error for a new file where one stands."""
    message = f"A file {show(path)!r} exists already on this branch; edit that one or choose another name."
    return FileExists(message, FieldProblem("path", "already_exists", message))


def same_there(paths: Collection[bytes], one: Mapping[bytes, TreeEntry], other: Mapping[bytes, TreeEntry]) -> bool:
    """Tell whether the same stands at all those paths in two trees."""
    return all(_identity(one.get(path)) == _identity(other.get(path)) for path in paths)


def _identity(entry: TreeEntry | None) -> tuple[int, Oid] | None:
    return None if entry is None else (entry.mode, entry.oid)
