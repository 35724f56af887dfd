"""A12: SSH handshakes that stall are ended in time, leave nothing behind, and keep nobody out meanwhile."""

import socket
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from tests.services.ports import wait_until
from tests.stories.installation import git, installation, ssh_key, working_copy
from tests.stories.people import join

GENEROUS_SECONDS = 60
"""How much later than the limit a busy machine may be."""


@pytest.mark.parametrize(
    ("stalls", "login_seconds", "per_address"),
    [(30, 3, 10), pytest.param(200, 15, 64, marks=[pytest.mark.nightly, pytest.mark.timeout(600)])],
)
def test_stalled_handshakes_end_in_time_and_keep_nobody_out(
    tmp_path: Path, stalls: int, login_seconds: int, per_address: int
) -> None:
    """Attack: open more connections than an address may have and never finish a handshake; colleagues share it."""
    settings = {
        "CAIRN_SSH_LOGIN_SECONDS": str(login_seconds),
        "CAIRN_SSH_CONNECTIONS_PER_ADDRESS": str(per_address),
    }
    with ExitStack() as stack:
        cairn = stack.enter_context(installation(tmp_path / "site", settings))
        client, token = join(cairn, "ada")
        public, ssh_command = ssh_key(tmp_path)
        headers = {"authorization": f"Bearer {token}"}
        with closing(client):
            assert client.post("/api/v3/user/repos", json={"name": "r0"}, headers=headers).status_code == 201
            made = client.post("/api/v3/user/keys", json={"title": "key", "key": public}, headers=headers)
            assert made.status_code == 201
        work = working_copy(tmp_path / "work")
        url = cairn.ssh_url("ada/r0")
        git("push", "-q", url, "main", cwd=work, ssh_command=ssh_command)
        descriptors = Path(f"/proc/{cairn.children()['ssh']}/fd")

        def is_quiet() -> bool:
            return len(list(descriptors.iterdir())) <= before

        before = len(list(descriptors.iterdir()))
        started = time.monotonic()
        held = []
        for _ in range(stalls):
            held.append(stack.enter_context(closing(socket.create_connection(("127.0.0.1", cairn.ssh_port), 60))))
            held[-1].sendall(b"SSH-2.0-Stall\r\n")
        let_in = 0
        while not all(map(is_ended, held)):
            # Each time a whole conversation: key exchange, proof of the key, git.
            git("ls-remote", url, ssh_command=ssh_command)
            let_in += 1
            assert time.monotonic() - started <= login_seconds + GENEROUS_SECONDS
        print(f"{stalls} stalls were ended after {time.monotonic() - started:.1f} s; {let_in} fetches meanwhile")
        assert let_in >= 1
        wait_until(is_quiet, within_seconds=30, what="no descriptor is left behind")
        git("clone", "-q", url, tmp_path / "clone", ssh_command=ssh_command)


def is_ended(connection: socket.socket) -> bool:
    """Tell whether the server has ended a connection; what it said before is read away."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True
