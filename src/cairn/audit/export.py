"""An audit entry as JSON: GitHub's names where it has one, ours beside them; a whole log as JSON lines."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from cairn.audit.models import AuditEntry
from cairn.audit.queries import AuditFilter, iterate_entries
from cairn.db.database import Database

MEDIA_TYPE = "application/x-ndjson"


def entry_json(entry: AuditEntry, *, organization: str = "", repository: str = "") -> dict[str, Any]:
    """Return an entry as the API answers it; times are milliseconds since 1970, as GitHub's are."""
    moment = int(entry.at.timestamp() * 1000)
    found: dict[str, Any] = {
        "@timestamp": moment,
        "_document_id": str(entry.id),
        "action": entry.action,
        "actor": entry.actor,
        "actor_id": entry.actor_id,
        "actor_ip": entry.address or None,
        "created_at": moment,
        "org": organization or None,
        "org_id": entry.organization_id,
        "repo": repository or None,
        "repo_id": entry.repository_id,
        "user_id": entry.account_id,
        "user_agent": entry.user_agent or None,
        "request_id": entry.request_id or None,
    }
    told = {name: value for name, value in found.items() if value is not None}
    changes = {name: {"before": old, "after": new} for name, (old, new) in (entry.changes or {}).items()}
    return told | {"target": entry.target, "data": entry.details, "changes": changes}


async def export_lines(
    database: Database, wanted: AuditFilter, *, organizations: Mapping[int, str] | None = None
) -> AsyncIterator[bytes]:
    """Yield every wanted entry as a line of JSON, newest first."""
    names = organizations or {}
    async for entry in iterate_entries(database, wanted):
        yield msgspec.json.encode(entry_json(entry, organization=names.get(entry.organization_id or 0, ""))) + b"\n"
