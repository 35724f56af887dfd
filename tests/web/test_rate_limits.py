from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from tests.web.support import open_app, user

from cairn.base.actor import ANONYMOUS
from cairn.web.context import RequestContext
from cairn.web.rate_limits import HourlyWindows
from cairn.web.routing import PUBLIC, api


@api.get("/api/v3/one", action=PUBLIC, resource="none")
async def one() -> dict[str, int]:
    return {"id": 1}


@api.get("/api/v3/rate_limit", action=PUBLIC, resource="none")
async def rate_limit() -> dict[str, int]:
    return {}


HANDLERS = [one, rate_limit]


class Visitor:
    actor = ANONYMOUS

    def __init__(self, address: str) -> None:
        self.client_address = address


def visitor(address: str) -> RequestContext:
    stand_in: Any = Visitor(address)
    return cast("RequestContext", stand_in)


def test_the_memory_for_callers_is_bounded_and_forgets_the_quietest() -> None:
    windows = HourlyWindows(anonymous=100, callers_max=3)
    for address in ("a", "b", "c", "a", "d"):
        windows.count(visitor(address), 0)
    assert windows.look(visitor("a"), 0).used == 2
    assert windows.look(visitor("b"), 0).used == 0
    assert windows.look(visitor("d"), 0).used == 1


def test_a_request_given_back_never_leaves_less_than_none_used() -> None:
    windows = HourlyWindows(anonymous=5)
    assert windows.give_back(visitor("a"), 0).used == 0
    windows.count(visitor("a"), 0)
    assert windows.give_back(visitor("a"), 0).remaining == 5


async def test_the_rate_limit_counts_per_caller_and_is_told(tmp_path: Path) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    moment = [now]
    limiter = HourlyWindows(signed_in=2, anonymous=1)
    async with open_app(tmp_path, HANDLERS, limiter=limiter, clock=lambda: moment[0]) as running:
        ada, nobody = running.client(authorization="token repo"), running.client()
        left = [(await ada.get("/api/v3/one")).headers["x-ratelimit-remaining"] for _ in range(2)]
        assert left == ["1", "0"]
        over = await ada.get("/api/v3/one")
        assert over.status_code == 429
        assert over.json()["message"].startswith("API rate limit exceeded for ada")
        assert over.headers["retry-after"] == "3600"
        assert over.headers["x-ratelimit-reset"] == str(int(now.timestamp()) + 3600)
        assert (await ada.get("/api/v3/rate_limit")).status_code == 200
        assert (await nobody.get("/api/v3/one")).status_code == 200
        assert (await running.browser(user(1, "ada")).get("/-/components")).status_code == 200
        moment[0] = now + timedelta(hours=1, seconds=1)
        assert (await ada.get("/api/v3/one")).status_code == 200
