"""Run every measurement and write ``bench/RESULTS.md``: Cairn and its peer in turn, in one run, on one machine.

``python -m bench [NAME ...]`` runs those whose name contains one of the words; all of them without any.
"""

import datetime
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.services.ports import accepts_connections, free_port
from tests.services.postgresql import postgresql_server
from tests.services.processes import ServerProcess
from tests.services.s3 import versitygw_server

from bench.fixtures import repository_of_bytes, small_repository
from bench.large_repository import SMALL
from bench.large_run import Line, measure_all, table
from bench.load import basic, git, median_seconds, requests_per_second
from bench.peers import HttpPeer, SshPeer, bare_repository, http_peer, ssh_peer
from bench.subject import OWNER, Subject, cairn, proportional_set_size

RESULTS = Path(__file__).parent / "RESULTS.md"
VERDICTS = {True: "met", False: "missed", None: ""}
V2 = {"Git-Protocol": "version=2"}


@dataclass(frozen=True)
class Figure:
    """One measured line: what, ours, the peer's, what was wanted and whether it is met."""

    name: str
    ours: str
    peer: str
    ratio: str
    wanted: str
    is_met: bool | None


@dataclass(frozen=True)
class Stand:
    """Everything a measurement may use."""

    folder: Path
    subject: Subject
    http: HttpPeer
    ssh: SshPeer
    key: Path


def rate(name: str, ours: float, peer: float, wanted: float) -> Figure:
    """Compare requests per second: more is better."""
    ratio = ours / peer
    return Figure(name, f"{ours:,.0f}/s", f"{peer:,.0f}/s", f"{ratio:.1f}×", f"≥ {wanted:g}×", ratio >= wanted)


def duration(name: str, ours: float, peer: float, wanted: float) -> Figure:
    """Compare times: less is better."""
    ratio = ours / peer
    return Figure(
        name, f"{ours * 1000:.1f} ms", f"{peer * 1000:.1f} ms", f"{ratio:.2f}×", f"≤ {wanted:g}×", ratio <= wanted
    )


def fetch_body(repository: Path) -> bytes:
    """Return the v2 request a fresh clone of ``main`` sends."""
    tip = subprocess.check_output(["git", "-C", repository, "rev-parse", "main"], text=True).strip()

    def packet(text: str) -> bytes:
        return f"{len(text) + 4:04x}{text}".encode()

    head = packet("command=fetch\n") + packet("agent=git/2.39.5\n") + packet("object-format=sha1\n") + b"0001"
    options = b"".join(packet(f"{word}\n") for word in ("thin-pack", "no-progress", "include-tag", "ofs-delta"))
    return head + options + packet(f"want {tip}\n") + packet("done\n") + b"0000"


def advertisement(stand: Stand) -> Figure:
    """GET info/refs of protocol v2; ours private, with a token checked each time."""
    headers = {**V2, **basic(OWNER, stand.subject.token)}
    query = "info/refs?service=git-upload-pack"
    ours = requests_per_second(f"{stand.subject.origin}/{OWNER}/small.git/{query}", headers=headers)
    peer = requests_per_second(f"{stand.http.url('small')}/{query}", headers=V2)
    return rate("capability advertisement", ours, peer, 8)


def _fetch(stand: Stand, name: str, source: Path, wanted: float) -> Figure:
    body = fetch_body(source)
    kind = {"Content-Type": "application/x-git-upload-pack-request", **V2}
    ours = requests_per_second(
        f"{stand.subject.origin}/{OWNER}/{source.name}.git/git-upload-pack",
        headers={**kind, **basic(OWNER, stand.subject.token)},
        body=body,
    )
    peer = requests_per_second(f"{stand.http.url(source.name)}/git-upload-pack", headers=kind, body=body)
    return rate(name, ours, peer, wanted)


def cached_fetch(stand: Stand) -> Figure:
    """POST git-upload-pack for all of a small repository."""
    return _fetch(stand, "cached fetch of a small repository", stand.folder / "small", 6)


def cached_clone_10_mb(stand: Stand) -> Figure:
    """POST git-upload-pack for all of a repository of 10 MB."""
    return _fetch(stand, "cached clone of a 10 MB pack", stand.folder / "ten", 8)


def whole_clone(stand: Stand) -> Figure:
    """Stock ``git clone`` of a small repository over HTTP, from start to end."""
    target = stand.folder / "clones"

    def clone(url: str, tag: str) -> Callable[[int], None]:
        return lambda index: git("clone", "-q", url, target / f"{tag}{index}")

    ours = median_seconds(clone(stand.subject.url("small"), "ours"), count=30)
    peer = median_seconds(clone(stand.http.url("small"), "peer"), count=30)
    return duration("whole git clone of a small repository", ours, peer, 0.6)


def ssh_clone(stand: Stand) -> Figure:
    """Stock ``git clone`` of a small repository over SSH."""
    target = stand.folder / "ssh-clones"

    def clone(url: str, tag: str) -> Callable[[int], None]:
        return lambda index: git("clone", "-q", url, target / f"{tag}{index}", ssh_command=stand.ssh.command)

    ours = median_seconds(clone(stand.subject.ssh_url("small"), "ours"), count=20)
    peer = median_seconds(clone(stand.ssh.url("small"), "peer"), count=20)
    return duration("SSH clone of a small repository", ours, peer, 0.5)


def _push_seconds(work: Path, url: str, source: Path) -> float:
    git("clone", "-q", source, work)
    git("remote", "add", "there", url, cwd=work)
    git("push", "-q", "there", "main", cwd=work)

    def push(index: int) -> None:
        git("push", "-q", "there", "main", cwd=work)

    taken: list[float] = []
    for index in range(23):
        (work / "src" / "file1.txt").write_text(f"change {index}\n")
        git("commit", "-qam", f"change {index}", cwd=work)
        taken.append(median_seconds(push, count=1, warm_up=0))
    return sorted(taken[3:])[10]


def small_push(stand: Stand) -> Figure:
    """Stock ``git push`` of one commit over HTTP, folder and SQLite."""
    stand.subject.create_repository("pushed")
    bare_repository(stand.http.root, "pushed")
    ours = _push_seconds(stand.folder / "push-ours", stand.subject.url("pushed"), stand.folder / "small")
    peer = _push_seconds(stand.folder / "push-peer", stand.http.url("pushed"), stand.folder / "small")
    return duration("small push, folder + SQLite", ours, peer, 1.5)


def small_push_in_company(stand: Stand) -> Figure:
    """The same on PostgreSQL (fsync on) and a real S3 server; the peer is durable on neither."""
    bare_repository(stand.http.root, "pushed-company")
    with postgresql_server(fsync=True) as postgresql, versitygw_server() as s3:
        settings = {
            "CAIRN_DATABASE_URL": postgresql.url(postgresql.create_database()),
            "CAIRN_STORAGE_URL": s3.storage_url(s3.create_bucket()),
            "CAIRN_SECRET_KEY": "a key for the bench, of no other use",
        }
        with cairn(stand.folder / "company", settings=settings) as company:
            company.create_repository("pushed")
            ours = _push_seconds(stand.folder / "push-company", company.url("pushed"), stand.folder / "small")
    peer = _push_seconds(stand.folder / "push-peer2", stand.http.url("pushed-company"), stand.folder / "small")
    return duration("small push, S3 + PostgreSQL", ours, peer, 3)


@contextmanager
def without_database(stand: Stand) -> Iterator[str]:
    """Run git's door over the same data with the database taken out; yield its origin."""
    port = free_port()
    command = [sys.executable, "-m", "bench.ceiling", str(port), OWNER, stand.subject.token, "small", "ten"]
    process = ServerProcess(
        command,
        log=stand.folder / "ceiling.log",
        environ={**stand.subject.environment, "PYTHONPATH": str(RESULTS.parent.parent)},
        is_ready=lambda: accepts_connections(port),
    )
    try:
        process.start()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.stop()


def ceiling(stand: Stand) -> list[Figure]:
    """What is left when the database is taken out, and what this machine can move at all."""
    kind = {"Content-Type": "application/x-git-upload-pack-request", **V2}
    with without_database(stand) as origin:
        advertised = requests_per_second(f"{origin}/{OWNER}/small.git/info/refs?service=git-upload-pack", headers=V2)
        fetched = requests_per_second(
            f"{origin}/{OWNER}/small.git/git-upload-pack", headers=kind, body=fetch_body(stand.folder / "small")
        )
    (stand.http.root / "ten.bin").write_bytes(os.urandom(10_000_000))
    static = requests_per_second(f"http://127.0.0.1:{stand.http.port}/static/ten.bin")
    return [
        Figure("capability advertisement without database (ceiling)", f"{advertised:,.0f}/s", "", "", "", None),
        Figure("cached fetch without database (ceiling)", f"{fetched:,.0f}/s", "", "", "", None),
        Figure("10 MB as a static file by nginx with sendfile (ceiling)", "", f"{static:,.0f}/s", "", "", None),
    ]


def idle_memory(stand: Stand) -> Figure:
    """Proportional set size of everything ``cairnd up`` runs, after the requests above."""
    used = proportional_set_size(stand.subject.process.pid) / (1 << 20)
    return Figure("memory of cairnd up (sum of PSS)", f"{used:.0f} MiB", "", "", "≤ 300 MiB", used <= 300)


MEASUREMENTS: tuple[Callable[[Stand], Figure | list[Figure]], ...] = (
    idle_memory,
    advertisement,
    cached_fetch,
    cached_clone_10_mb,
    whole_clone,
    ssh_clone,
    small_push,
    small_push_in_company,
    ceiling,
)


def main(words: list[str]) -> None:
    """Measure and write the results."""
    chosen = [run for run in MEASUREMENTS if not words or any(word in run.__name__ for word in words)]
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as name:
        folder = Path(name)
        key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        small_repository(folder / "small")
        repository_of_bytes(folder / "ten", 10_000_000)
        with (
            cairn(folder / "cairn", key=key) as subject,
            http_peer(folder / "http") as http,
            ssh_peer(folder / "ssh", key=key) as ssh,
        ):
            for repository in ("small", "ten"):
                bare_repository(http.root, repository, folder / repository)
                bare_repository(ssh.root, repository, folder / repository)
                subject.create_repository(repository)
                git("push", "-q", subject.url(repository), "main", cwd=folder / repository)
            stand = Stand(folder, subject, http, ssh, key)
            figures: list[Figure] = []
            for run in chosen:
                found = run(stand)
                for figure in found if isinstance(found, list) else [found]:
                    figures.append(figure)
                    print(f"{figure.name}: {figure.ours or '-'} against {figure.peer or '-'} {figure.ratio}")
    if not words:
        results = report(figures)
        RESULTS.write_text(results)
        title = "## A repository of 4,000 commits and 10,000 refs, 22 MB"

        def keep(lines: list[Line]) -> None:
            RESULTS.write_text(f"{results}\n{title}\n\n{table(lines)}")

        measure_all(SMALL, keep)


def report(figures: list[Figure]) -> str:
    """Return the results as Markdown."""
    git_version = subprocess.check_output(["git", "--version"], text=True).strip()
    about = (
        f"`make bench` on {datetime.datetime.now(datetime.UTC):%Y-%m-%d}: {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {git_version}; clients, Cairn and peers share the machine. "
        "Cairn is `cairnd up` with one web worker, SQLite and a folder, private repositories, a token checked on every "
        "request. The peer is nginx + fcgiwrap + `git http-backend` (sshd + git for SSH) without any authentication, "
        "its repositories packed with bitmaps. Read the ratios; the absolute numbers mean little elsewhere."
    )
    lines = [
        "# Results",
        "",
        about,
        "",
        "| figure | Cairn | peer | ratio | wanted | |",
        "|---|---|---|---|---|---|",
    ]
    lines += [f"| {f.name} | {f.ours} | {f.peer} | {f.ratio} | {f.wanted} | {VERDICTS[f.is_met]} |" for f in figures]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
