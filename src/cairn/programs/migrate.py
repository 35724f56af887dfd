"""``cairnd migrate``: bring the database to this version's schema; on the first run, print the administrator's link."""

import sys

from cairn.base.settings import Settings
from cairn.db.database import open_database
from cairn.db.durability import require_durable
from cairn.db.migrate import head, upgrade
from cairn.programs.start import run, start

HELP = """Usage: cairnd migrate

Bring the database of CAIRN_DATABASE_URL to this version's schema. Safe to run again and on several nodes at once: one
migrates, the others wait. While there is no administrator, it prints a link that makes one.
"""


def main() -> None:
    """Migrate and say what was done; end with one sentence if it cannot be."""
    settings, _ = start("migrate", HELP)
    run("migrate", lambda: migrate(settings))


async def migrate(settings: Settings) -> int:
    """Leave the database at the newest version, checked; print the first administrator's link if one is due.

    Return the exit code.
    """
    from cairn.identity.first_run import announce

    database = open_database(settings.effective_database_url, pool_size=settings.database_pool_size)
    try:
        before = await upgrade(database)
        newest = max(before, head())
        print(f"schema version {newest:04}" + ("" if before == newest else f", was {before:04}"))
        for finding in await require_durable(database):
            print(f"warning: {finding}", file=sys.stderr)
        await announce(database, settings)
        return 0
    finally:
        await database.close()
