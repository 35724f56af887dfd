"""Where a request came from."""

import asyncio

from cairn.base.log import bind_request
from cairn.base.origin import NOWHERE, Origin, current_origin


def test_cairn_s_own_work_came_from_nowhere() -> None:
    assert Origin() == NOWHERE
    assert (NOWHERE.address, NOWHERE.request_id) == ("", "")


async def test_an_audit_entry_and_a_task_inside_the_request_know_where_it_came_from() -> None:
    with bind_request("r1", address="192.0.2.7"):
        seen = await asyncio.create_task(_look())
    assert seen == Origin("192.0.2.7", "r1")
    assert current_origin() == NOWHERE


async def _look() -> Origin:
    return current_origin()
