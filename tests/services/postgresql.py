"""A private PostgreSQL server, with fresh databases on demand."""

import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.names import fresh_name
from tests.services.ports import free_port
from tests.services.processes import ServerProcess, find_program, private_folder, run, unprivileged_user

USER = "cairn"


@dataclass(frozen=True)
class PostgresqlServer:
    """A running server; ``process`` may be stopped, killed and started again."""

    port: int
    bin_folder: Path
    process: ServerProcess

    def url(self, database: str) -> str:
        """Return the address of a database as ``CAIRN_DATABASE_URL`` wants it."""
        return f"postgresql://{USER}:{USER}@127.0.0.1:{self.port}/{database}"

    def create_database(self, *, template: str = "template0", name: str | None = None) -> str:
        """Create a database, a copy of ``template`` (which nobody may be connected to), and return its name."""
        name = name or fresh_name("test")
        self.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database; its open connections end."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, sql: str, *, database: str = "postgres") -> str:
        """Run SQL as the owner of everything and return the rows, one a line, columns divided by ``|``."""
        return run([str(self.bin_folder / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
                    "-d", self.url(database), "-c", sql])  # fmt: skip


@contextmanager
def postgresql_server(*, fsync: bool = False, options: tuple[str, ...] = ()) -> Iterator[PostgresqlServer]:
    """Run a server on a free port of 127.0.0.1 until the block ends; ServiceMissing without its programs.

    ``fsync`` False trades durability for speed (bench and crash tests say True). ``options`` are ``name=value``.
    """
    folders = sorted((str(path) for path in Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    bin_folder = find_program("initdb", folders=folders).parent
    user = unprivileged_user("postgres")
    with private_folder("postgresql", user) as folder:
        _make_cluster(bin_folder, folder, user)
        port = free_port()
        settings = [
            "listen_addresses=127.0.0.1", f"port={port}", f"unix_socket_directories={folder}",
            f"fsync={'on' if fsync else 'off'}", f"full_page_writes={'on' if fsync else 'off'}",
            "max_connections=300", "shared_buffers=64MB", *options,
        ]  # fmt: skip
        process = ServerProcess(
            [str(bin_folder / "postgres"), "-D", str(folder / "data"), *(x for s in settings for x in ("-c", s))],
            log=folder / "log",
            is_ready=lambda: _is_ready(bin_folder, port),
            user=user,
            stop_signal=signal.SIGINT,  # "fast": ends connections instead of waiting for them
        )
        try:
            process.start()
            yield PostgresqlServer(port, bin_folder, process)
        finally:
            process.stop()


def _make_cluster(bin_folder: Path, folder: Path, user: str | None) -> None:
    with tempfile.NamedTemporaryFile("w") as password:
        password.write(USER)
        password.flush()
        Path(password.name).chmod(0o644)
        run(
            [str(bin_folder / "initdb"), "-D", str(folder / "data"), "-U", USER, "--auth=scram-sha-256",
             f"--pwfile={password.name}", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"],
            user=user,
        )  # fmt: skip


def _is_ready(bin_folder: Path, port: int) -> bool:
    try:
        run([str(bin_folder / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port), "-U", USER])
    except RuntimeError:
        return False
    return True
