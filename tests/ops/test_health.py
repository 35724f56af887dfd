"""Readiness: what is asked, how often, and what it means."""

import asyncio

import pytest

from cairn.base.errors import Unavailable
from cairn.ops import health as health_module
from cairn.ops.health import Health


async def fine() -> None:
    """Work."""


async def away() -> None:
    raise Unavailable("It does not answer.")


async def test_all_well_is_ready() -> None:
    found = await Health({"database": fine, "storage": fine}).readiness()
    assert found.status == "ready"
    assert found.is_ready
    assert {name: check.status for name, check in found.checks.items()} == {"database": "ok", "storage": "ok"}


async def test_a_node_without_its_storage_is_degraded_and_says_why() -> None:
    found = await Health({"database": fine, "storage": away}).readiness()
    assert found.status == "degraded"
    assert found.is_ready
    assert found.checks["storage"].reason == "It does not answer."


async def test_a_node_without_its_database_is_not_ready() -> None:
    found = await Health({"database": away, "storage": fine}).readiness()
    assert found.status == "unavailable"
    assert not found.is_ready


async def test_a_node_that_drains_is_not_ready_though_all_is_well() -> None:
    health = Health({"database": fine})
    health.drain()
    assert not health.was_told_draining.is_set()
    assert (await health.readiness()).status == "draining"
    assert health.was_told_draining.is_set()


async def test_probes_run_side_by_side_and_within_a_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "PROBE_SECONDS", 0.2)
    together = asyncio.Barrier(2)

    async def meets() -> None:
        await together.wait()

    async def hangs() -> None:
        await asyncio.Event().wait()

    found = await Health({"database": meets, "ssh": meets, "redis": hangs}).readiness()
    assert found.checks["database"].status == found.checks["ssh"].status == "ok"
    assert found.checks["redis"].reason == "no answer within 0.2 s"


async def test_many_questions_cost_one_round_of_probes_a_second() -> None:
    now, asked = 100.0, 0

    async def count() -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)

    health = Health({"database": count}, monotonic=lambda: now)
    await asyncio.gather(*(health.readiness() for _ in range(50)))
    assert asked == 1
    now += health_module.REMEMBERED_SECONDS
    await health.readiness()
    assert asked == 2


async def test_an_error_with_details_of_its_own_is_named_but_not_quoted() -> None:
    async def leaks() -> None:
        raise RuntimeError("redis://user:password@10.0.0.1")

    found = await Health({"database": fine, "redis": leaks}).readiness()
    assert found.checks["redis"].reason == "RuntimeError"
