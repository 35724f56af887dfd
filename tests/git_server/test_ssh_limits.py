"""Who is let in over SSH, and who has failed too often."""

from cairn.git_server.ssh_limits import FAILURE_WINDOW_SECONDS, FAILURES_MAX, ConnectionLimits


def test_limits_count_addresses_apart_and_only_failed_connections() -> None:
    now = 0.0
    limits = ConnectionLimits(per_address=2, total=3, clock=lambda: now)
    assert limits.admit("a")
    assert limits.admit("a")
    assert not limits.admit("a")
    assert limits.admit("b")
    assert not limits.admit("c"), "the total is reached"
    limits.release("a")
    assert limits.admit("c")
    limits.release("c")
    for _ in range(FAILURES_MAX):
        limits.failed("evil")
    assert not limits.admit("evil")
    assert limits.admit("good")
    limits.release("good")
    now = FAILURE_WINDOW_SECONDS + 1
    assert limits.admit("evil")
    assert limits.open_connections == 3
