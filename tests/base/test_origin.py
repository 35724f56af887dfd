"""Where a request came from."""

from cairn.base.origin import NOWHERE, Origin


def test_cairn_s_own_work_came_from_nowhere() -> None:
    assert Origin() == NOWHERE
    assert (NOWHERE.address, NOWHERE.request_id) == ("", "")
