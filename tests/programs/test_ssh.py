"""``cairnd ssh`` as an operator runs it: one process that greets, stops when told, and explains what it lacks."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import asyncssh
from tests.factories.accounts import actor_of, make_account
from tests.services.ports import free_port
from tests.services.processes import ServerProcess

from cairn.base.settings import Settings
from cairn.db.database import open_database
from cairn.identity.ssh_keys import add_key, list_keys

COMMAND = [sys.executable, "-m", "cairn.programs.cairnd", "ssh"]


def environment(settings: Settings, port: int) -> dict[str, str]:
    """Return the environment of the program on this port."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")}
    return kept | {
        "CAIRN_DATA_DIR": str(settings.data_dir),
        "CAIRN_SSH_ADDRESS": f"127.0.0.1:{port}",
        "CAIRN_DRAIN_SECONDS": "1",
    }


def run(environ: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the program, which must end by itself."""
    return subprocess.run([*COMMAND, *arguments], env=environ, capture_output=True, text=True, timeout=60, check=False)


def greeting(port: int) -> bytes:
    """Return the first line a client is sent, nothing while nobody listens."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client, client.makefile("rb") as lines:
            return lines.readline()
    except OSError:
        return b""


def test_help_says_where_it_listens_and_starts_nothing(tmp_path: Path) -> None:
    done = run(environment(Settings(data_dir=tmp_path / "data"), 1), "--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: cairnd ssh\n")
    assert "CAIRN_SSH_ADDRESS" in done.stdout
    assert not (tmp_path / "data").exists()


def test_it_greets_gives_its_port_to_nobody_and_stops_when_told(embedded: Settings, tmp_path: Path) -> None:
    port = free_port()
    environ = environment(embedded, port)
    log = tmp_path / "log"
    process = ServerProcess(
        COMMAND, log=log, environ=environ, is_ready=lambda: greeting(port).startswith(b"SSH-2.0-Cairn")
    )
    process.start()
    try:
        second = run(environ)
        assert second.returncode == 2
        said = second.stderr.splitlines()[-1]
        assert said.startswith(f"cairnd ssh: CAIRN_SSH_ADDRESS=127.0.0.1:{port}: cannot listen there (")
        assert "in use" in said
        assert "Traceback" not in second.stderr
        os.kill(process.pid, signal.SIGTERM)
        assert process.exit_code(within_seconds=20) == 0
    finally:
        process.kill()
    assert greeting(port) == b""
    assert "Traceback" not in log.read_text()


async def test_a_key_that_signed_in_tells_when_and_from_where(embedded: Settings, tmp_path: Path) -> None:
    """Signing in comes before any request, so the door itself must say who the peer is."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    database = open_database(embedded.effective_database_url, pool_size=1)
    try:
        async with database.write() as session:
            ada = await make_account(session, "ada")
            text = key.export_public_key().decode()
            await add_key(session, actor_of(ada), ada.id, title="laptop", text=text)
        port = free_port()
        process = ServerProcess(
            COMMAND,
            log=tmp_path / "log",
            environ=environment(embedded, port),
            is_ready=lambda: greeting(port).startswith(b"SSH-2.0-Cairn"),
        )
        process.start()
        try:
            async with asyncssh.connect(
                "127.0.0.1", port, username="git", client_keys=[key], known_hosts=None, config=None
            ):
                pass
            os.kill(process.pid, signal.SIGTERM)
            assert process.exit_code(within_seconds=20) == 0
        finally:
            process.kill()
        async with database.read() as session:
            [row] = await list_keys(session, actor_of(ada), ada.id)
    finally:
        await database.close()
    assert row.last_used_at is not None
    assert row.last_used_address == "127.0.0.1"
