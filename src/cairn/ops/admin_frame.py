"""The frame every administration page stands in: navigation, no caching, and who may see it."""

from datetime import datetime

from litestar import Response

from cairn.base.clock import parse_moment
from cairn.base.errors import FieldProblem, Invalid
from cairn.web.context import RequestContext
from cairn.web.render import render

PATH = "/admin"
SECTIONS = (
    ("", "Overview", "home"),
    ("/users", "Users", "people"),
    ("/organizations", "Organizations", "organization"),
    ("/repositories", "Repositories", "repo"),
    ("/deleted", "Deleted repositories", "trash"),
    ("/registration", "Registration", "sign-in"),
    ("/announcements", "Announcements", "bell"),
    ("/jobs", "Jobs", "clock"),
    ("/storage", "Storage", "stack"),
    ("/backups", "Backups", "archive"),
    ("/programs", "Programs", "device-desktop"),
    ("/mail", "Mail", "mail"),
    ("/settings", "Settings", "gear"),
    ("/audit", "Audit log", "history"),
)
"""Path below ``/admin``, words and icon of each section."""

PER_PAGE = 50


def show(context: RequestContext, template: str, section: str, *, status: int = 200, **values: object) -> Response[str]:
    """Return an administration page; ``section`` is the path of its entry in the navigation."""
    sections = [(text, PATH + path, icon, path == section) for path, text, icon in SECTIONS]
    headers = {"Cache-Control": "no-store"}
    return render(context, f"ops/{template}", status=status, headers=headers, sections=sections, **values)


def read_moment(text: str, field: str) -> datetime | None:
    """Return a date or a date with time, UTC, as browsers' date fields send them; None for an empty text."""
    if not text:
        return None
    try:
        return parse_moment(text)
    except ValueError:
        message = f"{text[:40]!r} is no date; write 2026-01-31 or 2026-01-31T12:00."
        raise Invalid(message, FieldProblem(field, "invalid", message)) from None
