"""Addresses of archives that work without a sign-in for five minutes: what the API redirects its callers to.

A link names who asked for it, and what they may read is asked again when it is used: it opens one archive of one
repository as that account, and nothing that they lost meanwhile.
"""

import hmac
import re

import msgspec

from cairn.base.actor import ANONYMOUS, Actor, ActorKind
from cairn.identity.authenticate import AccountSuspended, BadCredentials, refresh_actor
from cairn.web.context import RequestContext, Site
from cairn.web.downloads import LINK_SECONDS

_TOKEN = re.compile(r"(\d{1,19})\.(\d{1,12})\.([0-9a-f]{64})")


def make_link_token(context: RequestContext, repository_id: int, address: bytes) -> str:
    """Return the ``token`` parameter for one archive's address; empty for a caller without an account."""
    account_id = context.actor.account_id
    if account_id is None:
        return ""
    expires = int(context.site.clock().timestamp()) + LINK_SECONDS
    return f"{account_id}.{expires}.{_proof(context.site, account_id, expires, repository_id, address)}"


async def actor_of_link(context: RequestContext, token: str, repository_id: int, address: bytes) -> Actor:
    """Return who asked for the link, as they are now; ANONYMOUS for a link that is false or too old."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        return ANONYMOUS
    account_id, expires = int(found[1]), int(found[2])
    proof = _proof(context.site, account_id, expires, repository_id, address)
    if not hmac.compare_digest(proof, found[3]) or expires < context.site.clock().timestamp():
        return ANONYMOUS
    try:
        async with context.site.database.read() as session:
            return await refresh_actor(session, Actor(ActorKind.USER, account_id))
    except (BadCredentials, AccountSuspended):
        return ANONYMOUS


def _proof(site: Site, account_id: int, expires: int, repository_id: int, address: bytes) -> str:
    # One canonical structure: parts that were merely joined could be cut elsewhere.
    facts = msgspec.json.encode([account_id, expires, repository_id, address.hex()])
    return site.sign("archive link", facts.decode("ascii")).hex()
