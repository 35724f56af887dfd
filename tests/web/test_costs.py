"""Places for costly work: what a flood of strangers takes, everybody who is signed in still has."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar import Response
from tests.web.support import open_app, user

from cairn.access.actions import Action
from cairn.web.context import RequestContext
from cairn.web.costs import Cost, CostlyBusy, CostPlaces
from cairn.web.routing import page

NOBODY = ""


async def how_many(stack: AsyncExitStack, places: CostPlaces, caller: str, cost: Cost = Cost.HISTORY) -> int:
    """Take places for a caller until there are no more and return how often it went well."""
    count = 0
    while True:
        try:
            await stack.enter_async_context(places.hold(caller, cost))
        except CostlyBusy:
            return count
        count += 1


def make(*, shared: int = 4, own: int = 8, queue_seconds: float = 0.01) -> CostPlaces:
    return CostPlaces(shared=shared, own=own, queue_seconds=queue_seconds)


async def test_all_who_are_not_signed_in_share_a_few_places_and_take_nobody_elses() -> None:
    """Attack: a crawler asks for every blame there is, from as many addresses as it likes."""
    async with AsyncExitStack() as stack:
        places = make()
        assert await how_many(stack, places, NOBODY) == 4
        assert await how_many(stack, places, "ada") == 8
        assert await how_many(stack, places, "bob") == 8
        with pytest.raises(CostlyBusy, match="not signed in") as refused:
            await stack.enter_async_context(places.hold(NOBODY, Cost.HISTORY))
        assert refused.value.retry_after_seconds == 5


async def test_what_reads_everything_takes_two_places_and_what_is_light_takes_none() -> None:
    async with AsyncExitStack() as stack:
        places = make()
        assert await how_many(stack, places, NOBODY, Cost.CONTENT) == 2
        await stack.enter_async_context(places.hold(NOBODY, Cost.LIGHT))


async def test_a_single_place_is_enough_for_what_would_take_two() -> None:
    async with make(shared=1).hold(NOBODY, Cost.CONTENT):
        pass


async def test_who_waits_comes_next_in_order() -> None:
    places = make(shared=1, queue_seconds=20)
    order: list[int] = []

    async def ask(number: int) -> None:
        async with places.hold(NOBODY, Cost.HISTORY):
            order.append(number)

    async with asyncio.TaskGroup() as group:
        async with places.hold(NOBODY, Cost.HISTORY):
            for number in range(5):
                group.create_task(ask(number))
            await asyncio.sleep(0)
    assert order == [0, 1, 2, 3, 4]


async def test_a_queue_that_is_full_turns_away_at_once() -> None:
    places = make(shared=1, queue_seconds=60)
    async with asyncio.TaskGroup() as group:
        async with places.hold(NOBODY, Cost.HISTORY):

            async def ask() -> None:
                async with places.hold(NOBODY, Cost.HISTORY):
                    pass

            tasks = [group.create_task(ask()) for _ in range(32)]
            await asyncio.sleep(0)
            with pytest.raises(CostlyBusy):
                await ask()
            for task in tasks[:16]:
                task.cancel()
    assert not places._held
    assert not places._waiters


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["", "ada", "bob"]), st.sampled_from(list(Cost)), st.booleans()), max_size=60)
)
async def test_no_place_is_ever_lost_or_given_twice(steps: list[tuple[str, Cost, bool]]) -> None:
    """Requests of several callers come and are cut at any moment: the bounds hold, and all places come back."""
    places = make(shared=2, own=3, queue_seconds=30)
    running: list[asyncio.Task[None]] = []
    held = {"": 0, "ada": 0, "bob": 0}
    release = asyncio.Event()

    async def ask(caller: str, cost: Cost) -> None:
        limit = 3 if caller else 2
        async with places.hold(caller, cost):
            points = min(cost.points, limit)
            held[caller] += points
            assert held[caller] <= limit
            try:
                await release.wait()
            finally:
                held[caller] -= points

    for caller, cost, cuts in steps:
        if cuts and running:
            running.pop(len(running) // 2).cancel()
        else:
            running.append(asyncio.create_task(ask(caller, cost)))
        await asyncio.sleep(0)
    release.set()
    done = await asyncio.gather(*running, return_exceptions=True)
    assert all(result is None or isinstance(result, CostlyBusy) for result in done)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not places._held
    assert not places._waiters


class Slow:
    """A page that takes until the test lets it go on."""

    go_on = asyncio.Event()
    running = 0


@page.get("/{owner:str}/{repo:str}/blame", action=Action.REPOSITORY_READ, resource="repository", cost=Cost.HISTORY)
async def blame(context: RequestContext, owner: str, repo: str) -> Response[str]:
    del owner, repo
    await context.pay(Cost.HISTORY)
    Slow.running += 1
    await Slow.go_on.wait()
    return Response(content="lines")


async def test_a_crawlers_flood_leaves_places_for_people_and_hears_when_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: strangers ask for more costly pages than a node can make, each from another address."""
    monkeypatch.setattr("cairn.web.app.QUEUE_SECONDS", 0.05)
    Slow.go_on, Slow.running = asyncio.Event(), 0
    async with open_app(tmp_path, [blame], settings={"costly_anonymous_at_once": 3}) as running:
        async with asyncio.TaskGroup() as group:
            strangers = [group.create_task(running.client().get("/ada/engine/blame")) for _ in range(20)]
            people = [running.browser(user(number, f"p{number}")).client for number in range(1, 4)]
            signed_in = [group.create_task(person.get("/ada/engine/blame")) for person in people]
            # Of the strangers three run, and seventeen are turned away; everybody who is signed in is let in at once.
            while Slow.running < 6 or sum(task.done() for task in strangers) < 17:
                await asyncio.sleep(0.001)
            Slow.go_on.set()
        refused = [task.result() for task in strangers if task.result().status_code != 200]
        assert [answer.status_code for answer in refused] == [503] * 17
        assert {answer.headers["retry-after"] for answer in refused} == {"5"}
        assert "not signed in" in refused[0].text
        assert [task.result().status_code for task in signed_in] == [200] * 3
        assert (await running.client().get("/ada/engine/blame")).status_code == 200, "the places came back"


async def test_costly_pages_have_points_and_who_has_none_left_waits_for_the_next(tmp_path: Path) -> None:
    Slow.go_on, Slow.running = asyncio.Event(), 0
    Slow.go_on.set()
    limits = {"rate_costly_anonymous_per_minute": 2, "rate_costly_per_minute": 5}
    async with open_app(tmp_path, [blame], settings=limits) as running:
        for client, allowed in ((running.client(), 2), (running.browser(user(1, "ada")).client, 5)):
            answers = [await client.get("/ada/engine/blame") for _ in range(allowed + 1)]
            assert [answer.status_code for answer in answers] == [200] * allowed + [429]
            assert 1 <= int(answers[-1].headers["retry-after"]) <= 30
            assert f"more than {allowed} histories" in answers[-1].text
