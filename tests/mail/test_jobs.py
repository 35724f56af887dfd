"""The worker sends what waits in the outbox."""

import asyncio
from datetime import timedelta

from sqlalchemy import update
from tests.factories.mail_server import open_mail_server

from cairn.base.secret_box import SecretBox
from cairn.base.settings import Settings
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.jobs.context import JobContext
from cairn.jobs.registry import registry
from cairn.jobs.wake import Wakeups
from cairn.jobs.worker import run_worker
from cairn.mail import jobs
from cairn.mail.models import MailState, OutboxMail
from cairn.mail.outbox import Outbox


async def test_the_worker_sends_a_mail_that_was_posted(database: Database) -> None:
    assert "mail.send" in registry.kinds
    async with open_mail_server() as server:
        settings = Settings(**server.settings())
        box = Outbox(settings, SecretBox(["k" * 32]), ("cairn.identity",))
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(
                run_worker(
                    database,
                    {Outbox: box, Settings: settings},
                    concurrency=1,
                    stop=stop,
                    wakeups=Wakeups(database, redis_url=""),
                    drain_seconds=30,
                )
            )
            async with database.write() as session:
                mail_id = await box.post(
                    session, "identity/mail/verify_email", to="a@b.test", login="a", email="a@b.test", link="L"
                )
            await asyncio.wait_for(server.arrived.wait(), 60)
            stop.set()
    async with database.read() as session:
        assert (await session.get_one(OutboxMail, mail_id)).state is MailState.SENT


async def test_retention_is_the_settings(database: Database) -> None:
    settings = Settings(mail_retention_days=3)
    box = Outbox(settings, SecretBox(["k" * 32]), ("cairn.identity",))
    kept = []
    for days in (2, 4):
        async with database.write() as session:
            mail_id = await box.post(
                session, "identity/mail/verify_email", to="a@b.test", login="a", email="a@b.test", link="L"
            )
            at = await database_now(session, plus=-timedelta(days=days))
            await session.execute(update(OutboxMail).where(OutboxMail.id == mail_id).values(created_at=at))
        kept.append(mail_id)
    await jobs.keep_retention(JobContext(database, 1, 1, 1, {Settings: settings}))
    async with database.read() as session:
        assert await session.get(OutboxMail, kept[0]) is not None
        assert await session.get(OutboxMail, kept[1]) is None
