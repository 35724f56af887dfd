"""Archives between two nodes: streamed while git makes them, made once, afterwards had from the store without any git.

Each node's git is stock git behind a script that notes every call, and that stops an archive after its first bytes
until the test lets it go on: so what a client has of it then was sent before it was complete.
"""

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from tests.factories.process_tree import highest_mark
from tests.services.ports import wait_until
from tests.services.postgresql import PostgresqlServer
from tests.services.s3 import S3Server
from tests.stories.installation import Installation, git, installation, working_copy
from tests.stories.pushers import found

MIB = 1 << 20
FIRST_BYTES = 512 << 10
GROWTH_BYTES_MAX = 64 * MIB
"""Of the program: pipes, a piece on its way to each reader, parts of an upload, what libraries load at first use."""
FILE_BYTES = 4 * MIB
ADDRESS = "/ada/r0/archive/refs/heads/main.tar.gz"
SCRIPT = """#!/bin/sh
echo "$*" >> '{log}'
for word; do
  if [ "$word" = archive ]; then
    '{git}' "$@" | {{ head -c {first}; while [ ! -e '{gate}' ]; do sleep 0.02; done; cat; }}
    exit
  fi
done
exec '{git}' "$@"
"""


@dataclass(frozen=True)
class Nodes:
    """Two web programs on one database and one store, and what each asked of its git."""

    one: Installation
    two: Installation
    folder: Path

    def calls(self) -> list[str]:
        """Return the words of every git child so far, of both nodes."""
        return [line for name in ("one", "two") for line in (self.folder / name / "calls").read_text().splitlines()]

    def archives(self) -> int:
        """Return how often git was asked for an archive."""
        return sum(" archive " in f" {line} " for line in self.calls())

    def open_gate(self) -> None:
        """Let archives be written to their end from now on."""
        (self.folder / "gate").touch()


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.s3_server)])
def nodes(request: pytest.FixtureRequest, tmp_path: Path, postgresql_server: PostgresqlServer) -> Iterator[Nodes]:
    """Two nodes before an empty store."""
    storage = f"file://{tmp_path / 'objects'}"
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        storage = server.storage_url(server.create_bucket())
    settings = {
        "CAIRN_DATABASE_URL": postgresql_server.url(postgresql_server.create_database()),
        "CAIRN_STORAGE_URL": storage,
        "CAIRN_SECRET_KEY": "k" * 40,
    }
    with ExitStack() as stack:
        started = []
        for name in ("one", "two"):
            folder = tmp_path / name
            path = _noting_git(folder, gate=tmp_path / "gate")
            own = settings | {"CAIRN_CACHE_DIR": str(folder / "cache"), "PATH": path}
            started.append(stack.enter_context(installation(folder, own, program="web")))
        one, two = started
        yield Nodes(one, two, tmp_path)


def _noting_git(folder: Path, *, gate: Path) -> str:
    """Put the script in a folder of its own and return the PATH that finds it first."""
    program = folder / "bin" / "git"
    program.parent.mkdir(parents=True)
    (folder / "calls").touch()
    stock = shutil.which("git")
    program.write_text(SCRIPT.format(git=stock, log=folder / "calls", gate=gate, first=FIRST_BYTES))
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


def push_noise(nodes: Nodes, work: Path, megabytes: int) -> None:
    """Push files that no compression makes smaller, and have both nodes read the repository once."""
    token = found(nodes.one, 1)
    working_copy(work)
    for number in range(max(1, megabytes * MIB // FILE_BYTES)):
        (work / f"noise-{number}.bin").write_bytes(secrets.token_bytes(FILE_BYTES))
    git("config", "core.compression", "0", cwd=work)
    git("add", "-A", cwd=work)
    git("commit", "-qm", "Noise", cwd=work)
    git("push", "-q", nodes.one.url("ada/r0", user="ada", secret=token), "main", cwd=work)
    for node in (nodes.one, nodes.two):
        with node.client() as client:
            assert client.get("/ada/r0/blob/main/README.md").status_code == 200


def digest_of(node: Installation, *, at_first: Callable[[], None] = lambda: None) -> tuple[str, int]:
    """Return SHA-256 and size of the archive, wherever the node sends its client; ``at_first`` is done at its start."""
    digest, size = hashlib.sha256(), 0
    with (
        httpx2.Client(timeout=120, trust_env=False, follow_redirects=True) as client,
        client.stream("GET", node.origin + ADDRESS) as answer,
    ):
        assert answer.status_code == 200
        for chunk in answer.iter_raw():
            if not size:
                at_first()
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


@contextmanager
def bounded(node: Installation, what: str) -> Iterator[None]:
    """Check that the program never grows by more than the bound while the block runs."""
    with highest_mark(node.process.pid) as growth:
        yield
    print(f"{what}: grown by {growth.grown_bytes / MIB:.0f} MiB")
    assert growth.before_bytes > 50 * MIB, "the program is seen"
    assert growth.grown_bytes <= GROWTH_BYTES_MAX


def is_kept(node: Installation) -> bool:
    """Tell whether the node finds a whole archive: then it knows the size, or sends to the store."""
    with node.client() as client:
        answer = client.head(ADDRESS)
    return answer.status_code == 302 or "content-length" in answer.headers


@pytest.mark.parametrize(
    "megabytes",
    [pytest.param(8, id="8MB"), pytest.param(100, id="100MB", marks=[pytest.mark.nightly, pytest.mark.timeout(900)])],
)
def test_an_archive_is_sent_while_it_is_made_and_the_second_comes_from_the_store(
    nodes: Nodes, tmp_path: Path, megabytes: int
) -> None:
    push_noise(nodes, tmp_path / "work", megabytes)

    def first_bytes_are_here() -> None:
        assert not is_kept(nodes.one), "it cannot be complete: git waits"
        nodes.open_gate()

    with bounded(nodes.one, "made"):
        first, size = digest_of(nodes.one, at_first=first_bytes_are_here)
    assert size >= megabytes * MIB
    wait_until(lambda: is_kept(nodes.two), within_seconds=120, what="the store has the archive")
    before = nodes.calls()
    with bounded(nodes.two, "from the store"):
        assert digest_of(nodes.two) == (first, size)
    assert digest_of(nodes.one) == (first, size)
    assert nodes.calls() == before, "no git was needed"
    assert nodes.archives() == 1
