"""Giving a repository to another owner over REST. A person is asked first, as on GitHub; the answer is 202 always."""

from typing import Annotated

import msgspec
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.ids import RowId
from cairn.mail.outbox import Outbox
from cairn.repositories.api_routes import REPOSITORY, follows_renames
from cairn.repositories.fork_api import whole_repository
from cairn.repositories.queries import find_repository
from cairn.repositories.serializers import Json
from cairn.repositories.transfer_limits import count_offer
from cairn.repositories.transfer_offers import ask_transfer
from cairn.web.context import RequestContext
from cairn.web.routing import api

TEAMS_MAX = 100
"""Teams let in by one transfer."""


class Transfer(msgspec.Struct, kw_only=True):
    """The body of a transfer. ``team_ids`` of the new organization read the repository from then on."""

    new_owner: str
    new_name: str | None = None
    team_ids: Annotated[list[RowId], Meta(max_length=TEAMS_MAX)] = []


def make_route_handlers(outbox: Outbox) -> list[HTTPRouteHandler]:
    """Return the operation; ``outbox`` takes the mail to whoever is asked."""

    @api.post(f"{REPOSITORY}/transfer", action=Action.REPOSITORY_TRANSFER, resource="repository", status=202, sudo=True)
    @follows_renames
    async def transfer(
        context: RequestContext, session: AsyncSession, actor: Actor, owner: str, repo: str, body: Transfer
    ) -> Json:
        """Give a repository to an organization at once, or offer it to a person, and answer it as it is then."""
        repository = await find_repository(session, actor, owner, repo, Action.REPOSITORY_TRANSFER)
        await count_offer(context, session, body.new_owner)
        found = await ask_transfer(
            session,
            outbox,
            actor,
            repository.id,
            new_owner=body.new_owner,
            new_name=body.new_name,
            team_ids=body.team_ids,
        )
        return await whole_repository(context, session, found)

    return [transfer]
