"""Nodes are stopped and started while people push through a proxy: nobody notices (F14); and no push ends in a 500."""

import os
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path

import pytest
from tests.factories.seeds import chosen_seed
from tests.services.ports import accepts_connections, free_port
from tests.services.postgresql import PostgresqlServer
from tests.services.processes import ServerProcess, ServiceMissing, find_program
from tests.services.redis import RedisServer
from tests.services.s3 import S3Server
from tests.stories.installation import Installation, installation
from tests.stories.pushers import Pusher, found, judge, problems_in

DRAIN_SECONDS = 30
CHECKOUT = Path(__file__).parents[2]
PREVIOUS_RELEASE = "TEST_PREVIOUS_RELEASE"
"""The commit that the upgrade starts from; without it the one before the last."""
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
            while len(client.acknowledged) < pushes:
                client.goes_on()
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


@pytest.fixture
def previous_release(tmp_path: Path) -> Path:
    """The source folder of the release before this one."""
    commit = os.environ.get(PREVIOUS_RELEASE, "HEAD~1")
    command = ["git", "-C", str(CHECKOUT), "archive", "--format=tar", commit, "src"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    if done.returncode:
        pytest.skip(f"there is no history here to take {commit} from: {done.stderr.decode(errors='replace').strip()}")
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(tmp_path / "previous", filter="data")
    return tmp_path / "previous" / "src"


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_an_upgrade_in_turn_fails_no_push(
    tmp_path: Path,
    previous_release: Path,
    postgresql_server: PostgresqlServer,
    s3_server: S3Server,
    redis_server: RedisServer,
) -> None:
    """F14: two nodes of the previous release, the schema migrated under them, new nodes beside and after them."""
    seed = chosen_seed()
    new = SETTINGS | {
        "CAIRN_DATABASE_URL": postgresql_server.url(postgresql_server.create_database()),
        "CAIRN_STORAGE_URL": s3_server.storage_url(s3_server.create_bucket()),
        "CAIRN_REDIS_URL": redis_server.url,
        "CAIRN_DRAIN_SECONDS": str(DRAIN_SECONDS),
    }
    old = new | {"PYTHONPATH": str(previous_release)}
    ports = [free_port() for _ in range(4)]
    with ExitStack() as stack:

        def node(name: str, settings: dict[str, str]) -> Installation:
            place = len(nodes)
            nodes.append(stack.enter_context(installation(tmp_path / name, settings, program="web", port=ports[place])))
            return nodes[-1]

        nodes: list[Installation] = []
        leaving = [node("old-a", old), node("old-b", old)]
        for each in leaving:
            loaded = Path(f"/proc/{each.process.pid}/environ").read_text()
            assert f"PYTHONPATH={previous_release}" in loaded
        port = stack.enter_context(_nginx(tmp_path / "nginx", ports))
        token = found(leaving[0], 2)
        urls = [f"http://ada:{token}@127.0.0.1:{port}/ada/r{number}.git" for number in range(2)]
        clients = [Pusher(tmp_path, n, lambda n=n: urls[n % 2], seed=seed) for n in range(4)]  # type: ignore[misc]
        for client in clients:
            client.start()
        for client in clients:
            client.goes_on()
        for number, each in enumerate(leaving):
            node(f"new-{number}", new)
            for client in clients:
                client.goes_on(3)  # old and new side by side
            each.process.terminate()
            assert each.process.exit_code(within_seconds=3 * DRAIN_SECONDS) == 0, each.log()[-3000:]
            each.process.kill()
            for client in clients:
                client.goes_on(2)
        for client in clients:
            client.stop()
        assert [client.refusals for client in clients] == [[]] * 4
        print(f"{sum(len(client.acknowledged) for client in clients)} pushes, none refused")
        for each in nodes:
            assert "requests_cut" not in each.log()
            assert problems_in(each.log()) == []
        own = [nodes[-1].url(f"ada/r{number}", user="ada", secret=token) for number in range(2)]
        judge(nodes[-1], {url: clients[place::2] for place, url in enumerate(own)}, tmp_path)
