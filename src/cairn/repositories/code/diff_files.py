"""One changed file as a page shows it: what kind of change it is, what is folded away and why, what is beside it."""

import re
from dataclasses import dataclass, field

from cairn.git.diff import FileDiff, FileStatus, LineKind
from cairn.git.types import Oid, show
from cairn.lfs.pointers import Pointer, read_pointer
from cairn.repositories.code.diff_request import DiffRequest, file_key
from cairn.repositories.code.diff_rows import FileRows
from cairn.repositories.code.generated_files import kind_of_origin
from cairn.web.urls import path_join

LARGE_LINES = 1000
"""A file with more changed lines is folded away until somebody asks for it."""

_SUBMODULE = 0o160000
_SYMLINK = 0o120000
_IMAGES = re.compile(rb"\.(png|jpe?g|gif|webp|avif|ico)$", re.IGNORECASE)
_WORDS = {
    FileStatus.ADDED: "Added",
    FileStatus.DELETED: "Deleted",
    FileStatus.MODIFIED: "Changed",
    FileStatus.RENAMED: "Renamed",
    FileStatus.COPIED: "Copied",
    FileStatus.TYPE_CHANGED: "Type changed",
}
_FOLDED = {
    "generated": "A generated file; its changes are folded away.",
    "vendored": "Kept here from elsewhere; its changes are folded away.",
}


@dataclass(frozen=True, slots=True)
class Content:
    """What a file is on one side, where its lines do not say it: a size in bytes, a picture, a commit."""

    size_bytes: int | None = None
    picture_href: str = ""
    commit_oid: Oid | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFile:
    """A changed file with everything ``_diff_file.html`` shows of it."""

    file: FileDiff
    key: str
    name: str
    old_name: str
    word: str
    place: int
    rows: FileRows = field(default_factory=FileRows)
    folded: str = ""
    """Why its lines are not there; empty if they are."""
    load_href: str = ""
    more_href: str = ""
    whole_href: str = ""
    old_href: str = ""
    new_href: str = ""
    old: Content | None = None
    new: Content | None = None
    kind: str = "text"
    """Or: binary, picture, lfs, submodule, symlink."""

    @property
    def anchor(self) -> str:
        """The id of the file's section; its lines' ids begin with it."""
        return f"diff-{self.key}"

    @property
    def mode_change(self) -> str:
        """How the file's mode changed, for people; empty if it did not, or if the kind of thing changed."""
        old, new = self.file.old_mode, self.file.new_mode
        if old is None or new is None or old == new:
            return ""
        if {old, new} <= {0o100644, 0o100664, 0o100755}:
            return "Now executable" if new == 0o100755 else "No longer executable"
        return f"{_mode_word(old)} → {_mode_word(new)}"


def _mode_word(mode: int) -> str:
    words = {_SUBMODULE: "submodule", _SYMLINK: "symbolic link", 0o100755: "executable file"}
    return words.get(mode, "file")


def lfs_pointers(file: FileDiff) -> tuple[Pointer | None, Pointer | None]:
    """Return the pointers of Git LFS on both sides. They are so short that a hunk has them whole."""
    if len(file.hunks) != 1 or len(file.hunks[0].lines) > 20:
        return None, None
    lines = file.hunks[0].lines
    old = [line.content for line in lines if line.kind is not LineKind.ADDED]
    new = [line.content for line in lines if line.kind is not LineKind.REMOVED]
    return _pointer_of(old), _pointer_of(new)


def _pointer_of(lines: list[bytes]) -> Pointer | None:
    return read_pointer(b"".join(line.rstrip(b"\r") + b"\n" for line in lines))


def is_picture(file: FileDiff) -> bool:
    """Tell whether browsers show the file as a picture."""
    return _IMAGES.search(file.path) is not None and _SYMLINK not in {file.old_mode, file.new_mode}


def is_submodule(file: FileDiff) -> bool:
    """Tell whether one side links to a commit of another repository."""
    return _SUBMODULE in {file.old_mode, file.new_mode}


def linked_commits(file: FileDiff) -> tuple[Oid | None, Oid | None]:
    """Return the commits that a submodule links to on both sides."""
    old = file.old_oid if file.old_mode == _SUBMODULE else None
    return old, file.new_oid if file.new_mode == _SUBMODULE else None


def kind_of(file: FileDiff) -> str:
    """Return what kind of thing changed, where it is not text: see ShownFile.kind."""
    if is_submodule(file):
        return "submodule"
    if file.is_binary:
        return "picture" if is_picture(file) else "binary"
    if _SYMLINK in {file.old_mode, file.new_mode}:
        return "symlink"
    return "lfs" if any(lfs_pointers(file)) else "text"


def reason_to_fold(file: FileDiff) -> str:
    """Return why a file's lines wait until somebody asks for them; empty if they are shown at once."""
    if file.is_binary or is_submodule(file):
        return ""
    changed = (file.additions or 0) + (file.deletions or 0)
    if changed > LARGE_LINES:
        return f"A large change of {changed:,} lines is folded away."
    return _FOLDED.get(kind_of_origin(file.path) or "", "") if changed else ""


def describe(file: FileDiff, place: int, request: DiffRequest, base: str, old: Oid | None, new: Oid) -> ShownFile:
    """Return what the list alone says of a file; ``base`` is the repository's address."""
    key = file_key(file.path)

    def blob(commit: Oid | None, path: bytes | None, mode: int | None) -> str:
        is_there = commit is not None and path is not None and mode != _SUBMODULE
        return base + path_join("blob", commit or "", path or b"") if is_there else ""

    return ShownFile(
        file=file,
        key=key,
        name=show(file.path),
        old_name=show(file.old_path) if file.old_path is not None and file.old_path != file.path else "",
        word=_WORDS[file.status],
        place=place,
        load_href=request.address(file=key),
        whole_href=request.address(file=key, context="all"),
        old_href=blob(old, file.old_path, file.old_mode),
        new_href=blob(new, file.new_path, file.new_mode),
    )
