"""The outbox as administrators see it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.identity.web_support import People, open_people

from cairn.audit.models import AuditEntry
from cairn.base.secret_box import SecretBox
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.mail.outbox import Outbox
from cairn.ops import mail_pages

LINK = "https://cairn.test/-/emails/verify?secret=canary"
BOX = Outbox(Settings(external_url="https://cairn.test"), SecretBox(["k" * 32]), ("cairn.identity",))


@pytest.fixture
async def people(tmp_path: Path, database: Database) -> AsyncIterator[People]:
    handlers = mail_pages.make_route_handlers(BOX)
    async with open_people(tmp_path, database, handlers=handlers, packages=("cairn.ops",)) as opened:
        await opened.account("root", is_site_admin=True)
        await opened.account("ada")
        yield opened


async def post(people: People) -> str:
    async with people.database.write() as session:
        return await BOX.post(
            session, "identity/mail/verify_email", to="eve@else.test", login="eve", email="eve@else.test", link=LINK
        )


async def test_an_administrator_reads_what_was_not_sent_and_it_is_noted(people: People) -> None:
    mail_id = await post(people)
    root = await people.signed_in("root")
    listed = await root.get("/admin/mail")
    assert "eve@else.test" in listed.text
    assert "No mail server is set" in listed.text
    shown = await root.get(f"/admin/mail/{mail_id}")
    assert "canary" not in listed.text + shown.text
    read = await root.submit(f"/admin/mail/{mail_id}/read", {}, page=f"/admin/mail/{mail_id}")
    assert LINK in read.text
    assert read.headers["cache-control"] == "no-store"
    async with people.database.read() as session:
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "mail.read"))
    assert entry is not None
    assert (entry.actor, entry.target) == ("root", "eve@else.test")


async def test_nobody_else_knows_that_there_are_mails(people: People) -> None:
    mail_id = await post(people)
    ada = await people.signed_in("ada")
    for path in ("/admin/mail", f"/admin/mail/{mail_id}"):
        assert (await ada.get(path)).status_code == 404
    answer = await ada.submit(f"/admin/mail/{mail_id}/read", {}, page="/settings/profile")
    assert answer.status_code == 404
    async with people.database.read() as session:
        assert await session.scalar(select(AuditEntry).where(AuditEntry.action == "mail.read")) is None


async def test_without_a_server_nothing_is_sent_again(people: People) -> None:
    mail_id = await post(people)
    root = await people.signed_in("root")
    answer = await root.submit(f"/admin/mail/{mail_id}/retry", {}, page=f"/admin/mail/{mail_id}")
    assert answer.status_code == 409
    assert "CAIRN_SMTP_HOST" in answer.text
    assert (await root.get("/admin/mail/" + "0" * 32)).status_code == 404
