"""How long tokens may live: a bound of the installation, and one of each organization for the tokens made for it.

It holds when a token is made and each time one is used, so that a bound set later ends older tokens that exceed it.
"""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.models import Organization
from cairn.base.errors import Forbidden

LIFETIME_DAYS_MAX = 3650
"""The longest bound an organization can set."""
_CLOCKS_DIFFER = timedelta(minutes=5)
"""Who asks for the longest lifetime counts from a program's clock, the limit is checked by the database's."""


class TokenLivesTooLong(Forbidden):
    """The token is real, but was made to live longer than a policy of today allows."""


def shortest(*days: int) -> int:
    """Return the strictest of some bounds in days; 0 is no bound, and the answer if there is none."""
    return min((one for one in days if one), default=0)


def exceeds(created_at: datetime, expires_at: datetime | None, days: int) -> bool:
    """Tell whether a token made then, to live until ``expires_at`` (None: for ever), exceeds a bound; 0 is none."""
    return days > 0 and (expires_at is None or expires_at > created_at + timedelta(days=days) + _CLOCKS_DIFFER)


def require_short(
    created_at: datetime, expires_at: datetime | None, *, installation_days: int, organization_days: int
) -> None:
    """Return if a token keeps to both bounds; TokenLivesTooLong says whose it exceeds, and what to do."""
    for days, whose in ((installation_days, "This site"), (organization_days, "The organization it is for")):
        if exceeds(created_at, expires_at, days):
            raise TokenLivesTooLong(
                f"{whose} allows tokens to live at most {days} {'day' if days == 1 else 'days'}, and this one was made "
                "to live longer. Regenerate it with a shorter lifetime."
            )


async def lifetime_days_of(session: AsyncSession, owner_id: int | None) -> int:
    """Return the bound that an organization sets for tokens made for it; 0 for none, for people and for None."""
    # Primary key of organization.
    organization = None if owner_id is None else await session.get(Organization, owner_id)
    return 0 if organization is None else organization.token_lifetime_max_days
