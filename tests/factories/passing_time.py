"""Virtual time for the engine's tables: everything they remember becomes older, the clock stays what it is."""

from datetime import timedelta

from sqlalchemy import text

from cairn.db.database import Database

_COLUMNS = (
    ("git_ref_log", "at"),
    ("git_push", "at"),
    ("git_upload", "expires_at"),
    ("git_pack", "created_at"),
    ("git_pack", "condemned_at"),
    ("git_undo_pack", "created_at"),
    ("git_undo_pack", "expires_at"),
    ("git_store", "collect_after"),
    ("lfs_upload", "expires_at"),
    ("lfs_object", "wanted_at"),
    ("lfs_blob", "condemned_at"),
    ("lfs_usage", "collected_at"),
    ("release_file", "since"),
)
_EARLIER = {
    "postgresql": "{column} - make_interval(secs => {seconds})",
    "mysql": "{column} - INTERVAL {seconds} SECOND",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', {column}, '-{seconds} seconds') || '000'",
}


async def let_pass(database: Database, time: timedelta) -> None:
    """Make every time in the engine's tables earlier by ``time``, as if that long had passed since."""
    async with database.write() as session:
        connection = await session.connection()
        earlier = _EARLIER["mysql" if connection.dialect.name == "mariadb" else connection.dialect.name]
        for table, column in _COLUMNS:
            value = earlier.format(column=column, seconds=int(time.total_seconds()))
            await connection.execute(text(f"UPDATE {table} SET {column} = {value} WHERE {column} IS NOT NULL"))
