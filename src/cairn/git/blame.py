"""Which commit each line of a file is from, and what stood there before it."""

import asyncio
import codecs
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from cairn.git.commands import GitCommand
from cairn.git.engine import Engine
from cairn.git.kept_answers import keep_answer
from cairn.git.store_state import StoreState
from cairn.git.types import Oid, Signature

OUTPUT_BYTES_MAX = 64 << 20
DEADLINE_SECONDS = 30


class BlamedCommit(msgspec.Struct, array_like=True):
    """A commit that lines of the file are from. ``previous_oid`` is the commit before it that has the file, None where
    it began, and ``previous_path`` the file's path there."""

    oid: str
    author_name: str = ""
    author_email: str = ""
    author_seconds: int = 0
    subject: str = ""
    previous_oid: str | None = None
    previous_path: bytes = b""

    @property
    def author(self) -> Signature:
        """Who wrote it and when, in UTC; the epoch for what no calendar has."""
        try:
            at = datetime.fromtimestamp(self.author_seconds, UTC)
        except (OverflowError, ValueError, OSError):
            at = datetime.fromtimestamp(0, UTC)
        return Signature(self.author_name, self.author_email, at)


class BlamedLines(msgspec.Struct, array_like=True, frozen=True, order=True):
    """Some lines that follow each other and are from one commit: ``start`` counts from 1 in the file as it is now,
    ``original_start`` in the commit's own."""

    start: int
    count: int
    original_start: int
    oid: str


class Blame(msgspec.Struct):
    """All lines of a file in order, and the commits they are from."""

    lines: list[BlamedLines]
    commits: dict[str, BlamedCommit]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Blame).decode


async def read_blame(
    engine: Engine,
    state: StoreState,
    commit: Oid,
    path: bytes,
    *,
    ignored: Sequence[Oid] = (),
    lines: tuple[int, int] | None = None,
) -> Blame:
    """Return the commits of a file's lines, kept among the node's answers; renames of the whole file are followed.

    ``lines`` asks for those from the first to the last of these numbers only, all of which the file has.

    ``commit`` is proved reachable by the caller and has a file at ``path``. Lines that ``ignored`` commits changed are
    put down to the commits before them, as far as git can tell; all of these must exist. Errors: the runner's;
    GitTimedOut after DEADLINE_SECONDS.
    """

    async def make() -> bytes:
        options = ("--incremental", *(f"--ignore-rev={oid}" for oid in ignored))
        if lines is not None:
            options += (f"-L{lines[0]},{lines[1]}",)
        command = GitCommand(name="blame", options=options, revisions=(commit,), paths=(path,))
        async with engine.view(state) as view:
            output = await engine.runner.run(
                command, git_dir=view.path, max_output_bytes=OUTPUT_BYTES_MAX, deadline_seconds=DEADLINE_SECONDS
            )
        return await asyncio.to_thread(lambda: _encode(parse_incremental(output)))

    return _decode(await keep_answer(engine, state, make, "blame", commit, path, lines, *ignored))


def parse_incremental(output: bytes) -> Blame:
    """Read what ``git blame --incremental`` writes: groups of lines, each commit described at its first."""
    found = Blame([], {})
    group: BlamedLines | None = None
    for line in output.split(b"\n"):
        word, _, rest = line.partition(b" ")
        if group is None:
            if not line:
                continue
            oid = word.decode("ascii")
            original, start, count = map(int, rest.split())
            group = BlamedLines(start, count, original, oid)
            found.lines.append(group)
            commit = found.commits.setdefault(oid, BlamedCommit(oid))
        elif word == b"filename":
            group = None
        else:
            _describe(commit, word, rest)
    found.lines.sort()
    return found


def _describe(commit: BlamedCommit, word: bytes, rest: bytes) -> None:
    if word == b"author":
        commit.author_name = rest.decode("utf-8", "replace")
    elif word == b"author-mail":
        commit.author_email = rest.removeprefix(b"<").removesuffix(b">").decode("utf-8", "replace")
    elif word == b"author-time":
        commit.author_seconds = int(rest)
    elif word == b"summary":
        commit.subject = rest.decode("utf-8", "replace")
    elif word == b"previous":
        oid, _, path = rest.partition(b" ")
        commit.previous_oid, commit.previous_path = oid.decode("ascii"), _unquote(path)


def _unquote(path: bytes) -> bytes:
    """Return a path that git may have quoted as C does."""
    if not path.startswith(b'"'):
        return path
    return codecs.escape_decode(path[1:-1])[0]
