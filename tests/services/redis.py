"""A private Redis server that keeps nothing."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.services.ports import free_port
from tests.services.processes import ServerProcess, find_program, private_folder


@dataclass(frozen=True)
class RedisServer:
    """A running server; ``process`` may be stopped, killed and started again (empty)."""

    port: int
    process: ServerProcess

    @property
    def url(self) -> str:
        """The address as ``CAIRN_REDIS_URL`` wants it."""
        return f"redis://127.0.0.1:{self.port}/0"

    def flush(self) -> None:
        """Forget everything."""
        answer = _ask(self.port, b"FLUSHALL\r\n")
        if answer != b"+OK\r\n":
            raise RuntimeError(f"FLUSHALL was answered with {answer!r}")


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Run a server on a free port of 127.0.0.1 until the block ends; ServiceMissing without ``redis-server``."""
    program = find_program("redis-server", "valkey-server")
    with private_folder("redis", None) as folder:
        port = free_port()
        process = ServerProcess(
            [str(program), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
             "--dir", str(folder)],
            log=folder / "log",
            is_ready=lambda: _ask(port, b"PING\r\n") == b"+PONG\r\n",
        )  # fmt: skip
        try:
            process.start()
            yield RedisServer(port, process)
        finally:
            process.stop()


def _ask(port: int, line: bytes) -> bytes:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(line)
            return connection.recv(100)
    except OSError:
        return b""
