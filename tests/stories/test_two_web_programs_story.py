"""Two real web programs with folders of their own on one PostgreSQL and one S3 server, and stock git: C1, C3, C5."""

import asyncio
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import func, select
from tests.factories.git_repositories import StockGitFailed, StockRepository, init
from tests.services.postgresql import PostgresqlServer
from tests.services.redis import RedisServer
from tests.services.s3 import S3Server
from tests.stories.installation import PASSWORD, Installation, installation, run_cairnd

from cairn.db.database import open_database
from cairn.git.models import RefLog
from cairn.git.pktline import DELIM, FLUSH, encode
from cairn.git.types import Oid

pytestmark = pytest.mark.s3_server
CLIENTS = 4
MAIN = "refs/heads/main"


@dataclass(frozen=True)
class Pair:
    """Both programs, and the one person who owns every repository."""

    nodes: tuple[Installation, Installation]
    token: str
    database_url: str

    def create(self) -> str:
        """Make an empty repository and return its path."""
        name = f"r-{secrets.token_hex(5)}"
        with self.nodes[0].client(self.token) as client:
            answer = client.post("/api/v3/user/repos", json={"name": name})
        assert answer.status_code == 201, answer.text
        return f"ada/{name}"

    def url(self, node: int, path: str) -> str:
        """Return the repository's address at one node."""
        return self.nodes[node % 2].url(path, user="ada", secret=self.token)

    def ref_log_length(self) -> int:
        """Return how many changes of refs the database knows, of all repositories."""
        return asyncio.run(self._ref_log_length())

    async def _ref_log_length(self) -> int:
        database = open_database(self.database_url, pool_size=1)
        try:
            async with database.read() as session:
                return await session.scalar(select(func.count()).select_from(RefLog)) or 0
        finally:
            await database.close()

    def fetch(self, node: int, path: str, want: Oid) -> httpx2.Response:
        """Ask a node for one object by protocol v2, without having seen an advertisement of it."""
        body = encode(b"command=fetch\n") + DELIM + encode(b"want " + want.encode()) + encode(b"done") + FLUSH
        headers = {"git-protocol": "version=2", "content-type": "application/x-git-upload-pack-request"}
        with self.nodes[node].client(auth=("ada", self.token)) as client:
            return client.post(f"/{path}.git/git-upload-pack", content=body, headers=headers)


@pytest.fixture(scope="module", params=["without-redis", pytest.param("with-redis", marks=pytest.mark.nightly)])
def pair(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgresql_server: PostgresqlServer,
    s3_server: S3Server,
) -> Iterator[Pair]:
    """Both programs on an empty database and bucket."""
    database_url = postgresql_server.url(postgresql_server.create_database())
    settings = {
        "CAIRN_DATABASE_URL": database_url,
        "CAIRN_STORAGE_URL": s3_server.storage_url(s3_server.create_bucket()),
        "CAIRN_SECRET_KEY": "k" * 40,
    }
    if request.param == "with-redis":
        redis: RedisServer = request.getfixturevalue("redis_server")
        settings["CAIRN_REDIS_URL"] = redis.url
    folder = tmp_path_factory.mktemp("pair")
    with ExitStack() as stack:
        one, other = (
            stack.enter_context(
                installation(folder / name, settings | {"CAIRN_CACHE_DIR": str(folder / name / "cache")}, program="web")
            )
            for name in ("a", "b")
        )
        words = ("admin", "create-user", "ada", "--email", "ada@example.test", "--password", PASSWORD)
        run_cairnd(one.environment, *words)
        token = run_cairnd(one.environment, "admin", "create-token", "ada", "--scopes", "repo")
        yield Pair((one, other), token, database_url)


def head_at(client: StockRepository, url: str) -> str:
    """Return what stock git sees as ``main``."""
    return client.git("ls-remote", url, MAIN).decode().partition("\t")[0]


def verify(client: StockRepository, url: str, folder: Path, head: Oid) -> None:
    """Check that a fresh clone is sound and has this tip; the clone is gone afterwards."""
    client.git("clone", "-q", "--bare", url, folder)
    clone = StockRepository(folder)
    clone.git("fsck", "--strict", "--no-progress")
    assert clone.oid(MAIN) == head
    shutil.rmtree(folder)


@pytest.mark.parametrize("rounds", [3, pytest.param(100, marks=[pytest.mark.nightly, pytest.mark.timeout(900)])])
def test_of_many_clients_pushing_one_ref_through_two_programs_one_wins(pair: Pair, tmp_path: Path, rounds: int) -> None:
    """C1: acknowledged pushes and the ref log are the same length, and both programs show the last winner."""
    path, before = pair.create(), pair.ref_log_length()
    client = init(tmp_path / "client")
    client.commit({"a": "a"})
    client.git("push", "-q", pair.url(0, path), f"HEAD:{MAIN}")
    acknowledged = 1

    def won(number: int, new: Oid) -> bool:
        try:
            client.git("push", "-q", pair.url(number, path), f"{new}:{MAIN}")
        except StockGitFailed as refusal:
            if "rejected" not in str(refusal):
                raise  # a broken program is not a lost race
            return False
        return True

    with ThreadPoolExecutor(CLIENTS) as pool:
        for turn in range(rounds):
            tries = [
                Oid(client.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", f"{turn}-{number}").decode().strip())
                for number in range(CLIENTS)
            ]
            results = list(pool.map(won, range(CLIENTS), tries))
            winners = [new for new, has_won in zip(tries, results, strict=True) if has_won]
            assert len(winners) == 1
            acknowledged += 1
            client.git("reset", "-q", "--hard", winners[0])
            assert [head_at(client, pair.url(node, path)) for node in (0, 1)] == [winners[0]] * 2
    assert pair.ref_log_length() - before == acknowledged
    verify(client, pair.url(1, path), tmp_path / "clone", client.oid("HEAD"))


@pytest.mark.parametrize("count", [4, pytest.param(300, marks=[pytest.mark.nightly, pytest.mark.timeout(900)])])
def test_a_push_to_one_program_is_listed_and_cloned_from_the_other_at_once(
    pair: Pair, tmp_path: Path, count: int
) -> None:
    """C3: the first ls-remote and the first clone after git has said that the push is done."""
    path = pair.create()
    client = init(tmp_path / "client")
    for number in range(count):
        head = client.commit({"a": str(number)})
        client.git("push", "-q", pair.url(number, path), f"HEAD:{MAIN}")
        reader = pair.url(number + 1, path)
        assert head_at(client, reader) == head
        verify(client, reader, tmp_path / "clone", head)


def test_a_want_of_a_tip_advertised_by_one_program_is_served_by_the_other(pair: Pair, tmp_path: Path) -> None:
    """C5: the advertisement came from A, then a force-push through A, the want goes to B."""
    path = pair.create()
    client = init(tmp_path / "client")
    base = client.commit({"a": "a"})
    advertised = client.commit({"b": "advertised"})
    client.git("push", "-q", pair.url(0, path), f"HEAD:{MAIN}")
    assert head_at(client, pair.url(0, path)) == advertised
    client.git("reset", "-q", "--hard", base)
    forced = client.commit({"c": "forced"})
    client.git("push", "-q", "--force", pair.url(0, path), f"HEAD:{MAIN}")
    assert head_at(client, pair.url(1, path)) == forced
    served = pair.fetch(1, path, advertised)
    assert served.status_code == 200
    assert b"packfile" in served.content
    assert b"PACK" in served.content
    never_pushed = client.commit({"d": "never pushed"})
    refused = pair.fetch(1, path, never_pushed)
    assert b"not our ref" in refused.content, refused.content
    assert b"PACK" not in refused.content


def test_when_one_program_is_killed_the_other_goes_on(pair: Pair, tmp_path: Path) -> None:
    """What A acknowledged before its end is whole at B, B takes pushes, and A has them when it is back."""
    path = pair.create()
    client = init(tmp_path / "client")
    first = client.commit({"a": "a"})
    client.git("push", "-q", pair.url(0, path), f"HEAD:{MAIN}")
    pair.nodes[0].process.kill()
    try:
        verify(client, pair.url(1, path), tmp_path / "clone", first)
        second = client.commit({"a": "b"})
        client.git("push", "-q", pair.url(1, path), f"HEAD:{MAIN}")
        verify(client, pair.url(1, path), tmp_path / "clone", second)
    finally:
        pair.nodes[0].process.start()
    verify(client, pair.url(0, path), tmp_path / "clone", second)
