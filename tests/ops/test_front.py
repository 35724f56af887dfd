"""The three addresses that operators ask."""

import json

import pytest
from sqlalchemy import insert
from tests.factories.accounts import LONG_AGO

from cairn.base.errors import Unavailable
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.jobs.models import Job, JobState
from cairn.ops.front import OpsFront
from cairn.ops.health import Health
from cairn.ops.metrics import Metrics
from cairn.ops.queries import count_jobs
from cairn.web.asgi import Message


class Asked:
    """An answer as the server would send it."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = dict(message["headers"])
        else:
            self.body += message["body"]


async def ask(front: OpsFront, path: str, method: str = "GET") -> Asked:
    scope = {"type": "http", "path": path, "method": method}
    app = front.front(scope)
    assert app is not None
    answer = Asked()

    async def receive() -> Message:
        raise AssertionError("nothing is read")

    await app(scope, receive, answer.send)
    return answer


@pytest.fixture
async def health() -> Health:
    return Health({"database": _fine})


async def _fine() -> None:
    """Work."""


def make(health: Health, database: Database) -> OpsFront:
    return OpsFront(health=health, metrics=Metrics(program="web"), database=database)


async def test_alive_ready_and_metrics_are_answered(health: Health, database: Database) -> None:
    front = make(health, database)
    assert (await ask(front, "/healthz")).body == b"ok\n"
    ready = await ask(front, "/readyz")
    assert (ready.status, json.loads(ready.body)["status"]) == (200, "ready")
    metrics = await ask(front, "/metrics")
    assert b'cairn_jobs{state="waiting"} 0.0' in metrics.body
    assert (await ask(front, "/metrics", "POST")).status == 405
    assert front.front({"path": "/healthz/x"}) is None


async def test_a_node_that_is_not_ready_answers_503_and_is_still_alive(database: Database) -> None:
    async def away() -> None:
        raise Unavailable("away")

    front = make(Health({"database": away}), database)
    ready = await ask(front, "/readyz")
    assert (ready.status, json.loads(ready.body)["checks"]["database"]["reason"]) == (503, "away")
    assert (await ask(front, "/healthz")).status == 200


async def test_jobs_are_counted_by_state_and_the_oldest_tells_the_age(database: Database) -> None:
    async with database.write() as session:
        now = await database_now(session)
        for state, due_at in (
            (JobState.WAITING, now), (JobState.WAITING, LONG_AGO), (JobState.DEAD, now), (JobState.DONE, LONG_AGO),
        ):  # fmt: skip
            await session.execute(
                insert(Job).values(
                    kind="k",
                    payload={},
                    state=state,
                    due_at=due_at,
                    attempts=0,
                    fencing=0,
                    created_at=LONG_AGO,
                    run_again=False,
                )
            )
    found = await count_jobs(database)
    assert found.by_state == {"waiting": 2, "running": 0, "dead": 1}
    assert found.oldest_due_seconds == pytest.approx((now - LONG_AGO).total_seconds(), abs=60)
