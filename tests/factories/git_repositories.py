"""Real repositories for tests, made by stock git: by its commands, or fast by ``git fast-import``."""

import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cairn.git.types import Oid

ENVIRONMENT = {
    "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
    "HOME": "/nonexistent",
    "LC_ALL": "C",
    "TZ": "UTC",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_AUTHOR_DATE": "1700000000 +0100",
    "GIT_COMMITTER_NAME": "Grace",
    "GIT_COMMITTER_EMAIL": "grace@example.org",
    "GIT_COMMITTER_DATE": "1700000001 -0500",
}


class StockGitFailed(Exception):
    """Stock git refused; the message is its standard error."""


@dataclass(frozen=True)
class StockRepository:
    """A repository that only stock git touches. ``path`` is its work tree or, if bare, the repository itself."""

    path: Path
    environment: Mapping[str, str] = field(default_factory=lambda: ENVIRONMENT)

    def git(self, *arguments: str | bytes | Path, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """Run git in the repository and return its output; StockGitFailed otherwise."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            input=stdin,
            capture_output=True,
            check=False,
            env={**self.environment, **(env or {})},
        )
        if done.returncode != 0:
            raise StockGitFailed(done.stderr.decode("utf-8", "backslashreplace"))
        return done.stdout

    def oid(self, revision: str) -> Oid:
        """Return the object a revision names."""
        return Oid(self.git("rev-parse", "--verify", revision).decode().strip())

    @property
    def git_dir(self) -> Path:
        """The folder with HEAD and objects."""
        inner = self.path / ".git"
        return inner if inner.exists() else self.path

    @property
    def objects(self) -> Path:
        """The object directory."""
        return self.git_dir / "objects"

    def write(self, path: str, content: str | bytes) -> None:
        """Put a file into the work tree."""
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: Mapping[str, str | bytes | None], message: str = "change", *options: str) -> Oid:
        """Write (None: delete) files, commit everything and return the commit."""
        for path, content in files.items():
            if content is None:
                (self.path / path).unlink()
            else:
                self.write(path, content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message, *options)
        return self.oid("HEAD")

    def pack(self, tips: Iterable[str], *, without: Iterable[str] = (), thin: bool = False) -> bytes:
        """Return a pack with what the tips reach and ``without`` does not."""
        revisions = "\n".join([*tips, *(f"^{oid}" for oid in without)]) + "\n"
        options = ["--thin"] if thin else []
        return self.git(
            "pack-objects", "--revs", "--stdout", "-q", "--delta-base-offset", *options, stdin=revisions.encode()
        )

    def repack(self) -> None:
        """Put every object, reachable or not, into packs, as a view holds them."""
        self.git("repack", "-a", "-d", "-q", "--keep-unreachable")
        self.git("prune-packed", "-q")


def init(path: Path, *, bare: bool = False) -> StockRepository:
    """Make an empty repository with ``main`` as its branch."""
    path.mkdir(parents=True, exist_ok=True)
    repository = StockRepository(path)
    repository.git("init", "-q", "-b", "main", *(["--bare"] if bare else []))
    return repository


def clone(source: StockRepository, path: Path, *options: str) -> StockRepository:
    """Clone by stock git."""
    path.parent.mkdir(parents=True, exist_ok=True)
    StockRepository(path.parent).git("clone", "-q", *options, f"file://{source.path}", path)
    return StockRepository(path)


def fast_import(repository: StockRepository, commits: Iterable[tuple[str, Mapping[str, bytes]]]) -> Oid:
    """Append commits (message, files written) to ``main`` in one child; return the last."""
    stream = bytearray()
    for number, (message, files) in enumerate(commits):
        text = message.encode()
        stream += b"commit refs/heads/main\ncommitter Grace <grace@example.org> %d +0000\n" % (1700000000 + number)
        stream += b"data %d\n%b\n" % (len(text), text)
        for path, content in files.items():
            stream += b"M 100644 inline %b\ndata %d\n%b\n" % (path.encode(), len(content), content)
    repository.git("fast-import", "--quiet", "--force", stdin=bytes(stream))
    return repository.oid("refs/heads/main")
