"""Measure Cairn on one large repository beside ``git http-backend`` and write ``bench/LARGE.md``.

``python -m bench.large_run [small]``: what a fetch asks of both servers is the same raw request, so that the client's
own work (resolving a pack of 1 GB) hides nothing. Every request is new to the answer cache unless its line says so.
"""

import concurrent.futures
import datetime
import hashlib
import os
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.large_repository import LARGE, SMALL, Shape, branch, large_repository, tip
from bench.load import basic, git, requests_per_second
from bench.peers import HttpPeer, http_peer
from bench.subject import OWNER, Subject, cairn

RESULTS = Path(__file__).parent / "LARGE.md"
V2 = {"Git-Protocol": "version=2"}
_SAMPLED_SECONDS = 6.0
_HERD = 50
_REFS_A_PUSH = 10_000


@dataclass(frozen=True)
class Taken:
    """One request: seconds to its first and its last byte, and bytes."""

    first_seconds: float
    seconds: float
    size: int


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    name: str
    ours: str
    peer: str
    ratio: str
    storage: str = ""
    wanted: str = ""


def packet(text: str) -> bytes:
    """Return one pkt-line."""
    return f"{len(text) + 4:04x}{text}".encode()


def fetch_body(*arguments: str) -> bytes:
    """Return a v2 fetch of these arguments."""
    head = packet("command=fetch\n") + packet("object-format=sha1\n") + b"0001"
    words = ("thin-pack", "no-progress", "ofs-delta", *arguments)
    return head + b"".join(packet(f"{word}\n") for word in words) + b"0000"


def ls_refs_body(*prefixes: str) -> bytes:
    """Return a v2 ls-refs."""
    words = ("peel", "symrefs", *(f"ref-prefix {prefix}" for prefix in prefixes))
    return (
        packet("command=ls-refs\n")
        + packet("object-format=sha1\n")
        + b"0001"
        + b"".join(packet(f"{word}\n") for word in words)
        + b"0000"
    )


class Door:
    """Where one of the two servers answers for the repository."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.url = url
        self.headers = {"Content-Type": "application/x-git-upload-pack-request", **V2, **headers}

    def post(self, body: bytes) -> Taken:
        """Fetch and throw away; RuntimeError for an answer that is none."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(body)
            file.flush()
            words = [word for name, value in self.headers.items() for word in ("-H", f"{name}: {value}")]
            output = subprocess.check_output(
                [
                    *("curl", "-sS", "-o", "/dev/null", "--data-binary", f"@{file.name}", *words),
                    *("-w", "%{http_code} %{time_starttransfer} %{time_total} %{size_download}"),
                    f"{self.url}/git-upload-pack",
                ],
                text=True,
            )
        code, first, total, size = output.split()
        if code != "200":
            raise RuntimeError(f"{self.url}: {code}")
        return Taken(float(first), float(total), int(size))


class Memory:
    """Watches the resident memory of a process tree: Python programs and git children apart."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.programs = self.children = 0

    @contextmanager
    def watch(self) -> Iterator["Memory"]:
        """Sample until the block ends; the attributes are the peaks in bytes: of the largest program, of all git."""
        stop = threading.Event()

        def sample() -> None:
            while not stop.is_set():
                programs, children = self.read()
                self.programs, self.children = max(self.programs, programs), max(self.children, children)
                stop.wait(0.05)

        self.programs = self.children = 0
        thread = threading.Thread(target=sample)
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join()

    def read(self) -> tuple[int, int]:
        """Return (private and shared resident bytes of the largest program, private bytes of all git children)."""
        programs, children, waiting = 0, 0, [self._pid]
        while waiting:
            pid = waiting.pop()
            try:
                name = Path(f"/proc/{pid}/comm").read_text().strip()
                status = Path(f"/proc/{pid}/status").read_text()
                waiting += [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
            except OSError:
                continue
            fields = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith("Rss")}
            anonymous = int(fields.get("RssAnon", 0)) << 10
            if name == "git":
                children += anonymous
            else:
                programs = max(programs, anonymous + (int(fields.get("RssFile", 0)) << 10))
        return programs, children


class Storage:
    """Counts requests and bytes at the object store, by the server's own metrics."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    @contextmanager
    def count(self) -> Iterator[list[str]]:
        """Yield a list that holds one text when the block has ended."""
        text: list[str] = []
        before = self._read()
        yield text
        requests, received = (after - old for after, old in zip(self._read(), before, strict=True))
        text.append(f"{requests:,.0f} / {received / 1e6:,.2f} MB")

    def _read(self) -> tuple[float, float]:
        time.sleep(_SAMPLED_SECONDS)  # the programs sample what they count every five seconds
        with urllib.request.urlopen(f"{self._origin}/metrics", timeout=10) as answer:
            page = answer.read().decode()
        requests = received = 0.0
        for line in page.splitlines():
            if line.startswith("cairn_storage_requests_total"):
                requests += float(line.rsplit(" ", 1)[1])
            elif line.startswith("cairn_storage_bytes_total"):
                received += float(line.rsplit(" ", 1)[1])
        return requests, received


def compare(name: str, ours: float, peer: float, *, storage: str = "", wanted: str = "") -> Line:
    """Compare seconds."""
    print(f"{name}: {ours:.3f} {peer:.3f} {ours / peer:.2f} {storage}", flush=True)
    return Line(name, _seconds(ours), _seconds(peer), f"{ours / peer:.2f}×", storage, wanted)


def alone(name: str, value: str, storage: str = "", wanted: str = "") -> Line:
    """Say what has no peer."""
    print(f"{name}: {value} {storage}", flush=True)
    return Line(name, value, "", "", storage, wanted)


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.1f} ms"


def _median(run: Callable[[], float], count: int = 5) -> float:
    return statistics.median(run() for _ in range(count))


class Run:
    """The measurements of one shape, in their order."""

    def __init__(self, shape: Shape, folder: Path, subject: Subject, http: HttpPeer) -> None:
        self.shape = shape
        self.folder = folder
        self.subject = subject
        self.source = large_repository(shape)
        self.ours = Door(f"{subject.origin}/{OWNER}/{shape.name}.git", basic(OWNER, subject.token))
        self.peer = Door(http.url(shape.name), {})
        self.storage = Storage(subject.origin)
        self.memory = Memory(subject.process.pid)
        self.tip = tip(self.source)
        self.lines: list[Line] = []
        self.peer_folder = http.root / f"{shape.name}.git"

    def prepare(self) -> None:
        """Give both servers the repository; the peer gets it as a well-kept server has it."""
        subprocess.run(["cp", "-al", self.source, self.peer_folder], check=True)
        for name in ("http.receivepack", "uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
            subprocess.run(["git", "-C", self.peer_folder, "config", name, "true"], check=True)
        self.subject.create_repository(self.shape.name)
        url = self.subject.url(self.shape.name)
        started = time.perf_counter()
        with self.memory.watch() as seen:
            git("push", "-q", url, f"{self.tip}:refs/heads/main", cwd=self.source)
        taken = time.perf_counter() - started
        empty = self.folder / "empty.git"
        git("init", "-q", "--bare", empty)
        started = time.perf_counter()
        git("push", "-q", empty, f"{self.tip}:refs/heads/main", cwd=self.source)
        self.lines.append(
            compare(
                "first push of the history (peer: to a folder)", taken, time.perf_counter() - started, wanted="≤ 1.3×"
            )
        )
        shutil.rmtree(empty)
        self.note_memory("first push", seen)
        started = time.perf_counter()
        for start in range(0, self.shape.refs, _REFS_A_PUSH):
            self.make_branches(range(start, min(start + _REFS_A_PUSH, self.shape.refs)))
        pushes = self.shape.refs / _REFS_A_PUSH
        self.lines.append(
            alone("a push that makes 10,000 branches", _seconds((time.perf_counter() - started) / pushes))
        )

    def make_branches(self, numbers: range) -> None:
        """Push branches as one raw request: stock git compares every ref with every other before it sends them."""
        listed = subprocess.check_output(
            ["git", "-C", self.source, "for-each-ref", "--format=%(refname) %(objectname)"]
        )
        oids = dict(line.split() for line in listed.decode().splitlines())
        commands = [f"{'0' * 40} {oids[branch(number)]} {branch(number)}" for number in numbers]
        first = packet(f"{commands[0]}\0report-status object-format=sha1")
        empty = b"PACK\0\0\0\2\0\0\0\0"
        body = first + b"".join(map(packet, commands[1:])) + b"0000" + empty + hashlib.sha1(empty).digest()
        request = urllib.request.Request(
            f"{self.ours.url}/git-receive-pack",
            data=body,
            headers={**self.ours.headers, "Content-Type": "application/x-git-receive-pack-request"},
        )
        with urllib.request.urlopen(request, timeout=600) as answer:
            report = answer.read()
        if report.count(b"ok refs/") != len(commands):
            raise RuntimeError(report[:500].decode())

    def wait_for_indexes(self) -> None:
        """Return when the worker has made both indexes."""
        database = Path(self.subject.environment["CAIRN_DATA_DIR"]) / "cairn.db"
        started = time.perf_counter()
        while time.perf_counter() - started < 600:
            with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
                if len(connection.execute("SELECT id FROM git_index").fetchall()) >= 2:
                    return
            time.sleep(1)
        raise RuntimeError("no indexes after ten minutes; see the log")

    def note_memory(self, name: str, seen: Memory) -> None:
        programs, children = seen.programs - self.idle, seen.children
        self.lines.append(
            alone(
                f"memory of {name}", f"{programs / 2**20:+.0f} MiB, git {children / 2**20:.0f} MiB", wanted="≤ +64 MiB"
            )
        )

    idle = 0

    def fetches(self) -> None:
        """Clone, shallow, partial, incremental; each new to the cache."""
        self.idle = self.memory.read()[0]
        parent = tip(self.source, "main~1")
        self.ours.post(fetch_body("deepen 1", f"want {parent}", "done"))  # the view is warm from here on
        self.measure("uncached clone", fetch_body(f"want {self.tip}", "done"), wanted="≤ 1.11×", watched=True)
        self.measure("cached clone", fetch_body(f"want {self.tip}", "done"))
        self.measure("shallow clone", fetch_body("deepen 1", f"want {self.tip}", "done"), watched=True)
        self.measure("partial clone (blob:none)", fetch_body("filter blob:none", f"want {self.tip}", "done"))
        changed = subprocess.check_output(
            ["git", "-C", self.source, "ls-tree", "-r", self.tip, "d05/"], text=True
        ).split("\n")
        blobs = [line.split()[2] for line in changed if line]
        self.measure("first lazy fetch of one file", fetch_body(f"want {blobs[0]}", "done"), wanted="≤ 1.3×")
        self.measure(
            "lazy fetch of a folder of files",
            fetch_body(*(f"want {blob}" for blob in blobs[1:]), "done"),
            wanted="≤ 1.3×",
        )
        old = tip(self.source, f"main~{self.shape.commits // 2}")
        listed = subprocess.check_output(
            ["git", "-C", self.source, "diff-tree", "-r", "--no-commit-id", old], text=True
        ).split()
        self.measure("lazy fetch of an old file", fetch_body(f"want {listed[3]}", "done"), wanted="≤ 1.3×")
        self.measure("incremental fetch of one commit", fetch_body(f"want {self.tip}", f"have {parent}", "done"))
        grand = tip(self.source, f"main~{self.shape.commits // 200}")
        self.measure("incremental fetch of many commits", fetch_body(f"want {self.tip}", f"have {grand}", "done"))

    def measure(self, name: str, body: bytes, *, wanted: str = "", watched: bool = False) -> None:
        """Ask both the same once."""
        with self.storage.count() as counted, self.memory.watch() as seen:
            ours = self.ours.post(body)
        peer = self.peer.post(body)
        text = f"{name}, {ours.size / 1e6:,.2f} MB"
        self.lines.append(compare(text, ours.seconds, peer.seconds, storage=counted[0], wanted=wanted))
        if name == "uncached clone":
            self.lines.append(compare("… its first byte", ours.first_seconds, peer.first_seconds))
        if watched:
            self.note_memory(name, seen)

    def listing(self) -> None:
        """Refs by prefix, and all of them."""
        for name, body in (
            ("ls-refs by prefix (1,000 refs)", ls_refs_body("refs/heads/topic/001/")),
            ("ls-refs of one branch", ls_refs_body("refs/heads/main")),
            (f"ls-refs of all {self.shape.refs:,} refs", ls_refs_body()),
        ):
            ours = requests_per_second(f"{self.ours.url}/git-upload-pack", headers=self.ours.headers, body=body)
            peer = requests_per_second(f"{self.peer.url}/git-upload-pack", headers=self.peer.headers, body=body)
            print(name, ours, peer, ours / peer, flush=True)
            self.lines.append(Line(name, f"{ours:,.1f}/s", f"{peer:,.1f}/s", f"{ours / peer:.1f}×", "", "≥ 5×"))

    def herd(self) -> None:
        """Fifty times the same shallow fetch at once, new to both."""
        body = fetch_body("deepen 2", f"want {self.tip}", "done")

        def all_at_once(door: Door) -> float:
            started = time.perf_counter()
            with concurrent.futures.ThreadPoolExecutor(_HERD) as pool:
                list(pool.map(lambda _: door.post(body), range(_HERD)))
            return time.perf_counter() - started

        ours = all_at_once(self.ours)
        try:
            peer = all_at_once(self.peer)
        except RuntimeError as error:  # nginx gave up on its backend
            self.lines.append(alone("herd of 50 identical shallow fetches", f"{_seconds(ours)} (peer: {error})"))
            return
        ratio = f"{peer / ours:.1f}×"
        print("herd", ours, peer, ratio, flush=True)
        self.lines.append(
            Line("herd of 50 identical shallow fetches", _seconds(ours), _seconds(peer), ratio, "", "≥ 20×")
        )

    def history(self) -> None:
        """The first page of the history of a path, as a page and as git computes it on the peer's repository."""
        for path in ("d05/m05/file05.bin", "wide/entry-00500.txt", "d07"):
            url = f"{self.subject.origin}/api/v3/repos/{OWNER}/{self.shape.name}/commits?path={path}&per_page=30"
            request = urllib.request.Request(url, headers={"Authorization": f"Bearer {self.subject.token}"})

            def ours(request: urllib.request.Request = request) -> float:
                started = time.perf_counter()
                with urllib.request.urlopen(request, timeout=60) as answer:
                    answer.read()
                return time.perf_counter() - started

            def peer(path: str = path) -> float:
                started = time.perf_counter()
                git("log", "--max-count=30", "--format=%H%B", "main", "--", path, cwd=self.peer_folder)
                return time.perf_counter() - started

            self.lines.append(compare(f"first page of the history of {path}", _median(ours), _median(peer)))

    def push(self) -> None:
        """One commit."""
        work = self.folder / "work.git"
        git("clone", "-q", "--shared", "--bare", self.source, work)

        def times(url: str) -> float:
            taken: list[float] = []
            parent = self.tip
            for number in range(5):
                tree = tip(work, f"{self.tip}^{{tree}}")
                made = subprocess.check_output(
                    ["git", "-C", work, "commit-tree", "-p", parent, "-m", f"push {number} {url}", tree],
                    text=True,
                    env={
                        **os.environ,
                        **{
                            f"GIT_{who}_{what}": "a@example.com"
                            for who in ("AUTHOR", "COMMITTER")
                            for what in ("NAME", "EMAIL")
                        },
                    },
                ).strip()
                started = time.perf_counter()
                git("push", "-q", url, f"{made}:refs/heads/main", cwd=work)
                taken.append(time.perf_counter() - started)
                parent = made
            return statistics.median(taken)

        with self.storage.count() as counted:
            ours = times(self.subject.url(self.shape.name))
        peer = times(self.peer.url)
        self.lines.append(compare("push of one commit", ours, peer, storage=f"5 pushes: {counted[0]}"))

    def cold(self) -> None:
        """An empty cache: once where the answer lies in the object store, once where it does not."""
        cache = Path(self.subject.environment["CAIRN_DATA_DIR"]) / "cache"
        for name, body in (
            ("cold node, answer in the object store", fetch_body(f"want {self.tip}", "done")),
            ("cold node, shallow clone: view hydrated", fetch_body("deepen 3", f"want {self.tip}", "done")),
        ):
            for folder in ("views", "packs", "fetch", "locks"):
                shutil.rmtree(cache / folder, ignore_errors=True)
            with self.storage.count() as counted:
                ours = self.ours.post(body)
            self.lines.append(
                alone(name, f"first byte {_seconds(ours.first_seconds)}, whole {_seconds(ours.seconds)}", counted[0])
            )


def write(lines: list[Line], shape: Shape) -> None:
    """Write the table."""
    text = [
        "# One large repository",
        "",
        (
            f"`python -m bench.large_run` on {datetime.datetime.now(datetime.UTC):%Y-%m-%d}: {shape.commits:,} "
            f"commits, {shape.refs:,} refs; 2 cores shared by client, Cairn and peer. The peer is nginx + fcgiwrap + "
            "`git http-backend` without authentication on a repository with bitmaps and commit-graph. "
            "Both get the same raw request. Storage: requests to the object store and bytes moved."
        ),
        "",
        "| figure | Cairn | peer | ratio | storage | wanted |",
        "|---|---|---|---|---|---|",
        *(f"| {x.name} | {x.ours} | {x.peer} | {x.ratio} | {x.storage} | {x.wanted} |" for x in lines),
    ]
    RESULTS.write_text("\n".join(text) + "\n")


def main() -> None:
    """Measure and write."""
    shape = SMALL if "small" in sys.argv[1:] else LARGE
    with tempfile.TemporaryDirectory(dir=large_repository(shape).parent) as name:
        folder = Path(name)
        with http_peer(folder / "peer") as http, cairn(folder / "cairn") as subject:
            run = Run(shape, folder, subject, http)
            run.idle = run.memory.read()[0]
            for step in (
                run.prepare,
                run.wait_for_indexes,
                run.fetches,
                run.listing,
                run.herd,
                run.history,
                run.cold,
                run.push,
            ):
                try:
                    step()
                finally:
                    write(run.lines, shape)


if __name__ == "__main__":
    main()
