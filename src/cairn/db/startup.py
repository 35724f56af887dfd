"""How every program but ``cairnd migrate`` opens its database."""

from cairn.base.log import get_logger
from cairn.base.settings import Settings
from cairn.db.database import Database, open_database
from cairn.db.durability import Finding, require_durable
from cairn.db.migrate import require_current

_log = get_logger(__name__)


async def open_ready_database(settings: Settings) -> tuple[Database, list[Finding]]:
    """Return the database, checked, and the warnings to list as degraded.

    Errors: SchemaTooOld; DatabaseMisconfigured for settings that endanger data; DatabaseAway.
    """
    database = open_database(settings.effective_database_url, pool_size=settings.database_pool_size)
    try:
        await require_current(database)
        findings = await require_durable(database)
    except BaseException:
        await database.close()
        raise
    for finding in findings:
        _log.warning("database_not_durable", finding=str(finding))
    return database, findings
