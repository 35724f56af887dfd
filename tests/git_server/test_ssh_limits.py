"""Who is let in over SSH, and who has failed too often."""

from cairn.git_server.ssh_limits import FAILURE_WINDOW_SECONDS, FAILURES_MAX, SLOW_SECONDS, ConnectionLimits


def test_limits_count_addresses_apart_and_only_failed_connections() -> None:
    now = 0.0
    limits = ConnectionLimits(per_address=2, total=3, clock=lambda: now)
    assert limits.admit("a")
    assert limits.admit("a")
    assert not limits.admit("a")
    assert limits.admit("b")
    assert not limits.admit("c"), "the total is reached"
    fullness = [limits.is_full]
    limits.release("a")
    fullness.append(limits.is_full)
    assert fullness == [True, False]
    assert limits.admit("c")
    limits.release("c")
    assert limits.open_connections == 2


def test_an_address_that_fails_all_the_time_is_slowed_down_and_never_shut_out() -> None:
    """Attack: let a machine in an office fail, and nobody there can push any more."""
    now = 0.0
    limits = ConnectionLimits(per_address=2, total=3, clock=lambda: now)
    for _ in range(FAILURES_MAX):
        assert limits.delay_seconds("office") == 0
        limits.failed("office")
    assert limits.admit("office")
    assert limits.delay_seconds("office") == SLOW_SECONDS
    assert limits.delay_seconds("elsewhere") == 0
    now = FAILURE_WINDOW_SECONDS + 1
    assert limits.delay_seconds("office") == 0
