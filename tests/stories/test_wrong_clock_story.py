"""One node's clock is an hour off, then jumps: whatever ends at some time ends when the database says so (F12)."""

import asyncio
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from sqlalchemy import text
from tests.factories.faults.node_clock import NodeClock
from tests.factories.seeds import chosen_seed
from tests.services.ports import wait_until
from tests.services.postgresql import PostgresqlServer
from tests.services.processes import ServiceMissing
from tests.stories.browser import Browser, forms_of
from tests.stories.installation import PASSWORD, Installation, fails, git, installation, run_cairnd
from tests.stories.pushers import Pusher, found, judge, problems_in

from cairn.db.database import open_database

HOUR = timedelta(hours=1)
SLACK = timedelta(minutes=10)
"""For a machine that others load; a clock that is an hour off would show."""
HALF = "interval '30 minutes'"
SWEEP = "schedule:ops.sweep_uploads"


@dataclass(frozen=True)
class Pair:
    """Two nodes on one database and one folder; only the wrong one has a worker. Ada is signed in at the right one."""

    right: Installation
    wrong: Installation
    clock: NodeClock
    token: str
    database_url: str

    @property
    def nodes(self) -> tuple[Installation, Installation]:
        return self.right, self.wrong

    def sql(self, statement: str, **values: Any) -> Sequence[Any]:
        """Run a statement at the database and return its rows."""

        async def run() -> Sequence[Any]:
            database = open_database(self.database_url, pool_size=1)
            try:
                async with database.write() as session:
                    result: Any = await session.execute(text(statement), values)
                    return list(result.all()) if result.returns_rows else []
            finally:
                await database.close()

        return asyncio.run(run())

    def one(self, statement: str, **values: Any) -> Any:
        """Return the only value of the only row."""
        [[value]] = self.sql(statement, **values)
        return value


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgresqlServer) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("clock")
    try:
        clock = NodeClock(folder / "shift")
    except ServiceMissing as missing:
        pytest.skip(str(missing))
    settings = {
        "CAIRN_DATABASE_URL": postgresql_server.url(postgresql_server.create_database()),
        "CAIRN_STORAGE_URL": f"file://{folder / 'bucket'}",
        "CAIRN_SECRET_KEY": "s" * 32,
        "CAIRN_RATE_GIT_PER_MINUTE": "100000",
        "CAIRN_REGISTRATION": "invite",
    }
    clock.shift(HOUR)
    with ExitStack() as stack:
        right = stack.enter_context(installation(folder / "a", settings, program="web"))
        wrong = stack.enter_context(installation(folder / "b", settings | clock.environment, may_be_degraded=True))
        token = found(right, 1)
        with right.client(token) as client:
            assert client.post("/api/v3/user/repos", json={"name": "hidden", "private": True}).status_code == 201
        yield Pair(right, wrong, clock, token, settings["CAIRN_DATABASE_URL"])


@pytest.fixture(params=[1, -1], ids=["ahead", "behind"])
def world(request: pytest.FixtureRequest, pair: Pair) -> Pair:
    """The pair, the wrong clock an hour ahead or behind: it jumps while the node runs."""
    pair.clock.shift(request.param * HOUR)

    def is_shifted() -> bool:
        # Not the Date header: the server keeps the last one while the clock stands behind it.
        with pair.wrong.client() as client:
            told = client.get("/api/v3/rate_limit").json()["resources"]["core"]["reset"]
        in_an_hour = datetime.fromtimestamp(told, UTC) - datetime.now(UTC)
        return abs(in_an_hour - HOUR - pair.clock.shifted) < SLACK

    wait_until(is_shifted, within_seconds=60, what="the node tells the wrong time")
    return pair


@contextmanager
def signed_in(pair: Pair, node: Installation) -> Iterator[tuple[Browser, httpx2.Client]]:
    """Sign Ada in at one node; the client asks the other one with her cookies."""
    [other] = [one for one in pair.nodes if one is not node]
    with node.client() as client, other.client() as elsewhere:
        browser = Browser(client)
        browser.open("/login")
        browser.submit(name="ada", password=PASSWORD)
        elsewhere.cookies.update(client.cookies)
        yield browser, elsewhere


pytestmark = [pytest.mark.nightly, pytest.mark.timeout(900)]


def _is_in(client: httpx2.Client) -> bool:
    return client.get("/settings/sessions").status_code == 200


def test_a_session_ends_when_the_database_says_so(world: Pair) -> None:
    for node in world.nodes:
        with signed_in(world, node) as (_, elsewhere):
            left = world.one("SELECT max(expires_at) - clock_timestamp() FROM account_session")
            assert abs(left - timedelta(days=30)) < SLACK
            world.sql(f"UPDATE account_session SET expires_at = clock_timestamp() + {HALF}")
            assert _is_in(elsewhere)
            world.sql(f"UPDATE account_session SET expires_at = clock_timestamp() - {HALF}")
            assert not _is_in(elsewhere)
        world.sql("DELETE FROM account_session")


def test_using_a_session_at_the_wrong_node_lengthens_it_by_the_right_time(world: Pair) -> None:
    with signed_in(world, world.right) as (_, elsewhere):
        world.sql(
            f"UPDATE account_session SET last_used_at = clock_timestamp() - {HALF}, "
            f"expires_at = clock_timestamp() + {HALF}"
        )
        assert _is_in(elsewhere)
        wait_until(
            lambda: world.one("SELECT expires_at > clock_timestamp() + interval '1 day' FROM account_session"),
            within_seconds=180,
            what="the use is written",
        )
        [[used, left]] = world.sql(
            "SELECT clock_timestamp() - last_used_at, expires_at - clock_timestamp() FROM account_session"
        )
        assert abs(used) < SLACK
        assert abs(left - timedelta(days=30)) < SLACK
    world.sql("DELETE FROM account_session")


def test_the_proof_for_dangerous_changes_lasts_as_long_at_every_node(world: Pair) -> None:
    for node in world.nodes:
        with signed_in(world, node) as (_, elsewhere):
            world.sql(f"UPDATE account_session SET proved_at = clock_timestamp() - {HALF}")
            assert elsewhere.get("/settings/tokens/new").status_code == 200
            world.sql("UPDATE account_session SET proved_at = clock_timestamp() - interval '90 minutes'")
            assert elsewhere.get("/settings/tokens/new").status_code == 303
        world.sql("DELETE FROM account_session")


def test_a_token_lives_as_long_as_it_was_made_for(world: Pair) -> None:
    with signed_in(world, world.wrong) as (browser, _):
        browser.open("/settings/tokens/new")
        page = browser.submit(name=f"ci {world.clock.shifted}", lifetime="30", scopes="repo").text
    secret = re.search(r'value="(crn_\w{36})"', page)
    assert secret, page
    left = world.one("SELECT expires_at - clock_timestamp() FROM account_token ORDER BY id DESC LIMIT 1")
    assert abs(left - timedelta(days=30)) < SLACK
    newest = "(SELECT max(id) FROM account_token)"
    for sign, status in (("+", 200), ("-", 401)):
        world.sql(f"UPDATE account_token SET expires_at = clock_timestamp() {sign} {HALF} WHERE id = {newest}")
        for node in world.nodes:
            with node.client(secret[1]) as client:
                assert client.get("/api/v3/repos/ada/hidden").status_code == status
            words = ("ls-remote", node.url("ada/hidden", user="ada", secret=secret[1]))
            git(*words) if status == 200 else fails(*words)
    world.sql("DELETE FROM account_session")


def test_a_link_works_until_the_database_says_that_it_is_over(world: Pair) -> None:
    people = iter("abcdefgh")
    for maker in world.nodes:
        for node in world.nodes:
            for sign, is_open in (("-", False), ("+", True)):
                link = urlsplit(run_cairnd(maker.environment, "admin", "invite"))
                left = world.one("SELECT max(expires_at) - clock_timestamp() FROM one_time_link")
                assert abs(left - timedelta(days=7)) < SLACK
                world.sql(f"UPDATE one_time_link SET expires_at = clock_timestamp() {sign} {HALF}")
                login = f"{next(people)}{world.one('SELECT count(*) FROM account')}"
                with node.client() as client:
                    page = Browser(client)
                    page.open(f"{link.path}?{link.query}")
                    if is_open:
                        page.submit(login=login, email=f"{login}@x.test", password=PASSWORD)
                        assert _is_in(client)
                    else:
                        form = next((one for one in forms_of(page.page.text) if "login" in one.names), None)  # type: ignore[union-attr]
                        if form is not None:
                            page.post(form, {"login": login, "email": f"{login}@x.test", "password": PASSWORD})
                        assert not _is_in(client)
                world.sql("DELETE FROM one_time_link")


def test_leases_and_grace_run_by_the_databases_clock(world: Pair) -> None:
    """The wrong node's worker leaves alone what another holds or still writes, and takes what is over."""
    store = world.one("SELECT min(id) FROM git_store")
    upload = "INSERT INTO git_upload (store_id, id, keys, state, expires_at) VALUES (:store, :id, '[]', 'open', "
    world.sql("DELETE FROM git_upload")
    world.sql(f"{upload} clock_timestamp() + {HALF})", store=store, id="a" * 32)
    world.sql(f"{upload} clock_timestamp() - {HALF})", store=store, id="b" * 32)
    world.sql("DELETE FROM job WHERE kind = :kind AND state IN ('done', 'dead')", kind=SWEEP)
    job = (
        "INSERT INTO job (kind, payload, run_again, state, due_at, attempts, fencing, holder, created_at) "
        "VALUES (:kind, '{}', false, 'running', clock_timestamp() "
    )
    world.sql(f"{job} + {HALF}, 1, 1, :holder, clock_timestamp())", kind=SWEEP, holder="a" * 32)
    world.sql(f"{job} - {HALF}, 1, 1, :holder, clock_timestamp())", kind=SWEEP, holder="b" * 32)
    wait_until(
        lambda: world.one("SELECT count(*) FROM git_upload WHERE id = :id AND state = 'open'", id="b" * 32) == 0,
        within_seconds=120,
        what="the job whose holder fell silent is taken over, and the upload that is over is swept",
    )
    assert world.one("SELECT state FROM git_upload WHERE id = :id", id="a" * 32) == "open"
    held = "SELECT fencing FROM job WHERE holder = :holder AND state = 'running'"
    assert world.one(held, holder="a" * 32) == 1
    world.sql("DELETE FROM job WHERE holder = :holder", holder="a" * 32)


def test_pushes_through_both_nodes_survive_jumps_of_a_clock(pair: Pair, tmp_path: Path) -> None:
    """Two who push, each time to the other node, while one clock jumps an hour forth and back."""
    seed = chosen_seed()
    urls = [node.url("ada/r0", user="ada", secret=pair.token) for node in pair.nodes]
    turns = iter(range(1_000_000))
    pushers = [Pusher(tmp_path, number, lambda: urls[next(turns) % 2], seed=seed) for number in range(2)]
    for pusher in pushers:
        pusher.start()
    begun = time.monotonic()
    for jump in (HOUR, -HOUR, timedelta(), -HOUR, HOUR):
        pair.clock.shift(jump)
        for pusher in pushers:
            pusher.goes_on(2)
    for pusher in pushers:
        pusher.stop()
        assert pusher.refusals == []
    print(f"{sum(len(p.acknowledged) for p in pushers)} pushes in {time.monotonic() - begun:.0f} s, none refused")
    judge(pair.right, {urls[0]: pushers}, tmp_path / "right")
    assert [line for node in pair.nodes for line in problems_in(node.log())] == []
