"""R2 and the fair share, through a running Cairn: slow pushes of one account are in nobody's way; limits are told."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from tests.services.ports import wait_until
from tests.stories.installation import Installation, git, installation, working_copy
from tests.stories.people import join

from cairn.git.pktline import encode

CHILDREN = 4
RATE = 300


@pytest.fixture(scope="module")
def cairn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    settings = {
        "CAIRN_MAX_GIT_CHILDREN": str(CHILDREN),
        "CAIRN_GIT_QUEUE_SECONDS": "2",
        "CAIRN_RATE_GIT_PER_MINUTE": str(RATE),
    }
    with installation(tmp_path_factory.mktemp("fair"), settings, program="web") as running:
        yield running


class Somebody:
    """An account with a repository and something to push."""

    def __init__(self, cairn: Installation, login: str, folder: Path) -> None:
        self.cairn, self.login = cairn, login
        client, self.token = join(cairn, login)
        with closing(client):
            headers = {"authorization": f"Bearer {self.token}"}
            assert client.post("/api/v3/user/repos", json={"name": "work"}, headers=headers).status_code == 201
        self.work = working_copy(folder / login)

    @property
    def url(self) -> str:
        """The repository's address with the token in it."""
        return self.cairn.url(f"{self.login}/work", user=self.login, secret=self.token)

    def slow_push(self) -> socket.socket:
        """Begin a push whose pack never comes to an end."""
        commands = encode(b"0" * 40 + b" " + b"1" * 40 + b" refs/heads/slow\0report-status side-band-64k") + b"0000"
        pack = b"PACK\0\0\0\2\0\0\0\2"
        connection = socket.create_connection(("127.0.0.1", self.cairn.port), timeout=30)
        connection.sendall(
            f"POST /{self.login}/work.git/git-receive-pack HTTP/1.1\r\nhost: x\r\n"
            f"authorization: Bearer {self.token}\r\n"
            f"content-type: application/x-git-receive-pack-request\r\ncontent-length: 100000\r\n\r\n".encode()
            + commands
            + pack
        )
        return connection


def running_children(cairn: Installation) -> int:
    """Return how many git processes the web program runs; it has children of other kinds too."""
    return sum(Path(words[0]).name == "git" for words in cairn.child_commands().values())


def test_slow_pushes_of_one_account_leave_places_for_the_others(cairn: Installation, tmp_path: Path) -> None:
    """Attack: one account begins more pushes than there are git processes and finishes none."""
    mallory, ada = Somebody(cairn, "mallory", tmp_path), Somebody(cairn, "ada", tmp_path)
    with ExitStack() as stack:
        for _ in range(3 * CHILDREN):
            stack.enter_context(closing(mallory.slow_push()))
        wait_until(lambda: running_children(cairn) >= 1, within_seconds=20, what="slow pushes run")
        git("push", ada.url, "main", cwd=ada.work)
        git("clone", "-q", ada.url, tmp_path / "clone")
        with cairn.client() as client:
            assert client.get("/ada/work/commits/main").status_code == 200


def test_a_client_of_60_fetches_a_minute_is_never_refused_and_abuse_is_told_when_to_come_back(
    cairn: Installation, tmp_path: Path
) -> None:
    """R2."""
    busy, wild = Somebody(cairn, "busy", tmp_path), Somebody(cairn, "wild", tmp_path)
    git("push", busy.url, "main", cwd=busy.work)
    for _ in range(60):
        git("ls-remote", busy.url)
    with cairn.client(wild.token) as client:
        path = "/wild/work.git/info/refs?service=git-upload-pack"
        deadline = time.monotonic() + 60
        while (refused := client.get(path)).status_code != 429:
            assert time.monotonic() < deadline, "abuse was never refused"
        assert 1 <= int(refused.headers["retry-after"]) <= 2
        assert "git requests" in refused.text
    # The other token at the same address goes on, and the wild one is let in again a moment later.
    git("ls-remote", busy.url)
    wait_until(lambda: not client_is_limited(cairn, wild), within_seconds=20, what="the wild token is welcome again")


def client_is_limited(cairn: Installation, somebody: Somebody) -> bool:
    """Tell whether one request of the account's token is refused now."""
    with cairn.client(somebody.token) as client:
        answer = client.get(f"/{somebody.login}/work.git/info/refs?service=git-upload-pack")
    return answer.status_code == 429


def test_who_comes_to_a_node_that_is_too_busy_is_told_so_by_git(tmp_path: Path) -> None:
    """Every place is taken and somebody waits in vain: ``info/refs`` says 503 and when to try again, git shows why."""
    with ExitStack() as stack:
        cairn = stack.enter_context(
            installation(
                tmp_path / "busy", {"CAIRN_MAX_GIT_CHILDREN": "1", "CAIRN_GIT_QUEUE_SECONDS": "20"}, program="web"
            )
        )
        slow, waiting, late = [Somebody(cairn, login, tmp_path) for login in ("slow", "waiting", "late")]
        stack.enter_context(closing(slow.slow_push()))
        wait_until(lambda: running_children(cairn) == 1, within_seconds=20, what="the only place is taken")
        stack.enter_context(closing(waiting.slow_push()))
        printed = ""

        def is_refused() -> bool:
            nonlocal printed
            try:
                git("ls-remote", late.url)
            except AssertionError as error:
                printed = str(error)
            return bool(printed)

        wait_until(is_refused, within_seconds=25, what="a newcomer is refused")
        assert "remote: this node is busy with other git operations; try again in a moment" in printed
        assert "503" in printed
        with cairn.client(late.token) as client:
            answer = client.get("/late/work.git/info/refs?service=git-upload-pack")
            if answer.status_code == 503:
                assert int(answer.headers["retry-after"]) > 0
