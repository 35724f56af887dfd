"""Histories as pages show them: by day, with the accounts behind the addresses that commits carry."""

from collections.abc import Iterable
from dataclasses import dataclass

from cairn.git.reading import Commit
from cairn.git.trailers import co_authors
from cairn.identity.attribution import Authors, find_authors
from cairn.web.context import RequestContext


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as a commit names them."""

    name: str
    email: str


async def authors_of(context: RequestContext, commits: Iterable[Commit]) -> Authors:
    """Return the accounts of all authors, co-authors and committers: one statement for a whole page."""
    emails: set[str] = set()
    for commit in commits:
        emails.add(commit.committer.email)
        emails.update(person.email for person in people_of(commit))
    return await authors_of_emails(context, emails)


async def authors_of_emails(context: RequestContext, emails: Iterable[str]) -> Authors:
    """Return the accounts behind addresses, in one statement."""
    async with context.site.database.read() as session:
        return await find_authors(session, context.settings.host, emails)


def people_of(commit: Commit) -> list[Person]:
    """Return who wrote a commit: its author first, then whom its trailers name as co-authors."""
    author = Person(commit.author.name, commit.author.email)
    others = [Person(name, email) for name, email in co_authors(commit.message)]
    return [author, *(other for other in others if other.email.lower() != author.email.lower())]


def by_day(commits: Iterable[Commit]) -> list[tuple[str, list[Commit]]]:
    """Group commits by the day their committer saw, keeping the order of history."""
    days: list[tuple[str, list[Commit]]] = []
    for item in commits:
        day = item.committer.at.strftime("%-d %B %Y")
        if not days or days[-1][0] != day:
            days.append((day, []))
        days[-1][1].append(item)
    return days
