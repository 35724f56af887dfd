"""Measure Cairn on one large repository beside ``git http-backend`` and write ``bench/LARGE.md``.

``python -m bench.large_run [small]``: what a fetch asks of both servers is the same raw request, so that the client's
own work (resolving a pack of 1 GB) hides nothing. Every request is new to the answer cache unless its line says so.
"""

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
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.doors import Door, fetch_body, ls_refs_body, packet
from bench.fixtures import monorepo, source_tree
from bench.large_repository import LARGE, SMALL, Shape, branch, large_repository, tip
from bench.load import basic, git, requests_per_second
from bench.peers import HttpPeer, bare_repository, http_peer
from bench.subject import OWNER, Subject, cairn

RESULTS = Path(__file__).parent / "LARGE.md"
_SAMPLED_SECONDS = 6.0
_HERD = 50
_CLONERS = 32
_REFS_A_PUSH = 10_000


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    name: str
    ours: str
    peer: str
    ratio: str
    storage: str = ""
    wanted: str = ""


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


def _mebibytes(size: float) -> str:
    return f"{size / 2**20:.0f} MiB"


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
        self.http = http
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
        empty = bare_repository(self.http.root, "pushed")
        started = time.perf_counter()
        git("push", "-q", self.http.url("pushed"), f"{self.tip}:refs/heads/main", cwd=self.source)
        self.lines.append(compare("first push of the history", taken, time.perf_counter() - started, wanted="≤ 1.3×"))
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
        """Fifty times the same shallow fetch at once, new to both; the median of three."""
        bodies = [
            fetch_body(f"deepen {depth}", f"want {self.tip}", "done")
            for depth in ((2, 3, 4) if self.shape is SMALL else (2,))
        ]
        name = f"herd of {_HERD} identical shallow fetches"
        self.crowd(name, [[body] * _HERD for body in bodies], wanted="≥ 20×")

    def herds_of_text(self) -> None:
        """The same on a tree of real source and on one of many small files, each with the least time to move it."""
        self._herd_of("source text", source_tree(self.folder / "text"))
        self._herd_of("100,000 small files", monorepo(self.folder / "monorepo"))

    def _herd_of(self, what: str, source: Path) -> None:
        name = source.name
        bare_repository(self.http.root, name, source)
        self.subject.create_repository(name)
        git("push", "-q", self.subject.url(name), "main", cwd=source)
        main = tip(source)
        bodies = [fetch_body(f"deepen {depth}", f"want {main}", "done") for depth in (1, 2, 3)]
        self.crowd(
            f"herd of {_HERD} identical shallow fetches of {what}",
            [[body] * _HERD for body in bodies],
            wanted="≥ 20×",
            ours=Door(f"{self.subject.origin}/{OWNER}/{name}.git", basic(OWNER, self.subject.token)),
            peer=Door(self.http.url(name), {}),
        )
        size = Door(self.http.url(name), {}).post(bodies[-1]).size
        (self.http.root / "herd.bin").write_bytes(os.urandom(size))
        rate = requests_per_second(f"http://127.0.0.1:{self.http.port}/static/herd.bin")
        self.lines.append(
            alone(
                f"… {_HERD} times its {size / 1e6:.1f} MB as a static file by nginx (ceiling)", _seconds(_HERD / rate)
            )
        )

    def clones_at_once(self) -> None:
        """Thirty-two whole clones at once: of one repository, as everybody clones it; memory of both trees."""
        if self.shape is not SMALL:
            return  # 32 GB through the loopback would say nothing more
        bodies = [fetch_body(f"want {tip(self.source, f'main~{back}')}", "done") for back in (5, 6, 7)]
        with http_peer(self.folder / "crowd", at_once=_CLONERS) as http, ExitStack() as watches:
            subprocess.run(["cp", "-al", self.peer_folder, http.root / self.peer_folder.name], check=True)
            peer = Door(http.url(self.shape.name), {})
            peer_memory = [Memory(process.pid) for process in http.processes]
            ours = watches.enter_context(self.memory.watch())
            peers = [watches.enter_context(memory.watch()) for memory in peer_memory]
            self.crowd(
                f"{_CLONERS} concurrent clones of 22 MB",
                [[body] * _CLONERS for body in bodies],
                wanted="≥ 3×",
                peer=peer,
            )
        grown = ours.programs - self.idle + ours.children
        theirs = sum(memory.children for memory in peers)
        ratio = f"{grown / theirs:.2f}×" if theirs else ""
        name = f"memory of {_CLONERS} concurrent clones, above idle"
        print(name, grown, theirs, ratio, flush=True)
        self.lines.append(Line(name, _mebibytes(grown), _mebibytes(theirs), ratio, "", "≤ 1×"))

    def crowd(
        self,
        name: str,
        rounds: Sequence[Sequence[bytes]],
        *,
        wanted: str,
        ours: Door | None = None,
        peer: Door | None = None,
    ) -> None:
        """Send each round to one server, then to the other; compare the throughput by the medians."""
        our_seconds, peer_seconds = [], []
        try:
            for bodies in rounds:
                our_seconds.append((ours or self.ours).post_at_once(bodies))
                peer_seconds.append((peer or self.peer).post_at_once(bodies))
        except RuntimeError as error:  # nginx gave up on its backend, or we did
            self.lines.append(alone(name, f"{[_seconds(taken) for taken in our_seconds]}, then {error}", wanted=wanted))
            return
        mine, theirs = statistics.median(our_seconds), statistics.median(peer_seconds)
        print(name, our_seconds, peer_seconds, flush=True)
        self.lines.append(Line(name, _seconds(mine), _seconds(theirs), f"{theirs / mine:.1f}×", "", wanted))

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


def table(lines: list[Line]) -> str:
    """Return the lines as a Markdown table."""
    head = ["| figure | Cairn | peer | ratio | storage | wanted |", "|---|---|---|---|---|---|"]
    rows = [f"| {x.name} | {x.ours} | {x.peer} | {x.ratio} | {x.storage} | {x.wanted} |" for x in lines]
    return "\n".join([*head, *rows]) + "\n"


def write(lines: list[Line], shape: Shape) -> None:
    """Write the results of the run by itself."""
    about = (
        f"`python -m bench.large_run` on {datetime.datetime.now(datetime.UTC):%Y-%m-%d}: {shape.commits:,} "
        f"commits, {shape.refs:,} refs; 2 cores shared by client, Cairn and peer. The peer is nginx + fcgiwrap + "
        "`git http-backend` without authentication on a repository with bitmaps and commit-graph. "
        "Both get the same raw request. Storage: requests to the object store and bytes moved."
    )
    RESULTS.write_text(f"# One large repository\n\n{about}\n\n{table(lines)}")


def measure_all(shape: Shape, keep: Callable[[list[Line]], None]) -> None:
    """Measure everything on one shape; ``keep`` gets all lines so far after each step, also when one fails."""
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
                run.herds_of_text,
                run.clones_at_once,
                run.history,
                run.cold,
                run.push,
            ):
                try:
                    step()
                finally:
                    keep(run.lines)


def main() -> None:
    """Measure and write."""
    shape = SMALL if "small" in sys.argv[1:] else LARGE
    measure_all(shape, lambda lines: write(lines, shape))


if __name__ == "__main__":
    main()
