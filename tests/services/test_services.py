"""The servers start, answer, come back after a stop, and leave nothing behind."""

import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests.services.azure import AzureServer
from tests.services.mariadb import MariadbServer
from tests.services.ports import accepts_connections, free_port, wait_until
from tests.services.postgresql import PostgresqlServer
from tests.services.processes import ServerProcess, ServiceMissing, find_program
from tests.services.redis import RedisServer
from tests.services.redis import redis_server as run_redis
from tests.services.s3 import S3Server


def test_a_database_copied_from_a_template_has_its_rows(postgresql_server: PostgresqlServer) -> None:
    template = postgresql_server.create_database()
    postgresql_server.execute("CREATE TABLE t AS SELECT 7 AS n", database=template)
    copy = postgresql_server.create_database(template=template)
    assert postgresql_server.execute("SELECT n FROM t", database=copy) == "7\n"


def test_each_test_gets_an_empty_database(postgresql_server: PostgresqlServer, postgresql_url: str) -> None:
    name = postgresql_url.rsplit("/", 1)[1]
    assert (
        postgresql_server.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", database=name) == "0\n"
    )


def test_mariadb_answers_in_a_fresh_database(mariadb_server: MariadbServer, mariadb_url: str) -> None:
    name = mariadb_url.rsplit("/", 1)[1]
    assert mariadb_server.execute("SELECT DATABASE()", database=name) == f"{name}\n"


def test_redis_is_empty_for_each_test(redis_server: RedisServer, redis_url: str) -> None:
    assert redis_url == f"redis://127.0.0.1:{redis_server.port}/0"


def test_the_real_s3_server_refuses_a_request_without_signature(s3_server: S3Server) -> None:
    bucket = s3_server.create_bucket()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{s3_server.endpoint}/{bucket}?list-type=2", timeout=10)
    assert refused.value.code == 403


def test_moto_answers(moto_url: str) -> None:
    assert moto_url.startswith("s3://test-")


def test_the_azure_emulator_refuses_a_request_without_signature(azure_server: AzureServer, azure_url: str) -> None:
    container = azure_url.split("/")[2]
    with pytest.raises(urllib.error.HTTPError, match=r"40[34]"):
        urllib.request.urlopen(f"{azure_server.endpoint}/{container}?restype=container&comp=list", timeout=10)


def test_a_stopped_server_comes_back_on_its_port_and_ends_with_its_block() -> None:
    try:
        with run_redis() as server:
            server.process.stop()
            assert not accepts_connections(server.port)
            server.process.start()
            assert accepts_connections(server.port)
    except ServiceMissing as missing:
        pytest.skip(str(missing))
    assert not accepts_connections(server.port)


def test_a_server_dies_with_a_test_process_that_is_killed(tmp_path: Path) -> None:
    try:
        find_program("setpriv"), find_program("redis-server", "valkey-server")
    except ServiceMissing as missing:
        pytest.skip(str(missing))
    script = (
        "import os, signal\n"
        "from tests.services.redis import redis_server\n"
        "with redis_server() as server:\n"
        "    print(server.port, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    project = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=project, capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    port = int(done.stdout)
    wait_until(lambda: not accepts_connections(port), within_seconds=10, what="the orphan is gone")


def test_a_server_that_ends_at_once_is_reported_with_its_log(tmp_path: Path) -> None:
    process = ServerProcess(
        ["/bin/sh", "-c", "echo no such option; exit 3"], log=tmp_path / "log", is_ready=lambda: False
    )
    with pytest.raises(RuntimeError, match="no such option"):
        process.start()


def test_a_missing_program_is_named() -> None:
    with pytest.raises(ServiceMissing, match="no-such-program is not installed"):
        find_program("no-such-program")


def test_a_free_port_is_free() -> None:
    assert not accepts_connections(free_port())
