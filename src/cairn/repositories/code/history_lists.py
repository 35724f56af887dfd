"""Histories as pages show them: by day, with the accounts behind the addresses that commits carry."""

from collections.abc import Iterable

from cairn.git.reading import Commit
from cairn.identity.attribution import Authors, find_authors
from cairn.web.context import RequestContext


async def authors_of(context: RequestContext, commits: Iterable[Commit]) -> Authors:
    """Return the accounts of all authors and committers: one statement for a whole page."""
    emails = {signature.email for commit in commits for signature in (commit.author, commit.committer)}
    return await authors_of_emails(context, emails)


async def authors_of_emails(context: RequestContext, emails: Iterable[str]) -> Authors:
    """Return the accounts behind addresses, in one statement."""
    async with context.site.database.read() as session:
        return await find_authors(session, context.settings.host, emails)


def by_day(commits: Iterable[Commit]) -> list[tuple[str, list[Commit]]]:
    """Group commits by the day their committer saw, keeping the order of history."""
    days: list[tuple[str, list[Commit]]] = []
    for item in commits:
        day = item.committer.at.strftime("%-d %B %Y")
        if not days or days[-1][0] != day:
            days.append((day, []))
        days[-1][1].append(item)
    return days
