"""The outbox: sealed until sent, sent once it can be, read by administrators where it cannot."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.mail_server import MailServer, open_mail_server

from cairn.base.actor import ANONYMOUS, SYSTEM
from cairn.base.errors import Conflict, Forbidden, NotFound
from cairn.base.secret_box import SecretBox
from cairn.base.settings import Settings
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.jobs.models import Job
from cairn.mail.models import MailState, OutboxMail
from cairn.mail.outbox import Outbox, delete_old, find_mail, list_mails
from cairn.mail.smtp import MailServerAway

LINK = "https://cairn.test/-/emails/verify?secret=canary-of-this-test"
BOX = SecretBox(["k" * 32])


def outbox(server: MailServer | None = None, **more: Any) -> Outbox:
    reached = server.settings(**more) if server is not None else more
    return Outbox(Settings(external_url="https://cairn.test", **reached), BOX, ("cairn.identity",))


async def post(database: Database, box: Outbox) -> str:
    async with database.write() as session:
        return await box.post(
            session, "identity/mail/verify_email", to="ada@example.test", login="ada", email="ada@e.test", link=LINK
        )


async def row(database: Database, mail_id: str) -> OutboxMail:
    async with database.read() as session:
        return await session.get_one(OutboxMail, mail_id)


async def test_no_row_holds_a_secret_in_the_clear(any_database: Database) -> None:
    """A dump of the database must not verify an address or set a password."""
    async with open_mail_server() as server:
        mail_id = await post(any_database, outbox(server))
    async with any_database.read() as session:
        [job] = await session.scalars(select(Job))
        mail = await session.get_one(OutboxMail, mail_id)
    assert job.payload == {"mail_id": mail_id}
    shown = f"{vars(mail)!r} {job.payload!r} {job.unique_key!r}"
    assert "canary" not in shown
    assert mail.sealed is not None
    assert b"canary" not in mail.sealed


async def test_a_mail_that_is_sent_leaves_no_words_behind(any_database: Database) -> None:
    async with open_mail_server() as server:
        box = outbox(server)
        mail_id = await post(any_database, box)
        await box.send(any_database, mail_id, is_last_attempt=False)
        await box.send(any_database, mail_id, is_last_attempt=False)
    [arrived] = server.messages
    assert LINK in arrived.as_string().replace("=\n", "").replace("=3D", "=")
    mail = await row(any_database, mail_id)
    assert (mail.state, mail.sealed, mail.attempts) == (MailState.SENT, None, 1)
    assert mail.sent_at is not None


async def test_a_mail_of_a_change_that_was_rolled_back_is_never_sent(database: Database) -> None:
    async with open_mail_server() as server:
        box = outbox(server)

        async def change_that_fails() -> None:
            async with database.write() as session:
                await box.post(session, "identity/mail/verify_email", to="a@b.test", login="a", email="a", link=LINK)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await change_that_fails()
    async with database.read() as session:
        assert (await session.scalars(select(OutboxMail))).all() == []
        assert (await session.scalars(select(Job))).all() == []


async def test_a_server_that_is_away_is_tried_again_and_given_up_at_last(database: Database) -> None:
    async with open_mail_server(answer_rcpt="451 later") as server:
        box = outbox(server)
        mail_id = await post(database, box)
        with pytest.raises(MailServerAway):
            await box.send(database, mail_id, is_last_attempt=False)
        mail = await row(database, mail_id)
        assert (mail.state, mail.attempts) == (MailState.WAITING, 1)
        assert "451" in mail.last_error
        with pytest.raises(MailServerAway):
            await box.send(database, mail_id, is_last_attempt=True)
        assert (await row(database, mail_id)).state is MailState.FAILED
        server.answer_rcpt = ""
        async with database.write() as session:
            await box.retry(session, SYSTEM, mail_id)
        await box.send(database, mail_id, is_last_attempt=False)
    assert len(server.messages) == 1


async def test_a_refusal_for_good_ends_the_mail_at_once(database: Database) -> None:
    async with open_mail_server(answer_rcpt="550 no such person") as server:
        box = outbox(server)
        mail_id = await post(database, box)
        await box.send(database, mail_id, is_last_attempt=False)
    mail = await row(database, mail_id)
    assert (mail.state, mail.attempts) == (MailState.FAILED, 1)
    assert "550" in mail.last_error


async def test_without_a_server_the_mail_is_kept_for_administrators(database: Database) -> None:
    box = outbox()
    mail_id = await post(database, box)
    async with database.read() as session:
        assert (await session.scalars(select(Job))).all() == []
        [listed] = await list_mails(session, SYSTEM)
        words = await box.read(session, SYSTEM, mail_id)
        assert await find_mail(session, SYSTEM, mail_id) == listed
    assert (listed.state, listed.recipient, listed.is_readable) == (MailState.KEPT, "ada@example.test", True)
    assert LINK in words.text
    async with database.write() as session:
        with pytest.raises(Conflict, match="CAIRN_SMTP_HOST"):
            await box.retry(session, SYSTEM, mail_id)


async def test_only_administrators_see_mails(database: Database) -> None:
    box = outbox()
    mail_id = await post(database, box)
    async with database.write() as session:
        root = actor_of(await make_account(session, "root", is_site_admin=True))
        ada = actor_of(await make_account(session, "ada"))
    async with database.read() as session:
        assert len(await list_mails(session, root)) == 1
        for actor, error in [(ada, NotFound), (ANONYMOUS, NotFound), (with_token(root, "repo"), Forbidden)]:
            with pytest.raises(error):
                await list_mails(session, actor)
            with pytest.raises(error):
                await find_mail(session, actor, mail_id)
            with pytest.raises(error):
                await box.read(session, actor, mail_id)


async def test_a_sealed_mail_opens_in_its_own_row_only(database: Database) -> None:
    """Whoever can write to the database swaps the words of two mails, to send somebody another person's link."""
    box = outbox()
    first, second = await post(database, box), await post(database, box)
    async with database.write() as session:
        words = (await session.get_one(OutboxMail, first)).sealed
        await session.execute(update(OutboxMail).where(OutboxMail.id == second).values(sealed=words))
    async with database.read() as session:
        with pytest.raises(Exception, match="sealed for another place"):
            await box.read(session, SYSTEM, second)


async def test_old_mails_are_forgotten_whatever_became_of_them(any_database: Database) -> None:
    box = outbox()
    old, new = await post(any_database, box), await post(any_database, box)
    async with any_database.write() as session:
        at = await database_now(session, plus=-timedelta(days=8))
        await session.execute(update(OutboxMail).where(OutboxMail.id == old).values(created_at=at))
    assert await delete_old(any_database, older_than=timedelta(days=7)) == 1
    async with any_database.read() as session:
        assert (await session.scalars(select(OutboxMail.id))).all() == [new]


async def test_words_of_a_mail_stand_in_no_representation(tmp_path: Path, database: Database) -> None:
    async with open_mail_server(tls=tmp_path, wants_login=True) as server:
        settings = Settings(**server.settings())
        assert "letters-go-out" not in repr(settings)
        assert "letters-go-out" not in str(settings)
