"""Who wrote a repository: people by the number of their commits, as a page and as an operation of the API."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.git.contributors import read_contributors
from cairn.git.engine import Engine
from cairn.git.mailmap import Mailmap, read_mailmap
from cairn.git.reading import BlobTooLarge, ObjectNotFound
from cairn.git.types import ObjectKind
from cairn.repositories.code.browse import Code, open_code
from cairn.repositories.code.history_lists import Person, authors_of_emails
from cairn.repositories.code.revisions import Place, Revision
from cairn.repositories.fork_progress import show_empty
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.web.api import PAGE_MAX
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.render import render
from cairn.web.routing import page

PEOPLE_PER_PAGE = 100
_MAILMAP_BYTES_MAX = 512 << 10


@dataclass(frozen=True, slots=True)
class Contributor:
    """Somebody and how many commits are theirs, merges not counted."""

    person: Person
    commits: int


async def contributors_of(code: Code, revision: Revision) -> list[Contributor]:
    """Return everybody who wrote a commit that a revision has, the busiest first, as its ``.mailmap`` names them."""
    engine, state, view = code.parts
    mailmap = await _mailmap(code, revision)
    counted: Counter[str] = Counter()
    people: dict[str, Person] = {}
    for one in await read_contributors(engine, state, view, revision.commit_oid):
        name, email = mailmap.proper(one.name, one.email)
        # Of several names with one address the busiest stands for all.
        people.setdefault(email.lower(), Person(name, email))
        counted[email.lower()] += one.commits
    return [Contributor(people[key], commits) for key, commits in counted.most_common()]


async def _mailmap(code: Code, revision: Revision) -> Mailmap:
    try:
        entry = await code.entry(Place(revision, b".mailmap"))
        if entry.kind is not ObjectKind.BLOB:
            return Mailmap()
        data = await code.blob(entry.oid, max_bytes=_MAILMAP_BYTES_MAX)
    except (ObjectNotFound, BlobTooLarge):
        return Mailmap()
    return read_mailmap(data.decode("utf-8", "replace"))


@page.get(
    "/{owner:str}/{repo:str}/contributors",
    action=Action.REPOSITORY_READ,
    resource="repository",
    cost=Cost.HISTORY,
    is_versioned=True,
)
async def contributors(
    context: RequestContext,
    actor: Actor,
    engine: Engine,
    owner: str,
    repo: str,
    page: int = 1,  # noqa: A002, RUF100 (the parameter's public name)
) -> Response[Any]:
    """Show who wrote the default branch, by commits."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    header = header_of(context, actor, repository, "commits")
    async with open_code(engine, repository.store_id) as code:
        revision = await code.default_revision()
        if revision is None:
            return await show_empty(context, header, has_refs=bool(code.snapshot.refs))
        found = await contributors_of(code, revision)
    number = max(1, min(page, PAGE_MAX))
    start = (number - 1) * PEOPLE_PER_PAGE
    shown = found[start : start + PEOPLE_PER_PAGE]
    return render(
        context,
        "repositories/contributors.html",
        **header,
        revision=revision,
        people=shown,
        first_place=start + 1,
        most=found[0].commits if found else 0,
        total=len(found),
        authors=await authors_of_emails(context, {one.person.email for one in shown}),
        number=number,
        has_more=start + PEOPLE_PER_PAGE < len(found),
    )


route_handlers: list[HTTPRouteHandler] = [contributors]
