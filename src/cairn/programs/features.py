"""What features register at import: jobs, schedules and event subscribers.

A program that changes something must know the subscribers, because ``emit`` writes their job rows; the worker must know
the jobs too. A feature adds its ``subscribers`` or ``jobs`` module to the list it belongs to.
"""

from importlib import import_module

SUBSCRIBERS: tuple[str, ...] = ("cairn.repositories.life.jobs",)
JOBS = (
    "cairn.jobs.retention",
    "cairn.events.retention",
    "cairn.audit.jobs",
    "cairn.identity.jobs",
    "cairn.mail.jobs",
    "cairn.lfs.jobs",
    "cairn.repositories.fork_jobs",
    "cairn.repositories.imports.jobs",
    "cairn.repositories.languages.jobs",
    "cairn.repositories.mirrors.jobs",
    "cairn.repositories.rules.jobs",
    "cairn.repositories.releases.jobs",
    "cairn.repositories.transfer_jobs",
    "cairn.ops.maintenance",
    "cairn.ops.collecting",
    "cairn.ops.backup.jobs",
    "cairn.ops.indexing",
)


MAIL_PACKAGES = ("cairn.identity", "cairn.repositories")
"""Packages with mail templates of their own, in the order they are looked through."""


def load_subscribers() -> None:
    """Make every feature's event subscribers known to ``emit`` in this process."""
    for name in SUBSCRIBERS:
        import_module(name)


def load_jobs() -> None:
    """Make every job, schedule and subscriber known to the worker of this process."""
    load_subscribers()
    for name in JOBS:
        import_module(name)
