"""The first run: one printed link that makes the first administrator."""

from datetime import timedelta

from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.identity.accounts import administrator_exists
from cairn.identity.models import LinkPurpose
from cairn.identity.one_time_links import make_link

SETUP_PATH = "/-/setup/"
LINK_LIFETIME = timedelta(hours=24)


async def announce(database: Database, settings: Settings) -> str | None:
    """Print a link that makes the first administrator and return it; None while there is one.

    The link works once within 24 hours. A later run makes a new one and the older stops working, so a link in an old
    log is worth nothing.
    """
    async with database.write() as session:
        if await administrator_exists(session):
            return None
        secret = await make_link(session, LinkPurpose.FIRST_ADMINISTRATOR, lifetime=LINK_LIFETIME, voids_others=True)
    link = f"{settings.origin}{SETUP_PATH}{secret}"
    print(f"Create the first administrator: {link}", flush=True)  # noqa: T201 (the operator's terminal is the channel)
    return link
