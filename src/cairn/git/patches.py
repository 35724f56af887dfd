"""Changes as text that other tools read: the diff of two trees, and commits as mails for ``git am``.

Both stream: git writes, the reader takes, and nothing is kept on the way. A child runs from the first piece until the
end, or until the generator is closed.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from cairn.base.errors import TooLarge
from cairn.base.settings import MIB
from cairn.git.commands import GitCommand, exclude
from cairn.git.diff import DIFF_LIMITS, EMPTY_TREE, within_diff_limits
from cairn.git.history import Objects
from cairn.git.places import Kind
from cairn.git.runner import GitRunner
from cairn.git.types import Oid

PATCH_BYTES_MAX = 256 * MIB
"""No text is longer; what would be, breaks off."""

MAILS_MAX = 1000
DEADLINE_SECONDS = 900

_DETECTION = ("--find-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--submodule=short")
_WHOLE = (*_DETECTION, "--full-index", "--binary", "--src-prefix=a/", "--dst-prefix=b/")


class PatchTooLarge(TooLarge):
    """A change is larger than what is sent as text."""


def diff_text(runner: GitRunner, objects: Objects, *, old: Oid | None, new: Oid) -> AsyncGenerator[bytes, None]:
    """Return what changed from ``old`` (None: nothing) to ``new`` so that ``git apply`` takes it, binary files too.

    Errors: DiffTooLarge, mostly before the first piece; PatchTooLarge after PATCH_BYTES_MAX.
    """
    command = GitCommand(name="diff-tree", options=("-r", "-p", *_WHOLE), revisions=(old or EMPTY_TREE, new))
    return _stream(runner, objects, command)


def mail_text(runner: GitRunner, objects: Objects, commit: Oid) -> AsyncGenerator[bytes, None]:
    """Return one commit as a mail; a merge with what it changed against its first parent. Errors: as of diff_text."""
    options = ("--max-count=1", "--no-max-parents", "--diff-merges=first-parent", "--always")
    command = GitCommand(name="format-patch", options=("--stdout", *options, *_WHOLE), revisions=(commit,))
    return _stream(runner, objects, command)


async def series_text(runner: GitRunner, objects: Objects, *, base: Oid, tip: Oid) -> AsyncGenerator[bytes, None]:
    """Yield what ``tip`` reaches and ``base`` does not as mails, oldest first; merges are no mails.

    Errors: PatchTooLarge for more than MAILS_MAX commits; else as of diff_text.
    """
    revisions = (tip, exclude(base))
    options = ("--count", "--no-merges", f"--max-count={MAILS_MAX + 1}")
    counting = GitCommand(name="rev-list", options=options, revisions=revisions)
    if int(await runner.run(counting, git_dir=objects.git_dir, alternates=objects.alternates)) > MAILS_MAX:
        raise PatchTooLarge(f"At most {MAILS_MAX:,} commits are sent as mails; fetch them instead.")
    command = GitCommand(name="format-patch", options=("--stdout", *_WHOLE), revisions=revisions)
    async with aclosing(_stream(runner, objects, command)) as chunks:
        async for chunk in chunks:
            yield chunk


async def _stream(runner: GitRunner, objects: Objects, command: GitCommand) -> AsyncGenerator[bytes, None]:
    left = PATCH_BYTES_MAX
    with within_diff_limits():
        async with runner.spawn(
            command,
            git_dir=objects.git_dir,
            alternates=objects.alternates,
            limits=DIFF_LIMITS,
            deadline_seconds=DEADLINE_SECONDS,
            kind=Kind.PACED,
        ) as child:
            async for chunk in child.chunks():
                left -= len(chunk)
                if left < 0:
                    raise PatchTooLarge(f"This change has more than the {PATCH_BYTES_MAX:,} bytes sent here; fetch it.")
                yield chunk
            await child.finish()
