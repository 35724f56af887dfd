"""People who push with stock git without a pause, and the oracle of what they were told: it must stay true."""

import shutil
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from tests.services.ports import wait_until
from tests.stories.installation import PASSWORD, Installation, commit_file, git, run_cairnd, start_git, working_copy

GIT_SECONDS_MAX = 120
WAIT_SECONDS = 120


def found(site: Installation, repositories: int, *, scopes: str = "repo") -> str:
    """Make Ada with so many empty repositories ``r0``, ``r1`` ... and return her token."""
    run_cairnd(site.environment, "admin", "create-user", "ada", "--email", "ada@x.test", "--password", PASSWORD)
    token = run_cairnd(site.environment, "admin", "create-token", "ada", "--scopes", scopes)
    with site.client(token) as client:
        for number in range(repositories):
            assert client.post("/api/v3/user/repos", json={"name": f"r{number}"}).status_code == 201
    return token


class Pusher(threading.Thread):
    """Pushes commit upon commit to a branch of its own; keeps what was acknowledged and how it was refused.

    ``url`` is asked for before each push, so that a test may send it to another node.
    """

    def __init__(self, folder: Path, number: int, url: Callable[[], str], *, seed: int, ssh_command: str = "") -> None:
        super().__init__(daemon=True)
        self.branch = f"of-{number}"
        self.acknowledged: list[str] = []
        self.tried: list[str] = []
        self.refusals: list[str] = []
        self.error: BaseException | None = None
        self._url = url
        self._ssh_command = ssh_command
        self._stop_asked = threading.Event()
        self._random = Random(seed + number)
        self.work = working_copy(folder / self.branch)
        git("checkout", "-qb", self.branch, cwd=self.work)

    def run(self) -> None:
        """Push until told to stop."""
        try:
            while not self._stop_asked.is_set():
                commit_file(self.work, f"{self._random.randrange(20)}.txt", self._random.randbytes(2000).hex())
                self.push()
        except BaseException as error:  # shown by ``stop``
            self.error = error

    def push(self) -> None:
        """Push once; git must come to an end."""
        oid = git("rev-parse", "HEAD", cwd=self.work).strip()
        self.tried.append(oid)
        words = ("push", "-q", self._url(), self.branch)
        running = start_git(*words, cwd=self.work, ssh_command=self._ssh_command)
        try:
            printed = running.communicate(timeout=GIT_SECONDS_MAX)[0].decode("utf-8", "replace")
        finally:
            running.kill()
            running.wait()
        if running.returncode == 0:
            self.acknowledged.append(oid)
        else:
            self.refusals.append(printed)

    def goes_on(self, count: int = 1) -> None:
        """Return when so many further pushes were acknowledged."""
        wanted = len(self.acknowledged) + count
        known = len(self.tried), len(self.refusals)
        try:
            wait_until(
                lambda: len(self.acknowledged) >= wanted or not self.is_alive(),
                within_seconds=WAIT_SECONDS,
                what=f"{self.branch} pushes on",
            )
        except TimeoutError as error:
            tried, refusals = self.tried[known[0] :], self.refusals[known[1] :]
            error.add_note(f"{len(tried)} tries meanwhile, {len(refusals)} refused: {refusals[-3:]}")
            raise
        assert self.error is None, self.error
        assert len(self.acknowledged) >= wanted

    def stop(self) -> None:
        """End after the push under way."""
        self._stop_asked.set()
        self.join(timeout=2 * GIT_SECONDS_MAX)
        assert not self.is_alive()
        assert self.error is None, self.error

    def accepts(self, head: str) -> bool:
        """Tell whether a branch may stand at ``head``: the last acknowledged commit or one that was tried later."""
        last = self.acknowledged[-1]
        return head in self.tried[self.tried.index(last) :]


def heads_of(url: str, folder: Path) -> Mapping[str, str]:
    """Return the branches of a fresh mirror that ``git fsck --strict`` found sound."""
    git("clone", "-q", "--mirror", url, folder)
    git("fsck", "--strict", "--no-progress", cwd=folder)
    lines = git("for-each-ref", "--format=%(refname:short) %(objectname)", cwd=folder).split("\n")
    shutil.rmtree(folder)
    return dict(line.split(" ", 1) for line in lines if line)


def judge(site: Installation, urls: Mapping[str, list[Pusher]], folder: Path) -> None:
    """The verdict: each address shows what was acknowledged or a successor, clones are sound, the doctor is content.

    ``urls`` names the pushers of each repository by its address.
    """
    for number, (url, pushers) in enumerate(urls.items()):
        heads = heads_of(url, folder / f"mirror-{number}")
        for pusher in pushers:
            assert pusher.acknowledged, (pusher.branch, pusher.refusals)
            assert pusher.accepts(heads.get(pusher.branch, "")), f"{pusher.branch} lost an acknowledged push"
    told = run_cairnd(site.environment, "doctor")
    assert ", 0 with findings" in told, told


def problems_in(log: str) -> list[str]:
    """Return the lines of a log that are worse than informative."""
    return [line for line in log.splitlines() if '"level": "error"' in line or '"level": "critical"' in line]
