"""What a sync leaves behind: pauses that grow, a mail at the end, nothing where somebody changed their mind."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text, update
from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer, Request
from tests.factories.git_repositories import StockRepository
from tests.factories.importing import refs_of
from tests.factories.mirroring import mirror_now, mirror_of, sync_again
from tests.factories.work import services_of

from cairn.access.models import Grant
from cairn.access.roles import Role
from cairn.base.actor import SYSTEM
from cairn.base.clock import utc_now
from cairn.identity.models import Account
from cairn.mail.outbox import Outbox, list_mails
from cairn.repositories.mirrors.edit import pause_mirror, resume_mirror
from cairn.repositories.mirrors.models import Mirror, MirrorState
from cairn.repositories.mirrors.sync import FAILURES_MAX, pause_after


def test_each_pause_is_twice_the_one_before_up_to_a_day() -> None:
    assert [pause_after(count) for count in (1, 2, 3, 4)] == [timedelta(minutes=5 * 2**n) for n in range(4)]
    assert pause_after(FAILURES_MAX) == pause_after(1000) == timedelta(days=1)


async def away(request: Request, writer: asyncio.StreamWriter) -> bool:
    writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    return True


async def test_a_source_that_stays_away_stops_the_mirror_and_tells_its_owner_once(
    forge: Forge, ada: Person, server: GitServer
) -> None:
    made = await forge.repository(ada, "engine")
    mirror = await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True, user="ada", password="s3cr3t-word")
    server.answer = away
    dues = []
    for count in range(1, FAILURES_MAX + 1):
        mirror = await sync_again(forge, mirror)
        assert (mirror.failures, "503" in mirror.failure) == (count, True)
        assert mirror.tried_at is not None
        dues.append(mirror.due_at - mirror.tried_at)
    assert dues == sorted(dues)
    assert mirror.state is MirrorState.FAILED
    server.answer = None
    mirror = await sync_again(forge, mirror)
    assert mirror.failures == FAILURES_MAX, "it is not tried any more"
    outbox = services_of(forge.engine)[Outbox]
    async with forge.database.read() as session:
        [mail] = await list_mails(session, SYSTEM)
        words = await outbox.read(session, SYSTEM, mail.id)
    assert (mail.recipient, mail.subject) == ("ada@example.test", "The mirror of ada/engine has stopped")
    assert "503" in words.text
    assert "s3cr3t-word" not in words.text + words.html
    async with forge.database.write() as session:
        await resume_mirror(session, forge.engine.settings, ada.actor, made.id, mirror.id)
    mirror = await sync_again(forge, mirror)
    assert (mirror.state, mirror.failures, mirror.failure) == (MirrorState.ACTIVE, 0, "")


async def test_pausing_ends_a_sync_under_way(forge: Forge, ada: Person, server: GitServer) -> None:
    made = await forge.repository(ada, "engine")

    async def pause(request: Request, writer: asyncio.StreamWriter) -> bool:
        if request.is_fetch:
            async with forge.database.write() as session:
                [mirror_id] = await session.scalars(Mirror.__table__.select().with_only_columns(Mirror.id))
                await pause_mirror(session, ada.actor, made.id, mirror_id)
        return False

    server.answer = pause
    mirror = await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True)
    assert (mirror.state, mirror.synced_at, mirror.failures) == (MirrorState.PAUSED, None, 0)
    assert await refs_of(forge, made) == {}


async def _suspend(forge: Forge, ada: Person, values: dict[str, Any]) -> None:
    async with forge.database.write() as session:
        await session.execute(update(Account).where(Account.id == ada.account.id).values(**values))


async def test_nothing_leaves_in_the_name_of_somebody_who_may_not_any_more(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository
) -> None:
    """The attack: an administrator sets up a mirror to a place of their own, and is let go."""
    eve = await forge.person("eve")
    made = await forge.repository(ada, "engine", files={"a": b"1"})
    await forge.grant(made, eve, Role.ADMIN)
    source.git("config", "http.receivepack", "true")
    mirror = await mirror_now(forge, eve, made, server.url("r.git"), is_pull=False, prunes=False)
    assert mirror.failure == ""
    async with forge.database.write() as session:
        grant = await session.get_one(Grant, (made.id, eve.account.id))
        await session.delete(grant)
    before = len(server.requests)
    await forge.commit(ada, made, {"a": b"2"})
    mirror = await sync_again(forge, mirror)
    assert mirror.failure.startswith("eve set this mirror up and may no longer administer")
    assert len(server.requests) == before
    await forge.grant(made, eve, Role.ADMIN)
    await _suspend(forge, eve, {"suspended_at": utc_now()})
    mirror = await sync_again(forge, mirror)
    assert (mirror.failures, len(server.requests)) == (2, before)
    async with forge.database.write() as session:
        await session.execute(update(Mirror).values(failures=FAILURES_MAX - 1))
    assert (await sync_again(forge, mirror)).state is MirrorState.FAILED
    async with forge.database.read() as session:
        assert [mail.recipient for mail in await list_mails(session, SYSTEM)] == ["ada@example.test"], "not eve's"


async def test_what_rules_refuse_is_skipped_with_the_reason(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository
) -> None:
    made = await forge.repository(ada, "engine")
    body = {
        "name": "No topics",
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["refs/heads/topic-*"], "exclude": []}},
        "rules": [{"type": "creation"}],
    }
    assert (await forge.api(ada).call("POST", "/repos/ada/engine/rulesets", json=body)).status_code == 201
    mirror = await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True)
    assert [name for name, _ in mirror.skipped] == ["refs/heads/topic-0", "refs/heads/topic-1"]
    assert all("No topics" in reason for _, reason in mirror.skipped)
    assert (mirror.failure, mirror.skipped_count, mirror.moved_count) == ("", 2, 2)
    assert set(await refs_of(forge, made)) == {"refs/heads/trunk", "refs/tags/v1"}


async def test_a_deleted_or_archived_repository_waits(forge: Forge, ada: Person, server: GitServer) -> None:
    made = await forge.repository(ada, "engine")
    mirror = await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True)
    answer = await forge.api(ada).call("PATCH", "/repos/ada/engine", json={"archived": True})
    assert answer.status_code == 200
    before = len(server.requests)
    mirror = await sync_again(forge, mirror)
    assert (len(server.requests), mirror.failures) == (before, 0)
    await forge.api(ada).call("PATCH", "/repos/ada/engine", json={"archived": False})
    await forge.api(ada).call("DELETE", "/repos/ada/engine")
    await sync_again(forge, mirror)
    assert len(server.requests) == before
    assert (await mirror_of(forge, mirror.id)).state is MirrorState.ACTIVE


@pytest.mark.parametrize("kind", ["job", "event", "audit_entry", "repository_mirror"])
async def test_credentials_stand_in_no_row(forge: Forge, ada: Person, server: GitServer, kind: str) -> None:
    made = await forge.repository(ada, "engine")
    server.credentials = "ada:s3cr3t-word"
    await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True, user="ada", password="s3cr3t-word")
    async with forge.database.read() as session:
        rows = (await session.execute(text(f"SELECT * FROM {kind}"))).all()
    assert rows
    assert "s3cr3t-word" not in str(rows)
