"""Where the features meet the worker: importing a module registers the jobs and subscribers it declares."""

from importlib import import_module

MODULES = ("cairn.jobs.retention", "cairn.events.retention")
"""Every module that registers a job, a schedule or a subscriber."""


def load_jobs() -> None:
    """Register every job of every feature."""
    for module in MODULES:
        import_module(module)
