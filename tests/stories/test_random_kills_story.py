"""Programs are killed at moments drawn by chance while people push over HTTP and SSH: no false "ok" (D2)."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

import pytest
from tests.factories.seeds import chosen_seed
from tests.services.ports import accepts_connections, wait_until
from tests.services.processes import ServerProcess
from tests.stories.installation import installation, ssh_key
from tests.stories.pushers import Pusher, found, judge

BACK_SECONDS = 120


@contextmanager
def _program(name: str, folder: Path, environment: Mapping[str, str], port: int | None) -> Iterator[ServerProcess]:
    """Run a further program of an installation, ready when it listens at ``port``, if it does."""
    process = ServerProcess(
        [sys.executable, "-m", "cairn.programs.cairnd", name],
        log=folder / f"{name}.log",
        environ=environment,
        is_ready=lambda: port is None or accepts_connections(port),
    )
    process.start()
    try:
        yield process
    finally:
        process.kill()


def _kill_at_random(folder: Path, *, pushers: int, pushes: int, kills: int) -> None:
    """Kill a program so often, spread over at least so many pushes of half HTTP, half SSH; each comes back at once."""
    seed = chosen_seed()
    dice = Random(seed)
    folder.mkdir(exist_ok=True)
    settings = {"CAIRN_SECRET_KEY": "s" * 32, "CAIRN_RATE_GIT_PER_MINUTE": "0"}
    with installation(folder / "site", settings, program="web") as site, ExitStack() as stack:
        ssh, worker = (
            stack.enter_context(_program(name, folder, site.environment, port))
            for name, port in (("ssh", site.ssh_port), ("worker", None))
        )
        token = found(site, 2, scopes="repo,admin:public_key")
        public, ssh_command = ssh_key(folder)
        with site.client(token) as api:
            added = api.post("/api/v3/user/keys", json={"title": "laptop", "key": public})
            assert added.status_code == 201, added.text
        doors = [
            (site.port, site.url("ada/r0", user="ada", secret=token)),
            (site.ssh_port, site.ssh_url("ada/r1")),
        ]

        def open_door(number: int) -> str:
            """Wait until the door is there: a connection that is refused would be no push."""
            port, url = doors[number % 2]
            wait_until(lambda: accepts_connections(port), within_seconds=BACK_SECONDS, what=f"port {port} is open")
            return url

        clients = [
            Pusher(folder, n, lambda n=n: open_door(n), seed=seed, ssh_command=ssh_command)  # type: ignore[misc]
            for n in range(pushers)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.goes_on()

        def tried() -> int:
            return sum(len(client.tried) for client in clients)

        def wait_for(wanted: int) -> None:
            wait_until(lambda: tried() >= wanted, within_seconds=BACK_SECONDS, what=f"{wanted} pushes were tried")

        for _ in range(kills):
            # A kill comes after a number of tries drawn by chance, wherever the others are in theirs.
            wait_for(tried() + dice.randrange(1, 2 * pushes // kills))
            victim = dice.choice([site.process, ssh, worker])
            victim.kill()
            victim.start()
        wait_for(pushes)
        for client in clients:
            client.goes_on()
            client.stop()
        unknown = sum(len(client.refusals) for client in clients)
        print(f"{tried()} pushes, {unknown} of them not acknowledged, {kills} kills")
        for place, url in enumerate((doors[0][1], site.url("ada/r1", user="ada", secret=token))):
            judge(site, {url: clients[place::2]}, folder)


@pytest.mark.timeout(600)
def test_a_few_kills_lose_no_acknowledged_push(tmp_path: Path) -> None:
    """The small form."""
    _kill_at_random(tmp_path, pushers=2, pushes=8, kills=2)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_kills_among_five_hundred_pushes_lose_no_acknowledged_push(tmp_path: Path) -> None:
    """D2: 500 pushes over both doors, a program killed 60 times."""
    _kill_at_random(tmp_path, pushers=8, pushes=500, kills=60)
