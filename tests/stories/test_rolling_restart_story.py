"""Nodes are stopped and started while people push through a proxy: nobody notices (F14); and no push ends in a 500."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.factories.seeds import chosen_seed
from tests.services.ports import accepts_connections, free_port
from tests.services.postgresql import PostgresqlServer
from tests.services.processes import ServerProcess, ServiceMissing, find_program
from tests.stories.installation import Installation, installation
from tests.stories.pushers import Pusher, found, judge, problems_in

DRAIN_SECONDS = 30
SETTINGS = {"CAIRN_SECRET_KEY": "s" * 32, "CAIRN_RATE_GIT_PER_MINUTE": "100000"}


def _nobody_is_failed(folder: Path, *, pushers: int, pushes: int) -> None:
    """Let so many push so often through one web program, without any fault."""
    seed = chosen_seed()
    with installation(folder / "site", SETTINGS, program="web") as site:
        token = found(site, 2)
        urls = [site.url(f"ada/r{number}", user="ada", secret=token) for number in range(2)]
        clients = [Pusher(folder, n, lambda n=n: urls[n % 2], seed=seed) for n in range(pushers)]  # type: ignore[misc]
        for client in clients:
            client.start()
        for client in clients:
            client.goes_on(pushes)
        for client in clients:
            client.stop()
            assert client.refusals == []
        assert problems_in(site.log()) == []
        judge(site, {url: clients[place::2] for place, url in enumerate(urls)}, folder)


def test_no_push_fails_without_a_fault(tmp_path: Path) -> None:
    """The small form: four pushers."""
    _nobody_is_failed(tmp_path, pushers=4, pushes=5)


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_no_push_of_eight_pushers_fails_without_a_fault(tmp_path: Path) -> None:
    """About one of a thousand ended in HTTP 500: what git had not read of the body looked like a client that left."""
    _nobody_is_failed(tmp_path, pushers=8, pushes=250)


@contextmanager
def _nginx(folder: Path, ports: list[int]) -> Iterator[int]:
    """Run nginx as docs/guides/operate.md says, in front of these ports; yield its own."""
    try:
        program = find_program("nginx", folders=["/usr/sbin"])
    except ServiceMissing as missing:
        pytest.skip(str(missing))
    port = free_port()
    folder.mkdir()
    servers = " ".join(f"server 127.0.0.1:{each} max_fails=0;" for each in ports)
    (folder / "nginx.conf").write_text(
        f"""daemon off; master_process off; pid {folder}/pid; error_log stderr;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream cairn {{ {servers} keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size 0;
    location / {{
      proxy_pass http://cairn;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_next_upstream error timeout http_503 non_idempotent;
    }}
  }}
}}
"""
    )
    process = ServerProcess(
        [str(program), "-c", str(folder / "nginx.conf")], log=folder / "log", is_ready=lambda: accepts_connections(port)
    )
    process.start()
    try:
        yield port
    finally:
        process.stop()


@contextmanager
def _two_nodes(folder: Path, postgresql_server: PostgresqlServer) -> Iterator[list[Installation]]:
    settings = SETTINGS | {
        "CAIRN_DATABASE_URL": postgresql_server.url(postgresql_server.create_database()),
        "CAIRN_STORAGE_URL": f"file://{folder / 'bucket'}",
        "CAIRN_DRAIN_SECONDS": str(DRAIN_SECONDS),
    }
    with ExitStack() as stack:
        yield [stack.enter_context(installation(folder / name, settings, program="web")) for name in ("a", "b")]


def _roll(folder: Path, postgresql_server: PostgresqlServer, *, rounds: int) -> None:
    seed = chosen_seed()
    with _two_nodes(folder, postgresql_server) as nodes, _nginx(folder / "nginx", [n.port for n in nodes]) as port:
        token = found(nodes[0], 2)
        urls = [f"http://ada:{token}@127.0.0.1:{port}/ada/r{number}.git" for number in range(2)]
        clients = [Pusher(folder, n, lambda n=n: urls[n % 2], seed=seed) for n in range(4)]  # type: ignore[misc]
        for client in clients:
            client.start()
        for client in clients:
            client.goes_on()
        for _ in range(rounds):
            for node in nodes:
                node.process.terminate()
                assert node.process.exit_code(within_seconds=3 * DRAIN_SECONDS) == 0, node.log()[-3000:]
                node.process.kill()
                for client in clients:
                    client.goes_on()
                node.process.start()
                for client in clients:
                    client.goes_on()
        for client in clients:
            client.stop()
        assert [client.refusals for client in clients] == [[]] * 4
        for node in nodes:
            assert "requests_cut" not in node.log()
            assert problems_in(node.log()) == []
            own = [node.url(f"ada/r{number}", user="ada", secret=token) for number in range(2)]
            judge(node, {url: clients[place::2] for place, url in enumerate(own)}, folder)


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_a_rolling_restart_fails_no_push(tmp_path: Path, postgresql_server: PostgresqlServer) -> None:
    """F14: SIGTERM to each of two nodes behind nginx in turn, three times, under four pushers: none fails."""
    _roll(tmp_path, postgresql_server, rounds=3)
