"""Push, clone and browse a repository of real releases: Cairn beside nginx + git http-backend and sshd, in one run."""

import datetime
import os
import platform
import shutil
import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote

from bench.load import git
from bench.peers import HttpPeer, SshPeer, bare_repository, http_peer, ssh_peer
from bench.subject import OWNER, Subject, cairn, proportional_set_size

RESULTS = Path(__file__).parent / "RELEASES.md"
NAME = "releases"
PAGE_VIEWS = 5


@dataclass(frozen=True)
class Line:
    """One measured line of the report; ``peer`` None where stock git has nothing to compare."""

    name: str
    ours: float
    peer: float | None = None
    note: str = ""


@dataclass
class Run:
    """Both sides and the history they serve; ``lines`` grows as the measurements go."""

    folder: Path
    source: Path
    versions: Sequence[str]
    subject: Subject
    http: HttpPeer
    ssh: SshPeer
    lines: list[Line] = field(default_factory=list)

    @property
    def last(self) -> str:
        """The newest release: pushed after the others, and fetched by a clone of the others."""
        return self.versions[-1]

    @property
    def before(self) -> str:
        """The release before the newest."""
        return self.versions[-2]

    def add(self, name: str, ours: float, peer: float | None = None, note: str = "") -> None:
        """Keep a line and show it."""
        self.lines.append(Line(name, ours, peer, note))
        beside = "" if peer is None else f" against {peer:.2f} s"
        print(f"{name}: {ours:.2f} s{beside} {note}", flush=True)


def measure_releases(source: Path, *, package: str, versions: Sequence[str], tree_bytes: int) -> None:
    """Measure everything with ``source`` (bare, a tag per version, ``main`` at the last) and write the report."""
    with tempfile.TemporaryDirectory(prefix="cairn-releases-") as name, ExitStack() as stack:
        folder = Path(name)
        key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        run = Run(
            folder,
            source,
            versions,
            stack.enter_context(cairn(folder / "cairn", key=key)),
            stack.enter_context(http_peer(folder / "http")),
            stack.enter_context(ssh_peer(folder / "ssh", key=key)),
        )
        push_history(run)
        clones(run)
        next_release(run)
        pages(run)
        memory = proportional_set_size(run.subject.process.pid) >> 20
        RESULTS.write_text(report(run, package=package, tree_bytes=tree_bytes, memory_mib=memory))


def seconds(work: Callable[[], object]) -> float:
    """Return how long one call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def push_history(run: Run) -> None:
    """Push all releases but the last, as a first push: ``main`` and a tag each."""
    run.subject.create_repository(NAME)
    bare_repository(run.http.root, NAME)
    refs = [f"{run.before}^{{commit}}:refs/heads/main", *(f"refs/tags/{version}" for version in run.versions[:-1])]
    ours = seconds(lambda: git("push", "-q", run.subject.url(NAME), *refs, cwd=run.source))
    peer = seconds(lambda: git("push", "-q", run.http.url(NAME), *refs, cwd=run.source))
    run.add("first push, all releases but one", ours, peer, "HTTP")
    stock = run.http.root / f"{NAME}.git"
    # A well-kept stock server: one pack with a bitmap, as `git clone` finds it after its maintenance.
    git("repack", "-adq", "--write-bitmap-index", cwd=stock)
    shutil.copytree(stock, run.ssh.root / f"{NAME}.git")


def clones(run: Run) -> None:
    """Clone whole, shallow and without blobs; Cairn's first answer and a repeated one apart."""
    kinds: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("clone", ("--bare",)),
        ("shallow clone, depth 1", ("--bare", "--depth=1", "--branch=main")),
        ("clone without blobs", ("--bare", "--filter=blob:none")),
    )
    for name, options in kinds:
        first = seconds(_clone(run, run.subject.url(NAME), options, "first"))
        again = seconds(_clone(run, run.subject.url(NAME), options, "again"))
        peer = seconds(_clone(run, run.http.url(NAME), options, "peer"))
        run.add(f"{name}, HTTP, nobody asked before", first, peer)
        run.add(f"{name}, HTTP, asked before", again, peer)
    ours = seconds(_clone(run, run.subject.ssh_url(NAME), ("--bare",), "ssh"))
    peer = seconds(_clone(run, run.ssh.url(NAME), ("--bare",), "ssh-peer"))
    run.add("clone, SSH", ours, peer)
    _require_equal(run, run.folder / "clone-ssh")


def _clone(run: Run, url: str, options: Sequence[str], tag: str) -> Callable[[], None]:
    target = run.folder / f"clone-{tag}"
    shutil.rmtree(target, ignore_errors=True)
    return lambda: git("clone", "-q", *options, url, target, ssh_command=run.ssh.command)


def _require_equal(run: Run, clone: Path) -> None:
    """A fast wrong answer is no figure: refs equal, every object there and sound."""
    subprocess.run(["git", "-C", clone, "fsck", "--strict", "--no-dangling", "--no-progress"], check=True)
    tags = ["git", "for-each-ref", "--format=%(refname) %(objectname)", "refs/tags"]
    wanted = [line for line in _lines(tags, run.source) if not line.startswith(f"refs/tags/{run.last} ")]
    if _lines(tags, clone) != wanted:
        raise RuntimeError("the clone has other tags than were pushed")


def _lines(command: Sequence[str], folder: Path) -> list[str]:
    return subprocess.check_output(command, cwd=folder, text=True).splitlines()


def next_release(run: Run) -> None:
    """Push the last release and fetch it into a clone of the others."""
    refs = [f"{run.last}^{{commit}}:refs/heads/main", f"refs/tags/{run.last}"]
    clones_of = {side: run.folder / f"clone-next-{side}" for side in ("ours", "peer")}
    urls = {"ours": run.subject.url(NAME), "peer": run.http.url(NAME)}
    for side, target in clones_of.items():
        git("clone", "-q", "--mirror", urls[side], target)
    pushed = {side: seconds(partial(git, "push", "-q", urls[side], *refs, cwd=run.source)) for side in urls}
    run.add("push of one more release", pushed["ours"], pushed["peer"], "HTTP")
    fetched = {side: seconds(partial(git, "fetch", "-q", cwd=target)) for side, target in clones_of.items()}
    run.add("fetch of one more release", fetched["ours"], fetched["peer"], "HTTP")


def pages(run: Run) -> None:
    """Open pages with a token as a person would: the first time and as a median of the next ones."""
    commit = _lines(["git", "rev-parse", f"{run.last}^{{commit}}"], run.source)[0]
    files = [line.split("\t")[1] for line in _lines(["git", "ls-tree", "-r", "main"], run.source)]
    sizes = {
        line.split("\t")[1]: int(line.split()[3]) for line in _lines(["git", "ls-tree", "-rl", "main"], run.source)
    }
    largest = max((name for name in files if name.endswith(".go") and sizes[name] < 300_000), key=sizes.__getitem__)
    folders = [name.rpartition("/")[0] for name in files]
    fullest = max(set(folders) - {""}, key=folders.count)
    base = f"/{OWNER}/{NAME}"
    for name, path in (
        ("home", base),
        (f"folder of {folders.count(fullest)} files", f"{base}/tree/main/{quote(fullest)}"),
        (f"file of {sizes[largest] >> 10} KiB", f"{base}/blob/main/{quote(largest)}"),
        ("commit list", f"{base}/commits/main"),
        ("commit list of one file", f"{base}/commits/main/{quote(largest)}"),
        ("commit with the diff of a whole release", f"{base}/commit/{commit}"),
        ("tags", f"{base}/tags"),
    ):
        opened = _page(run, path)
        first = seconds(opened)
        run.add(f"page: {name}, first time", first)
        run.add(f"page: {name}", statistics.median(seconds(opened) for _ in range(PAGE_VIEWS)))


def _page(run: Run, path: str) -> Callable[[], None]:
    headers = {"Authorization": f"Bearer {run.subject.token}"}
    request = urllib.request.Request(run.subject.origin + path, headers=headers)

    def open_page() -> None:
        with urllib.request.urlopen(request, timeout=60) as answer:
            if not answer.read().rstrip().endswith(b"</html>"):
                raise RuntimeError(f"{path} is no whole page")

    return open_page


def report(run: Run, *, package: str, tree_bytes: int, memory_mib: int) -> str:
    """Return the report as Markdown."""
    counted = dict(line.split(": ") for line in _lines(["git", "count-objects", "-v"], run.source))
    git_version = subprocess.check_output(["git", "--version"], text=True).strip()
    about = (
        f"`python -m bench.releases --package {package} --count {len(run.versions)} --measure` on "
        f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}: {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{git_version}; clients, Cairn and peers share the machine. The repository has a commit and a tag for each of "
        f"{len(run.versions)} published releases ({run.versions[0]} to {run.last}): {tree_bytes >> 20} MiB of files in "
        f"their trees, {int(counted['in-pack']):,} objects, {int(counted['size-pack']) >> 10} MiB packed. "
        "Cairn is `cairnd up` with one web worker, SQLite and a folder, a private repository, a token checked on every "
        "request and every pushed object checked. The peer is nginx + fcgiwrap + `git http-backend` (sshd + git for "
        "SSH) without authentication and without `receive.fsckObjects`, repacked with a bitmap after the first push. "
        "Each line is one run unless it says otherwise; a page's second figure is the median of "
        f"{PAGE_VIEWS}. After the SSH clone, `git fsck --strict` was clean and all tags were equal. Memory of all "
        f"Cairn's processes afterwards (sum of PSS): {memory_mib} MiB."
    )
    rows = [
        f"| {line.name}{f' ({line.note})' if line.note else ''} | {_shown(line.ours)} | "
        f"{'' if line.peer is None else _shown(line.peer)} | "
        f"{'' if line.peer is None else f'{line.ours / line.peer:.2f}×'} |"
        for line in run.lines
    ]
    return "\n".join(
        ["# A real history", "", about, "", "| what | Cairn | peer | ratio |", "|---|---|---|---|", *rows, ""]
    )


def _shown(duration: float) -> str:
    return f"{duration:.2f} s" if duration >= 1 else f"{duration * 1000:.0f} ms"
