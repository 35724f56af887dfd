"""Measure the pages of code on a repository of 50,000 commits and 10,000 files; write ``bench/CODE_PAGES.md``.

``python -m bench.code_pages [COMMITS]``: the time of one request after another, seen by a client on the same machine. A
token signs the reader in, so that each page is made anew; only the lines about anonymous readers repeat themselves.
cgit, behind nginx and fcgiwrap and without its cache, answers the same in the same run where it has such a page.
"""

import datetime
import http.client
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from bench.code_repository import COMMITS, code_repository
from bench.large_repository import tip
from bench.large_run import Memory
from bench.large_trees import FILES, change_one, large_tree, path_of
from bench.load import git, requests_per_second
from bench.peers import cgit_peer
from bench.subject import OWNER, Subject, cairn

RESULTS = Path(__file__).parent / "CODE_PAGES.md"
NAME = "code"
_WARM_UP, _COUNT = 3, 40
_COLD_SAMPLES = 5
_SECONDS_MAX = 10.0
"""After so long five answers are enough."""

_INDEX_SECONDS = 600


@dataclass(frozen=True)
class Line:
    """One line of the table."""

    name: str
    ours: str
    peer: str = ""
    wanted: str = ""
    is_met: bool | None = None


@dataclass(frozen=True)
class Answer:
    """How long one answer took: to its first byte, and whole."""

    status: int
    first_seconds: float
    seconds: float
    size: int
    body: bytes


class Reader:
    """Asks one server for one page after another, over one connection where the server keeps it."""

    def __init__(self, address: str, headers: dict[str, str] | None = None) -> None:
        self._parts = urlsplit(address)
        self._headers = headers or {}
        self._connection = http.client.HTTPConnection(self._parts.netloc, timeout=120)

    def get(self, path: str) -> Answer:
        """Ask for a path below the address; RuntimeError for anything but 200."""
        try:
            return self._get(path)
        except http.client.RemoteDisconnected:
            self._connection.close()  # it was idle for too long; the next request opens another
            return self._get(path)

    def _get(self, path: str) -> Answer:
        started = time.perf_counter()
        self._connection.request("GET", self._parts.path + path, headers=self._headers)
        answer = self._connection.getresponse()
        first = answer.read(1)
        first_seconds = time.perf_counter() - started
        body = first + answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}")
        return Answer(answer.status, first_seconds, time.perf_counter() - started, len(body), body)

    def times(self, path: str, count: int = _COUNT, warm_up: int = _WARM_UP) -> list[float]:
        """Return the seconds of ``count`` answers, after some that are not measured; of fewer where they take long."""
        for _ in range(warm_up):
            self.get(path)
        taken: list[float] = []
        while len(taken) < count and (sum(taken) < _SECONDS_MAX or len(taken) < _COLD_SAMPLES):
            taken.append(self.get(path).seconds)
        return taken


def quantiles(seconds: Sequence[float]) -> str:
    """Return the middle and the slowest twentieth: ``12.3 / 20.1 ms``."""
    ordered = sorted(seconds)
    return f"{statistics.median(ordered) * 1000:.1f} / {ordered[int(len(ordered) * 0.95)] * 1000:.1f} ms"


class Run:
    """The measurements, in their order."""

    def __init__(self, subject: Subject, repository: Path, peer: str) -> None:
        self.subject = subject
        self.repository = repository
        self.address = f"{subject.origin}/{OWNER}/{NAME}"
        self.ours = Reader(self.address, {"Authorization": f"Bearer {subject.token}"})
        self.peer = Reader(peer)
        self.main = tip(repository)
        self.lines: list[Line] = []

    def prepare(self) -> None:
        """Give Cairn the repository and wait until the worker has made its indexes."""
        self.subject.create_repository(NAME, is_private=False)
        git("push", "-q", self.subject.url(NAME), "refs/heads/*:refs/heads/*", cwd=self.repository)
        if not _has_indexes(self.subject):
            print("no indexes: the history is walked without a commit-graph", flush=True)

    def add(self, line: Line) -> None:
        """Note a line and show it."""
        self.lines.append(line)
        print(f"{line.name}: {line.ours} against {line.peer or '-'} (wanted {line.wanted or '-'})", flush=True)

    def compare(self, name: str, path: str, peer_path: str = "", *, wanted_ms: float = 0) -> None:
        """Measure a page that is made anew each time."""
        ours = self.ours.times(path)
        peer = quantiles(self.peer.times(peer_path)) if peer_path else ""
        is_met = statistics.median(ours) * 1000 <= wanted_ms if wanted_ms else None
        self.add(Line(name, quantiles(ours), peer, f"≤ {wanted_ms:g} ms" if wanted_ms else "", is_met))

    def cold(self, name: str, paths: Iterable[str], *, wanted_ms: float = 0) -> None:
        """Measure pages that nobody has asked for yet, each once."""
        taken = [self.ours.get(path).seconds for path in paths]
        is_met = statistics.median(taken) * 1000 <= wanted_ms if wanted_ms else None
        self.add(Line(name, quantiles(taken), "", f"≤ {wanted_ms:g} ms" if wanted_ms else "", is_met))

    def home(self) -> None:
        """The repository's home."""
        self.compare("repository home", "", "/")

    def folder(self) -> None:
        """A folder of 1,000 entries: its last commits for the first time, from the newest to the oldest, and again."""
        # From new to old: an answer that is known helps those for later commits only.
        old = [tip(self.repository, f"main~{1 + 500 * number}") for number in range(_COLD_SAMPLES)]
        self.cold("folder of 1,000 entries, cold", [f"/tree/{oid}/wide?wait=1" for oid in old], wanted_ms=1000)
        self.compare("folder of 1,000 entries, warm", "/tree/main/wide?wait=1", "/tree/wide", wanted_ms=30)

    def files(self) -> None:
        """A small file, a large one, its blame, one commit."""
        self.compare("file of 12 lines", "/blob/main/src/p000/module000.py", "/tree/src/p000/module000.py")
        self.compare("file of 5,000 lines", "/blob/main/big.py", "/tree/big.py")
        old = [tip(self.repository, f"main~{1 + 2000 * number}") for number in range(_COLD_SAMPLES)]
        self.cold("blame of 5,000 lines, cold", [f"/blame/{oid}/big.py" for oid in old])
        self.compare("blame of 5,000 lines, warm", "/blame/main/big.py", "/blame/big.py")
        self.compare("commit page", f"/commit/{self.main}", f"/commit/?id={self.main}")

    def comparison(self) -> None:
        """5,000 files that differ: the first byte, the whole, and what it costs in memory."""
        path = "/compare/main...sweep"
        memory = Memory(self.subject.process.pid)
        before, _ = memory.read()
        with memory.watch() as seen:
            answers = [self.ours.get(path) for _ in range(_COLD_SAMPLES)]
        firsts = [answer.first_seconds for answer in answers]
        is_met = statistics.median(firsts) <= 0.3
        self.add(Line("5,000-file compare, first byte", quantiles(firsts), "", "≤ 300 ms", is_met))
        self.add(Line("5,000-file compare, whole page", quantiles([answer.seconds for answer in answers])))
        used = seen.programs / 2**20
        self.add(
            Line(
                "… memory of the largest program meanwhile",
                f"{used:.0f} MiB (+{(seen.programs - before) / 2**20:.0f}), git {seen.children / 2**20:.0f} MiB",
                "",
                "≤ 200 MiB",
                used <= 200,
            )
        )

    def histories(self) -> None:
        """Pages of histories, the first and the thousandth; branches; who wrote it."""
        self.compare("history, first page", "/commits/main", "/log/")
        pages = 1000 if COMMITS >= 1000 * 30 else 10
        deep = tip(self.repository, f"main~{30 * (pages - 1)}")
        self.compare(f"history, page {pages:,}", f"/commits/main?after={deep}%2B0", f"/log/?ofs={30 * (pages - 1)}")
        self.compare("history of one file", "/commits/main/src/p000/module000.py", "/log/src/p000/module000.py")
        self.compare("30 branches with ahead and behind", "/branches?wait=1", "/refs/heads")
        self.compare("contributors", "/contributors")

    def search(self) -> None:
        """Search in the files of the default branch."""
        self.compare("search in 10,000 files", "/search?q=stone+%3D+123")

    def large_trees(self) -> None:
        """100,000 files, flat and nested: a folder, a file, the finder, and a push that changes one of them."""
        for nested in (False, True):
            kind = "nested" if nested else "flat"
            name, last = f"{kind}-files", path_of(FILES - 1, nested=nested)
            with tempfile.TemporaryDirectory(prefix="cairn-bench-") as folder:
                made = large_tree(Path(folder) / kind, nested=nested)
                self.subject.create_repository(name, is_private=False)
                git("push", "-q", self.subject.url(name), "main", cwd=made)
                pages = Reader(
                    f"{self.subject.origin}/{OWNER}/{name}", {"Authorization": f"Bearer {self.subject.token}"}
                )
                pages.get(f"/tree/main/{last.rpartition('/')[0]}?wait=1")
                for what, path, wanted_ms in (
                    ("its largest folder, warm", f"/tree/main/{'a/0' if nested else 'many'}?wait=1", 500),
                    ("one file", f"/blob/main/{last}", 500),
                    ("finder", "/find/main?q=f99999", 1000),
                    ("finder, letters in order", "/find/main?q=f9txt", 1000),
                    ("list of paths for the script", "/paths/main", 1000),
                ):
                    taken = pages.times(path)
                    is_met = statistics.median(taken) * 1000 <= wanted_ms
                    self.add(
                        Line(f"{FILES:,} files, {kind}: {what}", quantiles(taken), "", f"≤ {wanted_ms} ms", is_met)
                    )
                change_one(made, nested=nested)
                started = time.perf_counter()
                git("push", "-q", self.subject.url(name), "main", cwd=made)
                took = time.perf_counter() - started
                self.add(Line(f"{FILES:,} files, {kind}: push of one file", f"{took:.2f} s", "", "≤ 5 s", took <= 5))

    def anonymous(self) -> None:
        """How often a second the home is read by who is not signed in: kept, and known to the client."""
        kept = requests_per_second(self.address)
        self.add(Line("anonymous home, kept", f"{kept:,.0f}/s", "", "≥ 1,000/s", kept >= 1000))
        etag = _etag(self.address)
        unchanged = requests_per_second(self.address, headers={"If-None-Match": etag.replace('"', '\\"')})
        self.add(Line("anonymous home, unchanged (304)", f"{unchanged:,.0f}/s", "", "≥ 1,000/s", unchanged >= 1000))


MEASUREMENTS: tuple[Callable[[Run], None], ...] = (
    Run.home,
    Run.folder,
    Run.files,
    Run.comparison,
    Run.histories,
    Run.search,
    Run.large_trees,
    Run.anonymous,
)


def _etag(address: str) -> str:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=30)
    connection.request("GET", parts.path)
    etag = connection.getresponse().getheader("ETag")
    assert etag is not None, "the home has a validator"
    return etag


def _has_indexes(subject: Subject) -> bool:
    """Wait until the worker has made the indexes of the one large store; False if it does not."""
    import sqlite3

    database = Path(subject.environment["CAIRN_DATA_DIR"]) / "cairn.db"
    started = time.perf_counter()
    while time.perf_counter() - started < _INDEX_SECONDS:
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            if connection.execute("SELECT id FROM git_index").fetchall():
                return True
        time.sleep(1)
    return False


def report(lines: Sequence[Line], commits: int) -> str:
    """Return the results as Markdown."""
    version = subprocess.check_output(["git", "--version"], text=True).strip()
    about = (
        f"`python -m bench.code_pages` on {datetime.datetime.now(datetime.UTC):%Y-%m-%d}: {commits:,} commits, 10,000 "
        f"files, a folder of 1,000 entries, 202 branches; {os.cpu_count()} cores shared by client, Cairn and peer, "
        f"Python {platform.python_version()}, {version}. Times are the middle and the slowest twentieth of 40 "
        "requests, one after another, each made anew for a reader who is signed in. The peer is cgit behind nginx and "
        "fcgiwrap without its cache; it shows no rendered README, no highlighting and no last commits in folders."
    )
    verdicts = {True: "met", False: "missed", None: ""}
    rows = [f"| {one.name} | {one.ours} | {one.peer} | {one.wanted} | {verdicts[one.is_met]} |" for one in lines]
    return "\n".join(
        ["# Pages of code", "", about, "", "| page | Cairn | cgit | wanted | |", "|---|---|---|---|---|", *rows, ""]
    )


def main(words: list[str]) -> None:
    """Measure and write the results; words choose measurements by name, a number is how many commits."""
    commits = next((int(word) for word in words if word.isdecimal()), COMMITS)
    names = [word for word in words if not word.isdecimal()]
    chosen = [one for one in MEASUREMENTS if not names or any(word in one.__name__ for word in names)]
    repository = code_repository(commits)
    with tempfile.TemporaryDirectory(prefix="cairn-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        without_limits = {f"CAIRN_RATE_{kind}": "0" for kind in ("COSTLY_PER_MINUTE", "COSTLY_ANONYMOUS_PER_MINUTE")}
        subject = stack.enter_context(cairn(folder / "cairn", settings=without_limits))
        peer = stack.enter_context(cgit_peer(folder / "cgit", repository))
        run = Run(subject, repository, peer)
        run.prepare()
        for measure in chosen:
            measure(run)
        if not names:
            RESULTS.write_text(report(run.lines, commits))


if __name__ == "__main__":
    main(sys.argv[1:])
