"""An installation with narrow limits: what is refused is said by name; a stop lets clones finish."""

import http.client
import os
import random
import secrets
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.factories.git_repositories import StockGitFailed, StockRepository
from tests.git_compat.fixtures import Place
from tests.git_compat.programs import LOGIN, Installation, running_installation
from tests.services.ports import wait_until

from cairn.git.pktline import encode


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Cairn that takes little."""
    environ = {
        "CAIRN_MAX_PUSH_BYTES": "200KiB",
        "CAIRN_MAX_PUSH_REFS": "3",
        "CAIRN_MAX_FILE_BYTES": "100KiB",
        "CAIRN_MAX_PUSH_OBJECTS": "50",
    }
    with running_installation(tmp_path_factory.mktemp("narrow"), environ) as running:
        yield running


@pytest.fixture(params=["http", "ssh"])
def client(request: pytest.FixtureRequest, narrow: Installation, tmp_path: Path) -> StockRepository:
    """A client whose first commit is pushed."""
    place = Place(narrow, request.param, narrow.create(f"n-{secrets.token_hex(5)}"), tmp_path)
    client = place.client()
    client.commit({"a.txt": "one\n"})
    client.git("push", "-q", "origin", "main")
    return client


def test_a_push_beyond_its_bytes_names_the_limit(client: StockRepository) -> None:
    for number in range(40):
        client.write(f"f{number}.bin", random.Random(number).randbytes(90_000))
    client.commit({})
    with pytest.raises(StockGitFailed, match="CAIRN_MAX_PUSH_BYTES"):
        client.git("push", "-q", "origin", "main")


def test_a_push_far_beyond_its_bytes_names_the_limit_too(client: StockRepository) -> None:
    for number in range(20):
        client.write(f"f{number}.bin", random.Random(number).randbytes(5 << 20))
    client.commit({})
    with pytest.raises(StockGitFailed, match="CAIRN_MAX_PUSH_BYTES"):
        client.git("push", "-q", "origin", "main")


def test_a_file_beyond_its_size_names_the_limit(client: StockRepository) -> None:
    client.commit({"big.bin": random.Random(1).randbytes(150_000)})
    with pytest.raises(StockGitFailed, match="CAIRN_MAX_FILE_BYTES"):
        client.git("push", "-q", "origin", "main")


def test_a_push_beyond_its_objects_names_the_limit(client: StockRepository) -> None:
    client.commit({f"f{number}.txt": f"{number}\n" for number in range(60)})
    with pytest.raises(StockGitFailed, match="CAIRN_MAX_PUSH_OBJECTS"):
        client.git("push", "-q", "origin", "main")


def test_a_push_of_too_many_refs_names_the_limit(client: StockRepository) -> None:
    with pytest.raises(StockGitFailed, match="CAIRN_MAX_PUSH_REFS"):
        client.git("push", "-q", "origin", "main:a", "main:b", "main:c", "main:d")


def test_a_closed_door_names_the_open_one(tmp_path: Path) -> None:
    with running_installation(tmp_path, {"CAIRN_PUSH_TRANSPORTS": "ssh"}) as running:
        repository = running.create("closed")
        client = Place(running, "http", repository, tmp_path).client()
        client.commit({"a.txt": "one\n"})
        with pytest.raises(StockGitFailed, match=f"remote: .* over SSH only.* {running.ssh_url('closed')}"):
            client.git("push", "-q", "origin", "main")
        client.git("push", "-q", running.ssh_url("closed"), "main")
        client.git("fetch", "-q", "origin")
        assert client.oid("origin/main") == client.oid("main")


def test_a_stopping_node_says_so_first_and_lets_a_clone_finish(tmp_path: Path) -> None:
    with running_installation(tmp_path, {"CAIRN_DRAIN_SECONDS": "30"}) as running:
        client = Place(running, "http", running.create("big"), tmp_path).client()
        oid = client.commit({"big.bin": random.Random(5).randbytes(30 << 20)})
        client.git("push", "-q", "origin", "main")
        cloning, watching = (http.client.HTTPConnection(running.settings.http_address, timeout=60) for _ in range(2))
        body = encode(b"command=fetch\n") + b"0001" + encode(b"want " + oid.encode()) + encode(b"done") + b"0000"
        headers = {"Content-Type": "application/x-git-upload-pack-request", "Git-Protocol": "version=2"}
        cloning.request("POST", f"/{LOGIN}/big/git-upload-pack", body, headers)
        answer = cloning.getresponse()
        received = len(answer.read(100_000))

        def status() -> int:
            watching.request("GET", "/readyz")
            ready = watching.getresponse()
            ready.read()
            return ready.status

        assert status() == 200
        os.kill(running.web.pid, signal.SIGTERM)
        wait_until(lambda: status() == 503, within_seconds=10, what="readiness is false")
        while piece := answer.read(1 << 20):
            received += len(piece)
        assert received > 30 << 20
        assert running.web.exit_code(within_seconds=20) == 0


def test_a_stopping_ssh_program_lets_a_clone_finish(tmp_path: Path) -> None:
    with running_installation(tmp_path, {"CAIRN_DRAIN_SECONDS": "30"}) as running:
        place = Place(running, "ssh", running.create("big"), tmp_path)
        client = place.client()
        client.commit({"big.bin": random.Random(6).randbytes(30 << 20)})
        client.git("push", "-q", "origin", "main")
        clone = subprocess.Popen(["git", "clone", "--progress", place.url, "slow"], cwd=tmp_path, env=place.environment,
                                 stderr=subprocess.PIPE)  # fmt: skip
        assert clone.stderr is not None
        while b"Receiving" not in clone.stderr.readline():
            assert clone.poll() is None
        os.kill(running.ssh.pid, signal.SIGTERM)
        clone.communicate(timeout=60)
        assert clone.returncode == 0
        assert running.ssh.exit_code(within_seconds=20) == 0
