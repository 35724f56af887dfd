"""Programs are killed at moments drawn by chance while people push over HTTP and SSH: no false "ok" (D2)."""

import os
import signal
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from tests.factories.seeds import chosen_seed
from tests.services.ports import wait_until
from tests.stories.installation import installation, ssh_key
from tests.stories.pushers import Pusher, found, judge

PROGRAMS = ("web", "ssh", "worker")
BACK_SECONDS = 120


def _kill_at_random(folder: Path, *, pushers: int, pushes: int, kills: int) -> None:
    """Kill a program so often, spread over at least so many pushes of half HTTP, half SSH."""
    seed = chosen_seed()
    dice = Random(seed)
    folder.mkdir(exist_ok=True)
    settings = {"CAIRN_SECRET_KEY": "s" * 32, "CAIRN_RATE_GIT_PER_MINUTE": "0"}
    with installation(folder / "site", settings) as site:
        token = found(site, 2, scopes="repo,admin:public_key")
        public, ssh_command = ssh_key(folder)
        with site.client(token) as api:
            added = api.post("/api/v3/user/keys", json={"title": "laptop", "key": public})
            assert added.status_code == 201, added.text
        urls = [site.url("ada/r0", user="ada", secret=token), site.ssh_url("ada/r1")]
        clients = [
            Pusher(folder, n, lambda n=n: urls[n % 2], seed=seed, ssh_command=ssh_command)  # type: ignore[misc]
            for n in range(pushers)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.goes_on()
        for _ in range(kills):
            # A kill comes after a number of tries drawn by chance, wherever the others are in theirs.
            wanted = sum(len(client.tried) for client in clients) + dice.randrange(1, 2 * pushes // kills)
            wait_until(
                lambda wanted=wanted: sum(len(client.tried) for client in clients) >= wanted,  # type: ignore[misc]
                within_seconds=BACK_SECONDS,
                what="pushes go on",
            )
            victim = site.children().get(dice.choice(PROGRAMS))
            if victim is not None:
                with suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
            dice.choice(clients).goes_on()
        for client in clients:
            client.goes_on()
            client.stop()
        wait_until(lambda: site.readiness().get("status") == "ready", within_seconds=BACK_SECONDS, what="all are back")
        tried = sum(len(client.tried) for client in clients)
        print(f"{tried} pushes, {sum(len(client.refusals) for client in clients)} of them not acknowledged")
        for place, url in enumerate((urls[0], site.url("ada/r1", user="ada", secret=token))):
            judge(site, {url: clients[place::2]}, folder)


def test_a_few_kills_lose_no_acknowledged_push(tmp_path: Path) -> None:
    """The small form."""
    _kill_at_random(tmp_path, pushers=2, pushes=8, kills=2)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_kills_among_five_hundred_pushes_lose_no_acknowledged_push(tmp_path: Path) -> None:
    """D2: 500 pushes over both doors, a program killed 60 times."""
    _kill_at_random(tmp_path, pushers=8, pushes=500, kills=60)
