"""A private MariaDB server, with fresh databases on demand."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.names import fresh_name
from tests.services.ports import accepts_connections, free_port
from tests.services.processes import ServerProcess, find_program, private_folder, run, unprivileged_user

USER = "cairn"


@dataclass(frozen=True)
class MariadbServer:
    """A running server; ``process`` may be stopped, killed and started again."""

    port: int
    client: Path
    process: ServerProcess

    def url(self, database: str) -> str:
        """Return the address of a database as ``CAIRN_DATABASE_URL`` wants it."""
        return f"mysql://{USER}:{USER}@127.0.0.1:{self.port}/{database}"

    def create_database(self, *, name: str | None = None) -> str:
        """Create an empty database and return its name."""
        name = name or fresh_name("test")
        self.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")
        return name

    def drop_database(self, name: str) -> None:
        """Remove a database."""
        self.execute(f"DROP DATABASE IF EXISTS `{name}`")

    def execute(self, sql: str, *, database: str = "mysql") -> str:
        """Run SQL with every right and return the rows, one a line, columns divided by tabs."""
        return run([str(self.client), "--no-defaults", "--protocol=tcp", "--host=127.0.0.1", f"--port={self.port}",
                    f"--user={USER}", f"--password={USER}", "--batch", "--skip-column-names", f"--execute={sql}",
                    database])  # fmt: skip


@contextmanager
def mariadb_server(*, fsync: bool = False, options: tuple[str, ...] = ()) -> Iterator[MariadbServer]:
    """Run a server on a free port of 127.0.0.1 until the block ends; ServiceMissing without its programs.

    ``fsync`` False trades durability for speed. ``options`` are further arguments of ``mariadbd``.
    """
    server, client = find_program("mariadbd", "mysqld"), find_program("mariadb", "mysql")
    install = find_program("mariadb-install-db", "mysql_install_db")
    user = unprivileged_user("mysql")
    with private_folder("mariadb", user) as folder:
        data, port = folder / "data", free_port()
        run([str(install), "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
             "--skip-test-db", "--skip-name-resolve", *([f"--user={user}"] if user else [])])  # fmt: skip
        first = folder / "first.sql"
        first.write_text(
            f"CREATE USER IF NOT EXISTS '{USER}'@'127.0.0.1' IDENTIFIED BY '{USER}';\n"
            f"GRANT ALL ON *.* TO '{USER}'@'127.0.0.1' WITH GRANT OPTION;\n"
        )
        durable = () if fsync else ("--innodb-flush-log-at-trx-commit=2", "--sync-binlog=0")
        process = ServerProcess(
            [str(server), "--no-defaults", f"--datadir={data}", f"--socket={folder / 'sock'}", f"--port={port}",
             f"--pid-file={folder / 'pid'}", "--bind-address=127.0.0.1", f"--init-file={first}", "--skip-name-resolve",
             "--max-connections=300", "--innodb-buffer-pool-size=64M", *durable, *options],
            log=folder / "log",
            is_ready=lambda: accepts_connections(port),
            user=user,
        )  # fmt: skip
        try:
            process.start()
            yield MariadbServer(port, client, process)
        finally:
            process.stop()
