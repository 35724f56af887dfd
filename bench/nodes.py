"""Several web programs over one PostgreSQL, Redis and S3 server: throughput, what the database does, sticky routing.

``python -m bench.nodes`` writes ``bench/NODES.md``. All programs, the servers and the load share this machine's cores,
so read the ratios: where the cores are used up, more programs cannot give more.
"""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.ports import accepts_connections, free_port
from tests.services.postgresql import PostgresqlServer, postgresql_server
from tests.services.processes import ServerProcess, find_program
from tests.services.redis import redis_server
from tests.services.s3 import versitygw_server

from bench.__main__ import V2, fetch_body
from bench.fixtures import repository_of_bytes, small_repository
from bench.large_run import Storage
from bench.load import basic, git, requests_per_second
from bench.subject import OWNER, Subject, cairn

RESULTS = Path(__file__).parent / "NODES.md"
PROGRAMS = (1, 2, 4)
REPOSITORIES = 24
"""Repositories of the routing measurement, 2 MB each: by chance both nodes come to hold all of them."""

CLONES_EACH = 2
_FETCH_KIND = {"Content-Type": "application/x-git-upload-pack-request", **V2}
_COUNTED = 200


@dataclass(frozen=True)
class Site:
    """One installation: its servers, its first node (with worker and SSH), more web programs on demand."""

    folder: Path
    first: Subject
    postgresql: PostgresqlServer
    database: str

    @contextmanager
    def web_programs(self, count: int) -> Iterator[list[Subject]]:
        """Yield ``count`` further web programs, each a node of its own: own data folder, own cache."""
        with ExitStack() as stack:
            yield [stack.enter_context(self._web_program()) for _ in range(count)]

    @contextmanager
    def _web_program(self) -> Iterator[Subject]:
        folder, port = self.folder / f"node-{secrets.token_hex(4)}", free_port()
        environment = {
            **self.first.environment,
            "CAIRN_DATA_DIR": str(folder / "data"),
            "CAIRN_HTTP_ADDRESS": f"127.0.0.1:{port}",
            "CAIRN_EXTERNAL_URL": self.first.origin,
        }
        folder.mkdir(parents=True)
        process = ServerProcess(
            [sys.executable, "-m", "cairn.programs.cairnd", "web"],
            log=folder / "log",
            environ=environment,
            is_ready=lambda: accepts_connections(port),
        )
        try:
            process.start()
            yield Subject(f"http://127.0.0.1:{port}", 0, self.first.token, process, environment)
        finally:
            process.stop()

    def statements(self) -> dict[str, int]:
        """Return how often the database server has run each statement for this installation."""
        sql = (
            "SELECT s.queryid, sum(s.calls) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid "
            f"WHERE d.datname = '{self.database}' AND s.queryid IS NOT NULL GROUP BY 1"
        )
        rows = str(self.postgresql.execute(sql, database=self.database)).splitlines()
        return {query: int(calls) for query, _, calls in (row.partition("|") for row in rows)}


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Run an installation on real servers until the block ends."""
    with ExitStack() as stack:
        options = ("synchronous_commit=on", "shared_preload_libraries=pg_stat_statements")
        server = stack.enter_context(postgresql_server(fsync=True, options=options))
        redis = stack.enter_context(redis_server())
        s3 = stack.enter_context(versitygw_server())
        database = server.create_database()
        server.execute("CREATE EXTENSION pg_stat_statements", database=database)
        settings = {
            "CAIRN_DATABASE_URL": server.url(database),
            "CAIRN_REDIS_URL": redis.url,
            "CAIRN_STORAGE_URL": s3.storage_url(s3.create_bucket()),
            "CAIRN_SECRET_KEY": secrets.token_hex(32),
        }
        yield Site(folder, stack.enter_context(cairn(folder / "first", settings=settings)), server, database)


def push(site: Site, source: Path) -> None:
    """Make a repository of this name and push ``source`` into it."""
    site.first.create_repository(source.name)
    git("push", "-q", site.first.url(source.name), "main", cwd=source)


@dataclass(frozen=True)
class Request:
    """A git request that is measured: its path below the repository, its headers, its body."""

    name: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None

    def url(self, node: Subject, repository: Path) -> str:
        """Return its address at a node."""
        return f"{node.origin}/{OWNER}/{repository.name}.git/{self.path}"

    def rate(self, nodes: Sequence[Subject], repository: Path) -> float:
        """Return the answers a second of all nodes, asked at the same time by eight clients in all."""
        each = max(2, 8 // len(nodes))

        def one(node: Subject) -> float:
            return requests_per_second(
                self.url(node, repository), headers=self.headers, body=self.body, connections=each
            )

        with ThreadPoolExecutor(len(nodes)) as pool:
            return sum(pool.map(one, nodes))

    def ask(self, node: Subject, repository: Path, count: int) -> None:
        """Ask so often, one after the other."""
        words = [word for name, value in self.headers.items() for word in ("-H", f"{name}: {value}")]
        data = ["--data-binary", "@-"] if self.body is not None else []
        command = ["curl", "-sS", "--fail", "-o", os.devnull, *words, *data, self.url(node, repository)]
        for _ in range(count):
            subprocess.run(command, input=self.body or b"", check=True, timeout=60)


def requests(site: Site, small: Path) -> tuple[Request, Request]:
    """Return the two warm requests that a fetch consists of."""
    signed_in = basic(OWNER, site.first.token)
    return (
        Request("advertisement", "info/refs?service=git-upload-pack", {**V2, **signed_in}),
        Request("cached fetch", "git-upload-pack", {**_FETCH_KIND, **signed_in}, fetch_body(small)),
    )


def throughput(site: Site, small: Path) -> Iterator[str]:
    """Yield a table row for each number of programs."""
    single: dict[str, float] = {}
    for count in PROGRAMS:
        with site.web_programs(count) as nodes:
            cells = [str(count)]
            for request in requests(site, small):
                rate = request.rate(nodes, small)
                single.setdefault(request.name, rate)
                cells += [f"{rate:,.0f}/s", f"{rate / single[request.name]:.2f}×"]
            yield f"| {' | '.join(cells)} |"


def statements_of_a_warm_fetch(site: Site, small: Path) -> str:
    """Say how many statements the shared database ran for each warm git request, of either kind."""
    told = []
    with site.web_programs(1) as (node,):
        for request in requests(site, small):
            request.ask(node, small, 10)
            before = site.statements()
            request.ask(node, small, _COUNTED)
            more = [calls - before.get(query, 0) for query, calls in site.statements().items()]
            # What runs by the clock (the worker, last uses) runs far less often than once a request.
            asked = sum(calls for calls in more if calls >= _COUNTED / 2)
            told.append(f"{request.name} {asked / _COUNTED:.2f}")
    return f"Statements that a warm request costs the database: {', '.join(told)}."


@contextmanager
def balancer(folder: Path, nodes: Sequence[Subject], *, is_sticky: bool) -> Iterator[str]:
    """Run nginx in front of the nodes: by chance, or the same repository to the same node. Yields its origin."""
    nginx, port = find_program("nginx"), free_port()
    folder.mkdir(parents=True)
    servers = " ".join(f"server {node.origin.removeprefix('http://')};" for node in nodes)
    method = "hash $repository consistent;" if is_sticky else "random;"
    config = folder / "nginx.conf"
    config.write_text(
        f"""
        {"user root;" if os.geteuid() == 0 else ""}
        worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/log error;
        events {{ worker_connections 1024; }}
        http {{
          access_log off; client_max_body_size 0; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
          fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
          map $uri $repository {{ "~^/(?<place>[^/]+/[^/]+?)(\\.git)?(/|$)" $place; default $uri; }}
          upstream cairn {{ {method} {servers} keepalive 16; }}
          server {{
            listen 127.0.0.1:{port};
            location / {{
              proxy_pass http://cairn; proxy_http_version 1.1; proxy_set_header Connection "";
              proxy_set_header Host $host; proxy_buffering off; proxy_request_buffering off;
            }}
          }}
        }}
        """
    )
    process = ServerProcess(
        [str(nginx), "-c", str(config), "-p", str(folder)],
        log=folder / "out",
        is_ready=lambda: accepts_connections(port),
    )
    try:
        process.start()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.stop()


def routing(site: Site, names: Sequence[str]) -> Iterator[str]:
    """Yield a row for each way of routing: clones through two cold nodes."""
    for is_sticky in (False, True):
        with site.web_programs(2) as nodes, ExitStack() as stack:
            label = "by repository" if is_sticky else "by chance"
            folder = site.folder / label.replace(" ", "-")
            origin = stack.enter_context(balancer(folder / "nginx", nodes, is_sticky=is_sticky))
            counts = [stack.enter_context(Storage(node.origin).count()) for node in nodes]
            entry = origin.replace("://", f"://{OWNER}:{site.first.token}@")
            started = time.perf_counter()
            for turn in range(CLONES_EACH):
                for name in names:
                    git("clone", "-q", "--bare", f"{entry}/{OWNER}/{name}.git", folder / f"{name}-{turn}")
            seconds = time.perf_counter() - started
            held = [_held_bytes(node) for node in nodes]
            stack.pop_all().close()
            asked = " and ".join(count[0] for count in counts)
            megabytes = " and ".join(f"{size / 1e6:,.0f} MB" for size in held)
            yield f"| {label} | {seconds:.1f} s | {asked} | {megabytes} |"


def _held_bytes(node: Subject) -> int:
    cache = Path(node.environment["CAIRN_DATA_DIR"]) / "cache"
    return sum(
        file.stat().st_size for kind in ("packs", "fetch") for file in (cache / kind).rglob("*") if file.is_file()
    )


def main() -> None:
    """Measure and write the results."""
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as name:
        folder = Path(name)
        small = small_repository(folder / "small")
        sources = [repository_of_bytes(folder / f"r{number}", 2_000_000) for number in range(REPOSITORIES)]
        with site(folder / "site") as made:
            for source in (small, *sources):
                push(made, source)
            rows = list(throughput(made, small))
            statements = statements_of_a_warm_fetch(made, small)
            routes = list(routing(made, [source.name for source in sources]))
    RESULTS.write_text(
        "# Several nodes\n\n"
        f"`python -m bench.nodes`, one run: PostgreSQL with fsync, Redis, versitygw, web programs and load on "
        f"{os.cpu_count()} cores.\n\n"
        "| web programs | advertisement | | cached fetch | |\n|---|---|---|---|---|\n" + "\n".join(rows) + "\n\n"
        f"{statements}\n\n"
        f"Routing: {REPOSITORIES} repositories of 2 MB, cloned {CLONES_EACH} times each through nginx in front of two "
        "nodes that begin with empty caches.\n\n"
        "| routed | all clones | requests / bytes at the bucket, each node | each node's cache |\n|---|---|---|---|\n"
        + "\n".join(routes)
        + "\n"
    )
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
