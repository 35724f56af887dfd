"""``cairnd admin restore-refs``: bring a repository's refs back to where they were."""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from cairn.base.actor import SYSTEM
from cairn.base.errors import CairnError, Invalid
from cairn.base.log import configure_logging
from cairn.base.settings import Settings, load_settings
from cairn.db.startup import open_ready_database
from cairn.git.engine import open_engine
from cairn.git.types import ZERO_OID, Oid, RefName, show
from cairn.programs.features import load_subscribers
from cairn.repositories.git_access import WIKI_ENDING
from cairn.repositories.queries import find_repository
from cairn.repositories.restore_refs import RefChange, plan_ref_restore, restore_refs
from cairn.repositories.rules.examine import make_examine
from cairn.repositories.wiki.stores import NoWiki
from cairn.storage.storage import open_storage


def restore_refs_command(
    repository: Annotated[
        str, typer.Argument(metavar="OWNER/NAME", help="The repository; OWNER/NAME.wiki for its wiki.")
    ],
    at: Annotated[
        str, typer.Option("--at", metavar="TIME", help="The moment: 2026-11-21T09:30:00Z; without a zone it is UTC.")
    ],
    refs: Annotated[
        list[str] | None, typer.Option("--ref", metavar="REF", help="Only this ref; may be given several times.")
    ] = None,
    is_dry: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Bring refs back to where they were at a moment, all or none. Exit code 1 if a value is no longer there."""
    import uvloop

    try:
        settings = load_settings(os.environ)
        configure_logging(program="admin", level="error", plain=settings.log_format == "plain")
        names = [_ref_name(ref) for ref in refs or []]
        changes = uvloop.run(_restore(settings, repository, _moment(at), names, is_dry=is_dry))
    except CairnError as error:
        print(f"cairnd admin: {error.message}", file=sys.stderr)
        raise SystemExit(1) from None
    _tell(changes, is_dry=is_dry)
    raise SystemExit(0 if all(change.is_available for change in changes) else 1)


async def _restore(
    settings: Settings, repository: str, at: datetime, names: Sequence[RefName], *, is_dry: bool
) -> list[RefChange]:
    load_subscribers()
    database, _ = await open_ready_database(settings)
    try:
        async with open_engine(settings, database, open_storage(settings), make_examine=make_examine) as engine:
            owner, _, name = repository.partition("/")
            is_wiki = name.lower().endswith(WIKI_ENDING)
            async with database.read() as session:
                found = await find_repository(session, SYSTEM, owner, name[: -len(WIKI_ENDING)] if is_wiki else name)
            store_id = found.wiki_store_id if is_wiki else found.store_id
            if store_id is None:
                raise NoWiki
            changes = await plan_ref_restore(engine, store_id, at, names=names)
            if not is_dry:
                await restore_refs(engine, store_id, found.id, SYSTEM, changes, is_wiki=is_wiki)
            return changes
    finally:
        await database.close()


def _tell(changes: Sequence[RefChange], *, is_dry: bool) -> None:
    for change in changes:
        line = f"{show(change.name)}: {_value(change.now)} -> {_value(change.then)}"
        print(line if change.is_available else f"{line}: no longer there, left as it is")
    moved = sum(change.is_available for change in changes)
    print(f"{moved:,} refs {'would be' if is_dry else ''} restored.".replace("  ", " "))


def _value(oid: Oid) -> str:
    return "nothing" if oid == ZERO_OID else oid


def _ref_name(text: str) -> RefName:
    """Return the full name of a ref; a short one is a branch's."""
    name = os.fsencode(text)
    return name if name.startswith(b"refs/") else b"refs/heads/" + name


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Invalid(f"--at {text[:60]!r}: wants a time such as 2026-11-21T09:30:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
