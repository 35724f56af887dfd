"""Archives of a tree, as ``git archive`` writes them: streamed, nothing kept."""

from collections.abc import AsyncGenerator, Sequence
from enum import StrEnum

from cairn.git.commands import GitCommand
from cairn.git.node_cache import View
from cairn.git.places import Kind
from cairn.git.runner import GitRunner
from cairn.git.types import Oid

PREFIX_BYTES_MAX = 1000
PATHS_MAX = 1000


class ArchiveFormat(StrEnum):
    """What an archive can be; values are git's names and the endings of files."""

    TAR = "tar"
    TAR_GZ = "tar.gz"
    ZIP = "zip"


async def stream_archive(
    runner: GitRunner,
    view: View,
    tree_ish: Oid,
    *,
    form: ArchiveFormat,
    prefix: str = "",
    paths: Sequence[bytes] = (),
    level: int | None = None,
    deadline_seconds: float | None = None,
) -> AsyncGenerator[bytes, None]:
    """Yield the archive of a commit, a tag or a tree; of ``paths`` in it only, where there are any.

    ``prefix`` stands before every name, ``level`` is gzip's and zip's (0 to 9). A commit's time becomes that of the
    files, so the same commit gives the same bytes. Attributes count as the tree itself says (``export-ignore``).
    Errors: GitFailed (a path that is not there), GitBusy, GitTimedOut.
    """
    options = [f"--format={form.value}"]
    if prefix:
        options.append(f"--prefix={prefix}")
    if level is not None:
        options.append(f"-{level}")
    command = GitCommand(name="archive", options=tuple(options), revisions=(tree_ish,), paths=tuple(paths))
    async with runner.spawn(command, git_dir=view.path, kind=Kind.PACED, deadline_seconds=deadline_seconds) as child:
        async for chunk in child.chunks():
            yield chunk
        await child.finish()
