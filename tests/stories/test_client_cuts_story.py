"""Clients that leave at any byte of a push or a clone, over HTTP and SSH: nothing of them stays (F15)."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import pytest
from tests.factories.git_repositories import StockRepository
from tests.factories.process_tree import command_of
from tests.factories.seeds import chosen_seed
from tests.git_compat.programs import Installation, cairnd, running_installation
from tests.services.ports import wait_until
from tests.stories.installation import start_git

GONE_SECONDS = 60


class CuttingDoor:
    """Forwards connections to a port and ends each, with a reset, after so many bytes in both directions together."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.bytes_left = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while self.bytes_left > 0 and (data := source.recv(4096)):
                piece = data[: self.bytes_left]
                self.bytes_left -= len(piece)
                sink.sendall(piece)
        for side in (source, sink):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()


@contextmanager
def _door(target: int) -> Iterator[CuttingDoor]:
    door = CuttingDoor(target)
    try:
        yield door
    finally:
        door.close()


def _descendants(pid: int) -> list[str]:
    found = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += listing.read_text().split()
    return found


def _is_lasting(pid: str) -> bool:
    """Tell whether a child lives as long as its program: the one that renders texts does."""
    return any("render_server" in word for word in command_of(pid))


def _left_over(site: Installation) -> list[str]:
    """Return children of the programs, and quarantines; views stay, they are the cache."""
    children = [pid for program in (site.web, site.ssh) for pid in _descendants(program.pid)]
    found = [f"child {pid}" for pid in children if not _is_lasting(pid)]
    return found + [str(folder) for folder in (site.settings.data_dir / "cache").rglob("quarantine/*")]


def _cut_often(folder: Path, *, cuts: int) -> None:
    dice = Random(chosen_seed())
    with running_installation(folder / "site", {"CAIRN_RATE_GIT_PER_MINUTE": "0"}) as site:
        repository = site.create("cut")
        environment = site.git_environment(folder / "home")
        client = StockRepository(folder / "client", environment)
        client.path.mkdir()
        client.git("init", "-q", "-b", "main")
        for number in range(3):
            client.commit({f"{number}": dice.randbytes(60_000).hex()})
        url = site.http_url(repository.name)
        client.git("push", "-q", url, "HEAD:main")
        ssh_command = environment["GIT_SSH_COMMAND"]
        http_port = int(site.settings.http_address.rpartition(":")[2])
        ssh_port = int(site.settings.ssh_address.rpartition(":")[2])
        ended = {"ok": 0, "cut": 0}
        with _door(http_port) as http, _door(ssh_port) as ssh:
            for number in range(cuts):
                door = dice.choice([http, ssh])
                door.bytes_left = int(10 ** dice.uniform(1.5, 5.7))
                there = url.replace(f":{http_port}/", f":{http.port}/")
                if door is ssh:
                    there = site.ssh_url(repository.name).replace(f":{ssh_port}/", f":{ssh.port}/")
                if dice.random() < 0.5:
                    client.commit({"pushed": dice.randbytes(30_000).hex()})
                    words: tuple[str | Path, ...] = ("push", "-q", there, f"HEAD:refs/heads/b{number}")
                else:
                    words = ("clone", "-q", "--bare", there, folder / f"clone-{number}")
                running = start_git(*words, cwd=client.path, ssh_command=ssh_command)
                running.communicate(timeout=120)
                ended["ok" if running.returncode == 0 else "cut"] += 1
        print(ended)
        assert ended["cut"], ended
        try:
            wait_until(lambda: not _left_over(site), within_seconds=GONE_SECONDS, what="nothing is left")
        except TimeoutError:
            raise AssertionError(f"left of clients that were cut: {_left_over(site)}") from None
        told = cairnd(site.environ, "doctor")
        assert ", 0 with findings" in told, told
        again = folder / "again"
        start_git("clone", "-q", "--mirror", url, again).communicate(timeout=120)
        StockRepository(again, environment).git("fsck", "--strict", "--no-progress")
        for program in (site.web, site.ssh):
            log = program.log.read_text()
            assert '"level": "error"' not in log, log[-3000:]


@pytest.mark.timeout(300)
def test_some_cuts_leave_nothing(tmp_path: Path) -> None:
    """The small form."""
    _cut_often(tmp_path, cuts=8)


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_two_hundred_cuts_leave_nothing(tmp_path: Path) -> None:
    """F15: a push or clone over HTTP or SSH ends at a random byte, 200 times."""
    _cut_often(tmp_path, cuts=200)
