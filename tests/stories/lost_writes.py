"""A disk that keeps only what was flushed: the system calls of a traced program, and the folder a power cut leaves.

``strace`` writes down what the program does to one folder; ``LostWrites`` plays that back to any call and gives what is
certain by then: a file has the bytes it had at its last ``fsync``, a folder the names it had at its own. Bytes that
only ``write`` and the kernel's copying calls brought are read from where the file ended up: such files are written
once. Written by ``pwrite64`` are SQLite's, and those are known exactly.
"""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.services.processes import find_program

CALLS = (
    *("openat", "mkdir", "mkdirat", "rmdir", "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat"),
    *("pwrite64", "write", "sendfile", "copy_file_range", "ftruncate", "fallocate", "fsync", "fdatasync"),
    *("sendto", "sendmsg", "writev", "pwritev", "pwritev2", "truncate", "symlink", "symlinkat", "sync_file_range"),
)
HARMLESS = ("openat", "sendto", "sendmsg", "writev")
"""Of these a path among the arguments changes nothing there: files opened for reading, messages."""
_STRING_BYTES = 1 << 20
_LINE = re.compile(rb"(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)", re.DOTALL)
_ARGUMENT = re.compile(rb'"((?:[^"\\]|\\.)*)"(\.\.\.)?|(?:\d+|AT_FDCWD)<([^>]*)>|[^,()"]+')
_ENDED = re.compile(rb"(.*)\) += (.*)", re.DOTALL)
_UNFINISHED = b" <unfinished ...>"


def strace(trace: Path) -> list[str]:
    """Return the words before a command that write its calls, and those of what it starts, to the end of ``trace``."""
    program = str(find_program("strace"))
    options = ("-f", "--seccomp-bpf", "-A", "-y", "-s", str(_STRING_BYTES), "-o", str(trace))
    return [program, *options, "-e", f"trace={','.join(CALLS)}"]


@dataclass(frozen=True)
class Call:
    """A call that ended well: its name, its arguments (strings as bytes, descriptors as paths), when it began."""

    name: str
    arguments: tuple[bytes, ...]
    began: int
    """How many calls had ended by then."""

    def path(self, place: int) -> Path:
        """Return an argument that is a path or an open file."""
        return Path(os.fsdecode(self.arguments[place]))

    def joined(self, place: int) -> Path:
        """Return the path that an open folder and a name after it mean."""
        return Path("/") / self.path(place) / self.path(place + 1)

    def paths(self) -> list[Path]:
        """Return everything among the arguments that looks like a path."""
        return [self.path(place) for place, word in enumerate(self.arguments) if word.startswith(b"/")]


def read_calls(trace: Path) -> list[Call]:
    """Return the calls in the order of their ends."""
    calls: list[Call] = []
    begun: dict[bytes, tuple[bytes, int]] = {}
    for line in trace.read_bytes().splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            continue  # signals and ends
        pid, resumed, name, rest = match.groups()
        if rest.endswith(_UNFINISHED):
            begun[pid] = (rest.removesuffix(_UNFINISHED), len(calls))
            continue
        began = len(calls)
        if resumed is not None:
            name, (head, began) = resumed, begun.pop(pid)
            rest = head + rest
        head, result = _ENDED.fullmatch(rest).groups()  # type: ignore[union-attr]  # every line that is left has ended
        if not result.startswith((b"-", b"?")):
            calls.append(Call(name.decode(), tuple(_arguments(head)), began))
    return calls


def _arguments(text: bytes) -> Iterator[bytes]:
    for match in _ARGUMENT.finditer(text):
        string, is_cut, path = match.groups()
        if string is not None:
            assert not is_cut, "strace cut a string short"
            yield string.decode("latin-1").encode("latin-1").decode("unicode_escape").encode("latin-1")
        elif path is not None:
            yield path
        elif word := match[0].strip():
            yield word


@dataclass(frozen=True)
class _Write:
    """Bytes at a place of a file."""

    at: int
    data: bytes


@dataclass(frozen=True)
class _Size:
    """A file's new size."""

    size: int


class _Unseen:
    """Bytes that the trace does not show."""


@dataclass(eq=False)
class _File:
    """All changes since its creation, and how many of them are flushed."""

    number: int
    changes: list[_Write | _Size | _Unseen] = field(default_factory=list)
    flushed: int = 0


@dataclass(eq=False)
class _Folder:
    """All changes of its names (None: the name goes), how many of them are flushed, and the names programs see."""

    changes: list[tuple[str, "_File | _Folder | None"]] = field(default_factory=list)
    flushed: int = 0
    seen: dict[str, "_File | _Folder"] = field(default_factory=dict)

    def rename(self, name: str, node: "_File | _Folder | None") -> None:
        self.changes.append((name, node))
        _apply(self.seen, name, node)


def _apply(names: dict[str, _File | _Folder], name: str, node: _File | _Folder | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


class LostWrites:
    """What is certain of ``root``, which was an empty folder before the first call, and is still as the last one left
    it. What lies below the names in ``without`` is nobody's concern.
    """

    def __init__(self, root: Path, calls: Sequence[Call], *, without: Collection[str] = ()) -> None:
        self._root = root
        self._calls = calls
        self._without = frozenset(without)
        self._final: dict[int, Path] = {}
        self._rewind()
        self.play(len(calls))
        self._find_final(self._disk, root)
        self._rewind()

    def _rewind(self) -> None:
        self._disk = _Folder()
        self._files = 0
        self._done = 0
        self._flushing: dict[int, tuple[_File | _Folder, int]] = {}
        self._flushes: dict[int, list[int]] = {}
        for number, call in enumerate(self._calls):
            if call.name in {"fsync", "fdatasync"}:
                self._flushes.setdefault(call.began, []).append(number)

    def _find_final(self, folder: _Folder, path: Path) -> None:
        for name, node in folder.seen.items():
            if isinstance(node, _Folder):
                self._find_final(node, path / name)
            else:
                self._final[node.number] = path / name

    def play(self, to: int) -> None:
        """Go on to the state after ``to`` calls."""
        assert to >= self._done, "a disk does not go back"
        for number in range(self._done, to):
            for flush in self._flushes.get(number, ()):
                node = self._node(self._calls[flush].path(0))
                if node is not None:
                    self._flushing[flush] = node, len(node.changes)
            self._do(number, self._calls[number])
        self._done = to

    def leave(self, folder: Path, dice: Random | None = None) -> None:
        """Make ``folder`` what is left after a power cut at this moment.

        Nothing that was not flushed; with ``dice`` each change since may have reached the disk too, in any order.
        """
        self._leave(self._disk, folder, dice)

    def _leave(self, node: _File | _Folder, path: Path, dice: Random | None) -> None:
        late = range(node.flushed, len(node.changes))
        kept = {*range(node.flushed), *(number for number in late if dice is not None and dice.random() < 0.5)}
        if isinstance(node, _File):
            path.write_bytes(self._bytes(node, [node.changes[number] for number in sorted(kept)]))
            return
        names: dict[str, _File | _Folder] = {}
        for number in sorted(kept):
            _apply(names, *node.changes[number])
        path.mkdir()
        for name, child in names.items():
            self._leave(child, path / name, dice)

    def _bytes(self, file: _File, changes: Sequence[_Write | _Size | _Unseen]) -> bytes:
        found = bytearray()
        for change in changes:
            match change:
                case _Unseen():
                    path = self._final.get(file.number)
                    return path.read_bytes() if path is not None else b""
                case _Size(size):
                    found = found[:size].ljust(size, b"\0")
                case _Write(at, data):
                    found = found.ljust(at, b"\0")
                    found[at : at + len(data)] = data
        return bytes(found)

    def _do(self, number: int, call: Call) -> None:
        match call.name:
            case "openat" if b"O_CREAT" in call.arguments[2] or b"O_TRUNC" in call.arguments[2]:
                self._open(call.joined(0), is_cut=b"O_TRUNC" in call.arguments[2])
            case "mkdir" | "mkdirat":
                self._name(call.joined(0) if call.name == "mkdirat" else call.path(0), _Folder())
            case "rmdir" | "unlink":
                self._name(call.path(0), None)
            case "unlinkat":
                self._name(call.joined(0), None)
            case "rename":
                self._move(call.path(0), call.path(1))
            case "renameat" | "renameat2":
                self._move(call.joined(0), call.joined(2))
            case "pwrite64":
                self._change(call.path(0), _Write(int(call.arguments[3]), call.arguments[1]))
            case "ftruncate":
                self._change(call.path(0), _Size(int(call.arguments[1])))
            case "write" | "sendfile":
                self._change(call.path(0), _Unseen())
            case "copy_file_range":
                self._change(call.path(2), _Unseen())
            case "fsync" | "fdatasync":
                if number in self._flushing:
                    node, count = self._flushing.pop(number)
                    node.flushed = max(node.flushed, count)
            case _:
                places = [path for path in call.paths() if self._inside(path) is not None]
                assert not places or call.name in HARMLESS, f"{call.name} of {places} is not played"

    def _open(self, path: Path, *, is_cut: bool) -> None:
        node = self._node(path)
        if node is None:
            self._files += 1
            self._name(path, _File(self._files))
        elif is_cut:
            self._change(path, _Size(0))

    def _move(self, old: Path, new: Path) -> None:
        node = self._node(old)
        assert node is not None or (self._inside(old) is None and self._inside(new) is None), f"{old} to {new}"
        self._name(old, None)
        self._name(new, node)

    def _name(self, path: Path, node: _File | _Folder | None) -> None:
        folder = self._node(path.parent) if self._inside(path) is not None else None
        if isinstance(folder, _Folder):
            folder.rename(path.name, node)

    def _change(self, path: Path, change: _Write | _Size | _Unseen) -> None:
        node = self._node(path)
        if isinstance(node, _File):
            node.changes.append(change)

    def _node(self, path: Path) -> _File | _Folder | None:
        inside = self._inside(path)
        node: _File | _Folder | None = self._disk
        for name in inside if inside is not None else ():
            node = node.seen.get(name) if isinstance(node, _Folder) else None
        return node if inside is not None else None

    def _inside(self, path: Path) -> tuple[str, ...] | None:
        """Return the names from ``root`` to a path; None for one that is elsewhere or of no concern."""
        if not path.is_relative_to(self._root):
            return None
        names = path.relative_to(self._root).parts
        return None if self._without & set(names) else names
