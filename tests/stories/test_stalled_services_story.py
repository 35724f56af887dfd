"""A database or an object store that takes what it is sent and says nothing: requests are over in ten seconds (F3).

All calls of a request share one allowance of waiting (``cairn.base.patience``), so that it does not wait for one
service after the other.
"""

import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import text
from tests.factories.faults.tcp_proxy import TcpProxy, proxy_in_thread
from tests.factories.seeds import chosen_seed
from tests.services.mariadb import MariadbServer
from tests.services.ports import wait_until
from tests.services.postgresql import PostgresqlServer
from tests.services.s3 import S3Server
from tests.stories.installation import Installation, commit_file, fails, installation
from tests.stories.pushers import Pusher, found, judge, problems_in

from cairn.base.patience import patience, seconds_left
from cairn.db.database import Database, DatabaseAway, PointQuery, open_database

ANSWER_SECONDS_MAX = 10
SLACK_SECONDS = 5
"""For a machine that others load; a second service that is waited for as long as the first would not fit in."""
ASKED_AT_ONCE = 12
PATHS = ("/ada/r0.git/info/refs?service=git-upload-pack", "/api/v3/repos/ada/r0", "/ada/r0")
FROM_THE_STORE = ("/api/v3/repos/ada/r0/contents/README.md", "/ada/r0/blob/main/README.md")


@dataclass(frozen=True)
class Stall:
    """One service that can be made silent, and the settings of a site that reaches it through the proxy."""

    port: int
    settings: Callable[[int, Path], dict[str, str]]
    paths: tuple[str, ...]


@pytest.fixture(params=["postgresql", "mariadb", "s3"])
def stall(request: pytest.FixtureRequest) -> Stall:
    """The service that falls silent."""
    if request.param == "s3":
        s3: S3Server = request.getfixturevalue("s3_server")
        bucket = s3.create_bucket()

        def through(port: int, folder: Path) -> dict[str, str]:
            return {"CAIRN_STORAGE_URL": s3.storage_url(bucket, endpoint=f"http://127.0.0.1:{port}")}

        return Stall(s3.port, through, FROM_THE_STORE)
    server: PostgresqlServer | MariadbServer = request.getfixturevalue(f"{request.param}_server")
    url = server.url(server.create_database())
    return Stall(
        server.port, lambda port, _: {"CAIRN_DATABASE_URL": url.replace(f":{server.port}/", f":{port}/")}, PATHS
    )


def _asked(site: Installation, token: str, path: str) -> tuple[float, httpx2.Response]:
    begun = time.monotonic()
    with httpx2.Client(timeout=120, trust_env=False) as client:
        answer = client.get(site.origin + path, headers={"authorization": f"Bearer {token}"})
    return time.monotonic() - begun, answer


def _refused_soon(site: Installation, token: str, paths: tuple[str, ...]) -> float:
    """Ask for these paths many times at once; each answer is a 503 that says when to come back. Return the slowest."""
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        answers = list(pool.map(lambda n: _asked(site, token, paths[n % len(paths)]), range(ASKED_AT_ONCE)))
    for seconds, answer in answers:
        assert answer.status_code == 503, (answer.status_code, answer.url, answer.text[:300])
        assert "retry-after" in answer.headers
        assert seconds < ANSWER_SECONDS_MAX + SLACK_SECONDS, (answer.url, seconds)
    return max(seconds for seconds, _ in answers)


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_a_silent_service_is_given_up_within_ten_seconds(stall: Stall, tmp_path: Path) -> None:
    """F3: pages, API and git over HTTP; a push says the reason, nothing acknowledged is lost, all comes back."""
    with proxy_in_thread(stall.port) as proxy:
        settings = {"CAIRN_SECRET_KEY": "s" * 32, "CAIRN_RATE_GIT_PER_MINUTE": "100000"}
        settings |= stall.settings(proxy.port, tmp_path)
        with installation(tmp_path / "site", settings, program="web") as site:
            token = found(site, 1)
            url = site.url("ada/r0", user="ada", secret=token)
            pusher = Pusher(tmp_path, 0, lambda: url, seed=chosen_seed())
            pusher.push()
            assert pusher.acknowledged, pusher.refusals
            _stays_silent(site, proxy, pusher, token, url, stall)
            wait_until(lambda: _pushes(pusher), within_seconds=120, what="pushes work again")
            judge(site, {url: [pusher]}, tmp_path)
            assert problems_in(site.log()) == []


def _stays_silent(site: Installation, proxy: TcpProxy, pusher: Pusher, token: str, url: str, stall: Stall) -> None:
    shutil.rmtree(site.folder / "data" / "cache", ignore_errors=True)  # what the node has, it would answer with
    proxy.is_black_hole = True
    slowest = _refused_soon(site, token, stall.paths)
    commit_file(pusher.work, "late.txt", "pushed into the silence")
    begun = time.monotonic()
    printed = fails("push", url, pusher.branch, cwd=pusher.work)
    seconds = time.monotonic() - begun
    print(f"slowest answer {slowest:.1f} s, push refused after {seconds:.1f} s")
    assert seconds < ANSWER_SECONDS_MAX + SLACK_SECONDS, printed
    assert "database" in printed or "object store" in printed or "503" in printed, printed
    proxy.is_black_hole = False
    proxy.reset_all()


def _pushes(pusher: Pusher) -> bool:
    commit_file(pusher.work, "again.txt", f"{len(pusher.tried)}")
    count = len(pusher.acknowledged)
    pusher.push()
    return len(pusher.acknowledged) > count


async def _asks(database: Database, proxy: TcpProxy) -> None:
    """Lose the database in the midst of a transaction."""
    async with database.write() as session:
        proxy.is_black_hole = True
        await session.scalar(text("SELECT 1"))


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
async def test_queries_of_one_request_share_its_allowance(kind: str, request: pytest.FixtureRequest) -> None:
    """The small form, in process: three ways to ask a database that fell silent, one allowance for all three."""
    server: PostgresqlServer | MariadbServer = request.getfixturevalue(f"{kind}_server")
    url = server.url(server.create_database())
    query = PointQuery("SELECT 1 AS one WHERE 1 = :one")
    with proxy_in_thread(server.port) as proxy:
        database = open_database(url.replace(f":{server.port}/", f":{proxy.port}/"), pool_size=2)
        try:
            assert await database.fetch(query, one=1)
            async with database.read() as session:
                assert await session.scalar(text("SELECT 1")) == 1
            begun = time.monotonic()
            with patience(0.5):
                with pytest.raises(DatabaseAway):
                    await _asks(database, proxy)
                assert seconds_left(60) == 0
                with pytest.raises(DatabaseAway):
                    await database.fetch(query, one=1)
                with pytest.raises(DatabaseAway):
                    await _asks(database, proxy)
            assert time.monotonic() - begun < SLACK_SECONDS
            proxy.is_black_hole = False
            proxy.reset_all()
            assert await database.fetch(query, one=1)
            async with database.read() as session:
                assert await session.scalar(text("SELECT 1")) == 1
        finally:
            await database.close()
