"""Every table of Cairn in one place, and the developer's command that drafts a new schema version.

``python -m cairn.programs.schema SLUG`` compares the models with the newest version and writes the difference as the
next file below ``cairn/db/migrations/versions``, to be read and tidied by hand.
"""

import asyncio
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import LargeBinary, MetaData

import cairn.access.models
import cairn.audit.models
import cairn.events.models
import cairn.git.indexes
import cairn.git.models
import cairn.identity.models
import cairn.jobs.models
import cairn.lfs.models
import cairn.mail.models
import cairn.ops.backup.models
import cairn.ops.models
import cairn.repositories.imports.models
import cairn.repositories.life.models
import cairn.repositories.mirrors.models
import cairn.repositories.models
import cairn.repositories.releases.models
import cairn.repositories.rules.models
import cairn.repositories.wiki.models  # noqa: F401 (imported to be registered)
from cairn.db import base
from cairn.db.base import Base

_FROZEN = {id(getattr(base, name)): name for name in ("BigId", "OID", "HexId", "HashHex")}


def metadata() -> MetaData:
    """Return the metadata that holds every table."""
    return Base.metadata


def main() -> None:
    """Write the draft of the next version and print its path."""
    if len(sys.argv) != 2 or not sys.argv[1].replace("_", "").isalnum():
        sys.exit("usage: python -m cairn.programs.schema SLUG   (lower-case words with underscores)")
    print(asyncio.run(draft(sys.argv[1])))


async def draft(slug: str) -> Path:
    """Write ``NNNN_slug.py`` with what the models have and the newest version has not; return its path."""
    from cairn.db.database import open_database
    from cairn.db.migrate import VERSIONS, head, upgrade

    with tempfile.TemporaryDirectory() as folder:
        database = open_database(f"sqlite:///{folder}/draft.db", pool_size=1)
        try:
            await upgrade(database)
            async with database.engine.connect() as connection:
                text = await connection.run_sync(_render, slug, head())
        finally:
            await database.close()
    path = VERSIONS / f"{head() + 1:04}_{slug}.py"
    path.write_text(text)
    return path


def _render(connection: Any, slug: str, newest: int) -> str:  # noqa: ANN401 (run_sync's connection)
    from alembic.autogenerate import produce_migrations, render_python_code
    from alembic.migration import MigrationContext

    options = {"target_metadata": metadata(), "render_item": _render_type, "user_module_prefix": "base."}
    context = MigrationContext.configure(connection, opts=options)
    changes = produce_migrations(context, metadata())
    assert changes.upgrade_ops is not None
    body = render_python_code(changes.upgrade_ops, render_item=_render_type, user_module_prefix="base.")
    return (
        f'"""{slug.replace("_", " ").capitalize()}."""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n'
        "from cairn.db import base\n\n"
        f'revision = "{newest + 1:04}"\ndown_revision = {f"{newest:04}" if newest else None!r}\n\n\n'
        f'def upgrade() -> None:\n    """Say here what changes."""\n{_tidy(body)}'
    )


def _tidy(body: str) -> str:
    """Leave the operations only, and write the table options by their frozen name."""
    lines = [line.strip() for line in body.splitlines() if not line.strip().startswith("#")]
    text = "".join(f"    {line}\n" for line in lines if line)
    text = re.sub(r"op\.f\(('[^']*')\)", r"\1", text)
    options = r"mysql_charset='utf8mb4',\s*mysql_collate='utf8mb4_bin',\s*mysql_engine='InnoDB'"
    text = re.sub(options + r",\s*sqlite_autoincrement=True", "**base.NUMBERED_TABLE", text)
    return re.sub(options, "**base.MYSQL_TABLE", text)


def _render_type(kind: str, item: object, context: object) -> str | Literal[False]:
    """Write the types of ``cairn.db.base``, which are frozen, by their names."""
    if kind != "type":
        return False
    if id(item) in _FROZEN:
        return f"base.{_FROZEN[id(item)]}"
    if isinstance(item, base.UtcDateTime):
        return "base.UtcDateTime()"
    if isinstance(item, LargeBinary) and item._variant_mapping:  # noqa: SLF001 (SQLAlchemy has no public way)
        return f"base.binary({item.length})"
    if isinstance(item, base.EnumText):
        return f"sa.String({item.length})"
    return False


if __name__ == "__main__":
    main()
