"""An entry as JSON says everything the row says, in GitHub's words where there are some."""

import json
from datetime import UTC, datetime

from tests.audit.log_support import make_organization, write

from cairn.audit.export import entry_json, export_lines
from cairn.audit.models import AuditEntry
from cairn.audit.queries import AuditFilter
from cairn.db.database import Database


def test_what_is_not_known_is_left_out_and_the_rest_has_githubs_names() -> None:
    entry = AuditEntry(
        id=7, at=datetime(2026, 1, 2, tzinfo=UTC), actor_id=1, actor="ada", action="repository.delete", target="s/e",
        organization_id=5, repository_id=9, address="192.0.2.7", user_agent="", request_id="f",
        details={"note": "x"}, changes={"name": ["a", "b"]},
    )  # fmt: skip
    assert entry_json(entry, organization="s", repository="s/e") == {
        "@timestamp": 1767312000000, "_document_id": "7", "action": "repository.delete", "actor": "ada", "actor_id": 1,
        "actor_ip": "192.0.2.7", "created_at": 1767312000000, "org": "s", "org_id": 5, "repo": "s/e", "repo_id": 9,
        "request_id": "f", "target": "s/e", "data": {"note": "x"}, "changes": {"name": {"before": "a", "after": "b"}},
    }  # fmt: skip


async def test_every_line_is_one_entry(database: Database) -> None:
    async with database.write() as session:
        organization = await make_organization(session, "stones")
    await write(database, 3, account_id=organization.id)
    await write(database, 1)
    wanted = AuditFilter(organization_id=organization.id)
    lines = [line async for line in export_lines(database, wanted, organizations={organization.id: "stones"})]
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert [json.loads(line)["org"] for line in lines] == ["stones"] * 3
