"""What callers may ask for, as they see it: GitHub's headers, statuses, and who shares a budget with whom."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.web.support import open_app, user

from cairn.base.actor import ANONYMOUS, Actor, ActorKind, DeployKey, TokenLimits
from cairn.base.errors import RateLimited
from cairn.base.settings import Settings
from cairn.web.counters import Counters, Rule
from cairn.web.rate_limits import RateLimits, network_of, whose_share
from cairn.web.routing import PUBLIC, api

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@api.get("/api/v3/one", action=PUBLIC, resource="none")
async def one() -> dict[str, int]:
    return {"id": 1}


@api.get("/api/v3/rate_limit", action=PUBLIC, resource="none")
async def rate_limit() -> dict[str, int]:
    return {}


HANDLERS = [one, rate_limit]


class Moment:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now = BEGIN

    def seconds(self) -> float:
        return self.now.timestamp()

    def limits(self, **settings: int) -> RateLimits:
        return RateLimits(Settings(**settings), Counters(clock=self.seconds))  # type: ignore[arg-type]


async def test_the_api_limit_counts_per_caller_and_is_told(tmp_path: Path) -> None:
    moment = Moment()
    limits = moment.limits(rate_api_per_hour=2, rate_api_anonymous_per_hour=1)
    async with open_app(tmp_path, HANDLERS, limits=limits, clock=lambda: moment.now) as running:
        ada, nobody = running.client(authorization="token repo"), running.client()
        left = [(await ada.get("/api/v3/one")).headers["x-ratelimit-remaining"] for _ in range(2)]
        assert left == ["1", "0"]
        over = await ada.get("/api/v3/one")
        assert over.status_code == 429
        assert over.json()["message"].startswith("API rate limit exceeded for ada")
        assert over.headers["retry-after"] == "3600"
        assert over.headers["x-ratelimit-limit"] == "2"
        assert over.headers["x-ratelimit-used"] == "2"
        assert over.headers["x-ratelimit-resource"] == "core"
        assert over.headers["x-ratelimit-reset"] == str(int(BEGIN.timestamp()) + 3600)
        assert (await ada.get("/api/v3/rate_limit")).status_code == 200
        assert (await nobody.get("/api/v3/one")).status_code == 200
        assert (await nobody.get("/api/v3/one")).json()["message"].startswith("API rate limit exceeded for 192.0.2.7")
        assert (await running.browser(user(1, "ada")).get("/-/components")).status_code == 200
        moment.now = BEGIN + timedelta(hours=1, seconds=1)
        assert (await ada.get("/api/v3/one")).status_code == 200


async def test_the_hour_slides(tmp_path: Path) -> None:
    """Two bursts around a full hour are not twice the limit; what is old comes back a piece at a time."""
    moment = Moment()
    limits = moment.limits(rate_api_per_hour=4)
    async with open_app(tmp_path, HANDLERS, limits=limits, clock=lambda: moment.now) as running:
        ada = running.client(authorization="token repo")
        statuses = []
        for minutes in (0, 50, 55, 58, 59, 60, 61, 110):
            moment.now = BEGIN + timedelta(minutes=minutes)
            statuses.append((await ada.get("/api/v3/one")).status_code)
        assert statuses == [200, 200, 200, 200, 429, 200, 429, 200]


async def test_what_has_not_changed_is_free(tmp_path: Path) -> None:
    moment = Moment()
    async with open_app(tmp_path, HANDLERS, limits=moment.limits(rate_api_per_hour=2)) as running:
        ada = running.client(authorization="token repo")
        etag = (await ada.get("/api/v3/one")).headers["etag"]
        for _ in range(5):
            again = await ada.get("/api/v3/one", headers={"if-none-match": etag})
            assert (again.status_code, again.headers["x-ratelimit-remaining"]) == (304, "1")


async def test_a_wrong_credential_counts_against_its_address(tmp_path: Path) -> None:
    """Attack: try tokens as fast as the line allows."""
    limits = Moment().limits(rate_api_anonymous_per_hour=3)
    async with open_app(tmp_path, HANDLERS, limits=limits) as running:
        guesser = running.client(authorization="token wrong")
        assert [(await guesser.get("/api/v3/one")).status_code for _ in range(5)] == [401, 401, 401, 429, 429]
        assert (await running.client(authorization="token repo").get("/api/v3/one")).status_code == 200


async def test_pages_have_a_minute_and_a_page_of_their_own(tmp_path: Path) -> None:
    moment = Moment()
    limits = moment.limits(rate_pages_per_minute=3)
    async with open_app(tmp_path, HANDLERS, limits=limits) as running:
        ada, nobody = running.browser(user(1, "ada")), running.browser()
        assert [(await ada.get("/-/components")).status_code for _ in range(4)] == [200, 200, 200, 429]
        refused = await ada.get("/-/components")
        assert "Too many requests" in refused.text
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await nobody.get("/-/components")).status_code == 200
        moment.now += timedelta(seconds=61)
        assert (await ada.get("/-/components")).status_code == 200


async def test_zero_means_no_limit(tmp_path: Path) -> None:
    limits = Moment().limits(
        rate_api_per_hour=0, rate_api_anonymous_per_hour=0, rate_pages_per_minute=0, rate_git_per_minute=0
    )
    async with open_app(tmp_path, HANDLERS, limits=limits) as running:
        nobody = running.client()
        for _ in range(50):
            assert (await nobody.get("/api/v3/one")).headers["x-ratelimit-used"] == "0"
            assert (await nobody.get("/-/components")).status_code == 200
    for _ in range(50):
        limits.count_git(ANONYMOUS, "192.0.2.7")


def test_git_after_its_burst_goes_on_at_the_pace_of_the_limit() -> None:
    """R2: a busy client waits a moment, never an hour."""
    moment = Moment()
    limits = moment.limits(rate_git_per_minute=60)
    ada = user(1, "ada")
    for _ in range(60):
        limits.count_git(ada, "192.0.2.7")
    with pytest.raises(RateLimited) as refused:
        limits.count_git(ada, "192.0.2.7")
    assert refused.value.retry_after_seconds == 1
    for _ in range(300):
        moment.now += timedelta(seconds=1)
        limits.count_git(ada, "192.0.2.7")


def test_a_token_that_runs_wild_does_not_stop_its_owners_others_nor_the_address() -> None:
    limits = Moment().limits(rate_git_per_minute=5)

    def token(number: int) -> Actor:
        return Actor(ActorKind.USER, 1, "ada", limits=TokenLimits(frozenset(), token_id=number))

    for _ in range(5):
        limits.count_git(token(1), "192.0.2.7")
    with pytest.raises(RateLimited):
        limits.count_git(token(1), "192.0.2.7")
    for other in (token(2), user(1, "ada"), ANONYMOUS, user(2, "bob")):
        limits.count_git(other, "192.0.2.7")


def test_work_is_shared_out_by_account_key_or_address() -> None:
    narrow = Actor(ActorKind.USER, 1, "ada", limits=TokenLimits(frozenset(), token_id=7))
    machine = Actor(ActorKind.DEPLOY_KEY, deploy_key=DeployKey(3, 9, can_write=False))
    assert whose_share(narrow, "192.0.2.7") == whose_share(user(1, "ada"), "192.0.2.8") == "account:1"
    assert whose_share(machine, "192.0.2.7") == "deploy-key:3"
    assert whose_share(ANONYMOUS, "2001:db8::1") == "address:2001:db8::/64"


async def test_a_feature_may_have_a_limit_of_its_own() -> None:
    limits = Moment().limits()
    rule = Rule("mail", 2, 60)
    for _ in range(2):
        await limits.require(rule, "ada", "Too many mails.")
    with pytest.raises(RateLimited, match="Too many mails") as refused:
        await limits.require(rule, "ada", "Too many mails.")
    assert refused.value.retry_after_seconds == 30


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_one_customer_is_one_address(address: str, network: str) -> None:
    """Attack: an IPv6 customer has 2^64 addresses to try from."""
    assert network_of(address) == network
