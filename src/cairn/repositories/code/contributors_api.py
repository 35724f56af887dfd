"""Who wrote a repository, over REST."""

from collections.abc import Iterable

import msgspec
from litestar.handlers import HTTPRouteHandler

from cairn.access.actions import Action
from cairn.git.engine import Engine
from cairn.identity.attribution import ADDRESSES_MAX, Authors
from cairn.identity.schemas import simple_user
from cairn.repositories.api_routes import REPOSITORY, choose, follows_renames, read_repository
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.contributors_pages import Contributor, contributors_of
from cairn.repositories.code.history_lists import authors_of_emails
from cairn.repositories.serializers import Json, Links, links_of
from cairn.web.api import Page, read_page
from cairn.web.context import RequestContext
from cairn.web.costs import Cost
from cairn.web.routing import api

_ANON = {"": False, "0": False, "false": False, "1": True, "true": True}


@api.get(f"{REPOSITORY}/contributors", action=Action.REPOSITORY_READ, resource="repository", cost=Cost.HISTORY)
@follows_renames
async def list_contributors(context: RequestContext, engine: Engine, owner: str, repo: str) -> Page[Json]:
    """Answer who wrote the default branch, the busiest first; with ``anon=1`` also who has no account.

    Accounts are found for the first thousand addresses; with ``anon=1`` the others stand there by name.
    """
    with_anonymous = choose(context, "anon", _ANON, "")
    asked = read_page(context)
    repository = await read_repository(context, owner, repo)
    links = links_of(context, repository.owner, repository.name)
    async with open_code(engine, repository.store_id) as code:
        revision = await code.default_revision()
        found = await contributors_of(code, revision) if revision is not None else []
    authors = await authors_of_emails(context, [one.person.email for one in found[:ADDRESSES_MAX]])
    listed = _listed(links, found, authors, with_anonymous=with_anonymous)
    return Page(listed[asked.offset : asked.offset + asked.per_page], asked, total=len(listed))


def _listed(links: Links, found: Iterable[Contributor], authors: Authors, *, with_anonymous: bool) -> list[Json]:
    """Return accounts with the commits of all their addresses, and what nobody's are by name."""
    by_account: dict[int, Json] = {}
    listed: list[Json] = []
    for one in found:
        author = authors.of(one.person.email)
        if author is None:
            if with_anonymous:
                listed.append(
                    {
                        "email": one.person.email,
                        "name": one.person.name,
                        "type": "Anonymous",
                        "contributions": one.commits,
                    }
                )
        elif author.account_id in by_account:
            by_account[author.account_id]["contributions"] += one.commits
        else:
            user = simple_user(
                links.origin,
                account_id=author.account_id,
                login=author.login,
                kind=author.kind,
                is_site_admin=author.is_site_admin,
            )
            body = by_account[author.account_id] = msgspec.structs.asdict(user) | {"contributions": one.commits}
            listed.append(body)
    return sorted(listed, key=lambda one: -one["contributions"])


route_handlers: list[HTTPRouteHandler] = [list_contributors]
