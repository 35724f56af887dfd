"""How many mails invitations may cause: each is one more to somebody who did not ask for it.

Counted where a request asks for a mail, after it was authorized: a stranger uses up nobody's share.
"""

import hashlib

from cairn.base.errors import Unauthenticated
from cairn.web.context import RequestContext
from cairn.web.counters import Rule

_DAY = 86_400
PER_PAIR = Rule("invitations-pair", 5, _DAY)
"""Mails that one person causes to one name or address, from whatever organizations they found."""
PER_INVITEE = Rule("invitations-invitee", 20, _DAY)
"""Mails to one name or address: so wide that one person alone keeps nobody from being invited by others."""
PER_ORGANIZATION = Rule("invitations-organization", 200, _DAY)
PER_INVITER = Rule("invitations-inviter", 300, _DAY)
"""Mails that one person causes, for all their organizations."""


async def count_invitation(context: RequestContext, organization_id: int, invitee: str) -> None:
    """Use one mail of the shares of who is invited, of the organization and of the caller. Errors: RateLimited."""
    if context.actor.account_id is None:
        raise Unauthenticated("Sign in to invite people.")
    name = invitee.strip().lower().removeprefix("@")
    digest, inviter = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest(), context.actor.account_id
    shares = (
        (PER_PAIR, f"{inviter}:{digest}"),
        (PER_INVITER, str(inviter)),
        (PER_ORGANIZATION, str(organization_id)),
        (PER_INVITEE, digest),
    )
    for rule, key in shares:
        message = f"Too many invitations were sent ({rule.limit} a day is the limit here); try again later."
        await context.site.limits.require(rule, key, message)
