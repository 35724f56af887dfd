"""Which binary files commits changed, from what to what: patches as text say only that they differ."""

import asyncio
from collections.abc import Iterator, Sequence

from cairn.git.commands import GitCommand
from cairn.git.diff import DIFF_LIMITS, LIST_BYTES_MAX, within_diff_limits
from cairn.git.history import Objects
from cairn.git.runner import GitRunner
from cairn.git.types import Oid

OID_CHARACTERS = 40

BinaryChanges = dict[bytes, tuple[Oid, Oid]]
"""For each binary file of a commit its blob before and after; zeros where it was not or is no more."""


async def read_binary_changes(runner: GitRunner, objects: Objects, commits: Sequence[str]) -> dict[str, BinaryChanges]:
    """Return the binary files that each commit, no merge, changed against its parent; none for the others.

    Renames are a file that went and one that came. Errors: DiffTooLarge.
    """
    if not commits:
        return {}
    command = GitCommand(
        name="diff-tree",
        options=("--stdin", "-r", "--root", "-z", "--raw", "--numstat", "--no-renames", "--no-abbrev", "--no-ext-diff"),
    )
    stdin = "".join(f"{oid}\n" for oid in dict.fromkeys(commits)).encode("ascii")
    with within_diff_limits():
        output = await runner.run(
            command,
            git_dir=objects.git_dir,
            alternates=objects.alternates,
            stdin=stdin,
            max_output_bytes=LIST_BYTES_MAX,
            limits=DIFF_LIMITS,
        )
    return await asyncio.to_thread(_parse, output)


def _parse(output: bytes) -> dict[str, BinaryChanges]:
    found: dict[str, BinaryChanges] = {}
    blobs: BinaryChanges = {}
    binary: BinaryChanges = {}
    fields: Iterator[bytes] = iter(output.split(b"\0"))
    for field in fields:
        if field.startswith(b":"):
            _, _, old, new, _ = field.split(b" ")
            blobs[next(fields)] = Oid(old.decode("ascii")), Oid(new.decode("ascii"))
        elif field.startswith(b"-\t-\t"):
            path = field[4:]
            binary[path] = blobs[path]
        elif len(field) == OID_CHARACTERS and b"\t" not in field:
            blobs, binary = {}, {}
            found[field.decode("ascii")] = binary
    return found
