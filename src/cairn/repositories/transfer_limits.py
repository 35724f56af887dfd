"""How many mails offers of repositories may cause: offering and taking back in turns is one more each time."""

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.identity.models import AccountKind
from cairn.identity.queries import find_account
from cairn.web.context import RequestContext
from cairn.web.counters import Rule

_DAY = 86_400
PER_PAIR = Rule("transfers-pair", 20, _DAY)
"""Offers of one person to another."""
PER_RECEIVER = Rule("transfers-receiver", 100, _DAY)
PER_GIVER = Rule("transfers-giver", 300, _DAY)


async def count_offer(context: RequestContext, session: AsyncSession, new_owner: str) -> None:
    """Use one offer of the shares of both people, if the new owner is another person: after authorization.

    Errors: RateLimited.
    """
    giver = context.actor.account_id
    receiver = await find_account(session, new_owner)
    if receiver is None or receiver.kind is not AccountKind.USER or receiver.id == giver:
        return
    shares = ((PER_PAIR, f"{giver}:{receiver.id}"), (PER_GIVER, str(giver)), (PER_RECEIVER, str(receiver.id)))
    for rule, key in shares:
        message = f"Too many repositories were offered ({rule.limit} a day is the limit here); try again later."
        await context.site.limits.require(rule, key, message)
