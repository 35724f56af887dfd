"""The grammar of every git command line Cairn may run: what is not in the table below never reaches a process.

A ``GitCommand`` holds options (from the table), revisions (object ids only), folders (absolute paths of our own) and
paths inside a tree (after ``--``, taken literally). So no name, path, message or search text of a user can become an
option, a revision expression or a pathspec with magic, whoever builds the command.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from cairn.git.types import Oid


class GitCommandRefused(Exception):
    """A command outside the grammar: a defect of the caller, never an error of a user's input."""


@dataclass(frozen=True, slots=True)
class _Grammar:
    """Options of one subcommand; ``<count>``, ``<oid>``, ``<range>`` and ``<text>`` stand for attached values."""

    options: tuple[str, ...] = ()
    end_of_options: bool = False
    paths: bool = False
    separator: bool = True
    """False where everything after ``--end-of-options`` is an operand, so that ``--`` itself would be a path."""
    spans: bool = False
    """True where revisions are spans; elsewhere what is left out has a word of its own."""


_VALUES = {
    "<count>": r"[0-9]{1,19}",
    "<oid>": r"[0-9a-f]{40}",
    "<range>": r"[0-9]{1,9},[0-9]{1,9}",
    # Attached to its option by "=", it stays one argument and cannot become another option.
    "<text>": r"[^\x00]*",
}

LOG_FORMAT = "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%ad%x00%cn%x00%ce%x00%cd%x00%B"
"""One commit with ``-z``: oid, tree, parents, author, committer and message, each ended by NUL."""

CHANGES_FORMAT = "--format=%H%x00%ct%x00%s"
"""One commit before its changes, with ``-z``: oid, seconds since 1970 and subject, each ended by NUL."""

TIP_FORMAT = "--format=%H%x00%ct%x00%ae"
"""One commit with ``-z``: oid, seconds since 1970 and the author's address, each ended by NUL."""

AUTHOR_FORMAT = "--format=%an%x00%ae"
"""The author of one commit with ``-z``: name and address, each ended by NUL."""

ACTIVITY_FORMAT = "--format=%an%x00%ae%x00%ad"
"""Who wrote one commit and when, with ``-z``: name, address and date, each ended by NUL."""

UPSTREAM = "upstream"
"""The name of the remote repository in commands that speak to one."""

CHECK_FORMAT = "--batch-check=%(objectname) %(objecttype) %(objectsize) %(deltabase)"

_GRAMMARS = {
    "version": _Grammar(),
    "index-pack": _Grammar(("--stdin", "--fix-thin", "--strict=<text>", "--threads=<count>")),
    "cat-file": _Grammar(
        ("--batch", "--batch-check", CHECK_FORMAT, "--batch-all-objects", "--unordered", "--buffer", "-t", "-s", "blob")
    ),
    "rev-list": _Grammar(
        (
            *("--stdin", "--objects", "--objects-edge", "--boundary", "--no-object-names", "--no-walk", "--quiet"),
            *("--count", "--reverse", "--topo-order", "--date-order", "--parents", "--children", "--first-parent"),
            *("--max-count=<count>", "--skip=<count>", "--no-merges", "--merges", "--cherry-pick", "--cherry-mark"),
            *(
                "--ancestry-path",
                "--left-right",
                "--left-only",
                "--right-only",
                "--use-bitmap-index",
                "--all",
                "--disk-usage",
            ),
            *("--since=<count>", "--until=<count>", "--missing=print", "--ignore-missing"),
            *("--filter=blob:limit=<count>", "--filter=object:type=blob"),
        ),
        end_of_options=True,
        paths=True,
    ),
    "log": _Grammar(
        (
            *(LOG_FORMAT, CHANGES_FORMAT, TIP_FORMAT, AUTHOR_FORMAT, ACTIVITY_FORMAT),
            *("--no-walk=unsorted", "--no-merges", "--format=%H", "--format=%H %T %P", "--find-object=<oid>"),
            *("--stdin", "-z", "--date=raw", "--no-decorate", "--no-show-signature", "--no-notes"),
            *("--max-count=<count>", "--skip=<count>", "--first-parent", "--topo-order", "--follow", "--no-patch"),
            *("--since=<count>", "--until=<count>", "--author=<text>", "--grep=<text>", "--fixed-strings"),
            *("--regexp-ignore-case", "--reverse", "--raw", "--no-abbrev", "--no-renames", "--name-status"),
            *("-m", "-t", "-c", "--shortstat"),
        ),
        end_of_options=True,
        paths=True,
    ),
    "diff-tree": _Grammar(
        (
            *("-r", "-t", "-p", "-z", "-m", "--raw", "--numstat", "--root", "--no-commit-id", "--full-index"),
            *("--no-color", "--no-ext-diff", "--no-textconv", "--no-abbrev", "--find-renames", "--no-renames"),
            *("--find-renames=<count>%", "--find-copies", "-l<count>", "--unified=<count>", "--ignore-all-space"),
            *("--patch-with-raw", "--src-prefix=a/", "--dst-prefix=b/", "--submodule=short", "--stdin", "--binary"),
            *(
                "--diff-filter=R",
                "--name-only",
                "--name-status",
                "--histogram",
                "--minimal",
                "--no-indent-heuristic",
                "--shortstat",
                "-c",
            ),
        ),
        end_of_options=True,
        paths=True,
    ),
    "merge-tree": _Grammar(("--write-tree", "-z", "--name-only", "--no-messages", "--messages"), end_of_options=True),
    "merge-base": _Grammar(("--all", "--is-ancestor", "--octopus", "--independent"), end_of_options=True),
    "patch-id": _Grammar(("--stable", "--unstable", "--verbatim")),
    "ls-tree": _Grammar(
        # No paths: ls-tree would take the "--" before them for one.
        ("-r", "-t", "-z", "-d", "-l", "--full-tree", "--name-only", "--object-only"),
        end_of_options=True,
    ),
    "pack-objects": _Grammar(
        (
            *("--revs", "--stdout", "--thin", "--delta-base-offset", "--quiet", "-q", "--no-reuse-delta", "--all"),
            *("--threads=<count>", "--window=<count>", "--depth=<count>", "--write-bitmap-index", "--honor-pack-keep"),
            *("--stdin-packs", "--unpacked", "--non-empty", "--no-sparse"),
        )
    ),
    "commit-graph": _Grammar(
        ("write", "verify", "--reachable", "--stdin-commits", "--changed-paths", "--no-progress", "--split=no-merge")
    ),
    "multi-pack-index": _Grammar(
        (
            *("write", "verify", "--bitmap", "--no-bitmap", "--no-progress"),
            *("--preferred-pack=<text>", "--refs-snapshot=<text>"),
        )
    ),
    "upload-pack": _Grammar(
        ("--stateless-rpc", "--strict", "--no-strict", "--timeout=<count>", "--http-backend-info-refs")
    ),
    "fsck": _Grammar(("--strict", "--full", "--connectivity-only", "--no-dangling", "--no-progress", "--no-reflogs")),
    "blame": _Grammar(
        # No end of options: blame does not know it. Its revisions are full ids, as all are.
        ("--porcelain", "--incremental", "-w", "-M", "-C", "-L<range>", "--ignore-rev=<oid>"),
        paths=True,
    ),
    "archive": _Grammar(
        ("--format=tar", "--format=zip", "--format=tar.gz", "--prefix=<text>", *(f"-{level}" for level in range(10))),
        end_of_options=True,
        paths=True,
        separator=False,
    ),
    # No end of options: range-diff does not know it. Its revisions are two spans of full ids.
    "range-diff": _Grammar(("--no-color", "--creation-factor=<count>", "--no-ext-diff", "--no-textconv"), spans=True),
    "format-patch": _Grammar(
        (
            *("--stdout", "--no-color", "--no-ext-diff", "--no-textconv", "--full-index", "--find-renames", "--binary"),
            *("--max-count=<count>", "--no-max-parents", "--diff-merges=first-parent", "--no-notes", "--always"),
            *("--src-prefix=a/", "--dst-prefix=b/", "--submodule=short"),
        ),
        end_of_options=True,
    ),
    "show-index": _Grammar(("--object-format=sha1",)),
    # What "upstream" is says the environment alone (``remote_fetch``): no address stands on a command line.
    "ls-remote": _Grammar(("--symref", "--quiet", UPSTREAM)),
    "fetch": _Grammar(
        (
            *("--progress", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-recurse-submodules"),
            *("--stdin", "--no-show-forced-updates", UPSTREAM),
        )
    ),
    # So it does what goes where (``remote_push``): no name of a ref does.
    "push": _Grammar(("--porcelain", "--no-verify", "--no-progress", "--no-recurse-submodules", UPSTREAM)),
}


_REVISION = re.compile(r"\^?[0-9a-f]{40}|[0-9a-f]{40}\.\.\.[0-9a-f]{40}")
_SPAN = re.compile(r"[0-9a-f]{40}\.\.[0-9a-f]{40}")


def _compile(option: str) -> str:
    pattern = re.escape(option)
    for place, value in _VALUES.items():
        pattern = pattern.replace(re.escape(place), value)
    return pattern


_OPTIONS = {
    name: re.compile("|".join(map(_compile, grammar.options)) or r"(?!)", re.DOTALL)
    for name, grammar in _GRAMMARS.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class GitCommand:
    """One git invocation inside the grammar; building another one raises GitCommandRefused.

    ``revisions`` are object ids, ``exclude(oid)`` or ``symmetric(left, right)``, of range-diff ``span(base, tip)``;
    ``folders`` are absolute paths as operands of the subcommand; ``paths`` name entries of a tree, literally.
    """

    name: str
    options: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()
    paths: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        grammar = _GRAMMARS.get(self.name)
        if grammar is None:
            raise GitCommandRefused(f"git {self.name!r} is not in the grammar")
        for option in self.options:
            if not _OPTIONS[self.name].fullmatch(option):
                raise GitCommandRefused(f"git {self.name} has no option {option!r} in the grammar")
        for revision in self.revisions:
            if not (_SPAN if grammar.spans else _REVISION).fullmatch(revision):
                raise GitCommandRefused(f"git {self.name}: {revision!r} is not an object id")
        for folder in self.folders:
            if not folder.is_absolute() or "\0" in str(folder):
                raise GitCommandRefused(f"git {self.name}: {folder!r} is not an absolute folder")
        if self.paths and not grammar.paths:
            raise GitCommandRefused(f"git {self.name} takes no paths")
        if self.paths and not grammar.separator and not self.revisions:
            raise GitCommandRefused(f"git {self.name} takes paths after a revision only")
        if any(not path or b"\0" in path for path in self.paths):
            raise GitCommandRefused(f"git {self.name}: a path is empty or holds NUL")

    def arguments(self) -> list[bytes]:
        """Return what follows ``git`` on the command line."""
        grammar = _GRAMMARS[self.name]
        words = [self.name, *self.options]
        if grammar.end_of_options and self.revisions:
            words.append("--end-of-options")
        words += [*self.revisions, *map(str, self.folders)]
        arguments = [word.encode("utf-8", "surrogateescape") for word in words]
        if not grammar.separator:
            return [*arguments, *self.paths]
        return [*arguments, b"--", *self.paths] if (grammar.paths and self.revisions) or self.paths else arguments


def exclude(oid: Oid) -> str:
    """Return the revision "everything reachable from ``oid`` is left out"."""
    return f"^{oid}"


def span(base: Oid, tip: Oid) -> str:
    """Return the revisions "reachable from ``tip``, not from ``base``" as the one word that range-diff wants."""
    return f"{base}..{tip}"


def symmetric(left: Oid, right: Oid) -> str:
    """Return the revision "reachable from one of the two, not from both"."""
    return f"{left}...{right}"
