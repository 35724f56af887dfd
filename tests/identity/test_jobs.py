"""The worker ends what is over: sessions past their time, and nothing else."""

from datetime import timedelta

from cairn.identity import jobs
from cairn.identity.sessions import delete_expired
from cairn.jobs.registry import registry


def test_expired_sessions_are_deleted_once_a_day() -> None:
    assert registry.schedules["identity.expired_sessions"] == timedelta(days=1)
    assert jobs.delete_expired is delete_expired
