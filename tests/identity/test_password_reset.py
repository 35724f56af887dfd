"""A forgotten password: who gets a link, what it does, and what asking for one tells."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from tests.factories.accounts import make_account
from tests.factories.authentication import ADDRESS, PASSWORD, Authentication, make_authentication
from tests.identity.test_email_addresses import OUTBOX, SETTINGS

from cairn.audit.models import AuditEntry
from cairn.base.actor import SYSTEM
from cairn.base.errors import Unauthenticated
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.identity.models import Account, AccountEmail, LinkPurpose, OneTimeLink, Session
from cairn.identity.one_time_links import LinkUnusable
from cairn.identity.password_reset import LINKS_MAX, RESET_KIND, request_reset, reset_password, send_reset
from cairn.identity.passwords import PasswordRefused
from cairn.identity.sessions import sign_in
from cairn.jobs.models import Job
from cairn.mail.models import OutboxMail

NEW = "another horse battery"


@pytest.fixture
def parts(database: Database) -> Authentication:
    return make_authentication(database)


async def person(database: Database, parts: Authentication, login: str = "ada") -> Account:
    stored = await parts.passwords.hash(PASSWORD)
    async with database.write() as session:
        return await make_account(session, login, password_hash=stored)


async def ask(database: Database, name: str) -> str:
    """Do what the job does; return the secret that was sent, empty for none."""
    async with database.write() as session:
        before = set(await session.scalars(select(OutboxMail.id)))
        await send_reset(session, OUTBOX, SETTINGS, name)
        new = set(await session.scalars(select(OutboxMail.id))) - before
        if not new:
            return ""
        words = await OUTBOX.read(session, SYSTEM, new.pop())
    match = re.search(r"/password/reset\?secret=(\S+)", words.text)
    assert match
    return match[1]


async def can_enter(database: Database, parts: Authentication, password: str) -> bool:
    try:
        await sign_in(
            database,
            parts.authenticator,
            SETTINGS,
            name="ada",
            password=password,
            address=ADDRESS,
            user_agent="Firefox",
        )
    except Unauthenticated:
        return False
    return True


@pytest.mark.parametrize("name", ["ada", "ADA@Example.test".lower()])
async def test_a_link_gives_a_new_password_and_signs_everybody_out(
    database: Database, parts: Authentication, name: str
) -> None:
    account = await person(database, parts)
    assert await can_enter(database, parts, PASSWORD)
    secret = await ask(database, name)
    await reset_password(database, parts.passwords, OUTBOX, secret, NEW)
    async with database.read() as session:
        assert await session.scalar(select(func.count()).select_from(Session)) == 0
        verified_at = await session.scalar(select(AccountEmail.verified_at))
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "account.reset_password"))
        told = await session.scalar(select(OutboxMail.recipient).where(OutboxMail.subject.contains("was changed")))
    assert verified_at is not None, "the mail arrived there"
    assert entry is not None
    assert entry.account_id == account.id
    assert told == "ada@example.test"
    assert not await can_enter(database, parts, PASSWORD)
    assert await can_enter(database, parts, NEW)


async def test_a_link_works_once_and_takes_the_others_along(database: Database, parts: Authentication) -> None:
    await person(database, parts)
    first, second = await ask(database, "ada"), await ask(database, "ada")
    await reset_password(database, parts.passwords, OUTBOX, first, NEW)
    for secret in (first, second):
        with pytest.raises(LinkUnusable):
            await reset_password(database, parts.passwords, OUTBOX, secret, "mallory has it now")
    assert await can_enter(database, parts, NEW)


async def test_a_link_is_dead_after_an_hour(database: Database, parts: Authentication) -> None:
    await person(database, parts)
    secret = await ask(database, "ada")
    async with database.read() as session:
        at, moment = await session.scalar(select(OneTimeLink.expires_at)), await database_now(session)
    assert at is not None
    assert timedelta() < at - moment <= timedelta(hours=1)
    async with database.write() as session:
        at = await database_now(session, plus=-timedelta(seconds=1))
        await session.execute(update(OneTimeLink).values(expires_at=at))
    with pytest.raises(LinkUnusable):
        await reset_password(database, parts.passwords, OUTBOX, secret, NEW)


async def test_a_refused_password_leaves_the_link(database: Database, parts: Authentication) -> None:
    await person(database, parts)
    secret = await ask(database, "ada")
    with pytest.raises(PasswordRefused):
        await reset_password(database, parts.passwords, OUTBOX, secret, "short")
    await reset_password(database, parts.passwords, OUTBOX, secret, NEW)


async def test_no_row_holds_what_the_link_holds(database: Database, parts: Authentication) -> None:
    """Somebody reads a dump of the database and wants to choose Ada's password."""
    await person(database, parts)
    secret = await ask(database, "ada")
    async with database.read() as session:
        rows: list[object] = []
        for kind in (OneTimeLink, OutboxMail, Job, EventRow, AuditEntry):
            rows += [vars(row) for row in await session.scalars(select(kind))]
    assert rows
    assert secret not in repr(rows)
    for value in re.findall(r"[0-9a-f]{64}", repr(rows)):
        with pytest.raises(LinkUnusable):
            await reset_password(database, parts.passwords, OUTBOX, value, NEW)


async def test_an_address_that_was_only_claimed_opens_nothing(database: Database, parts: Authentication) -> None:
    """Ada mistypes an address in her settings; whoever owns it asks for a new password."""
    account = await person(database, parts)
    async with database.write() as session:
        session.add(AccountEmail(account_id=account.id, email="typo@else.test", email_key="typo@else.test"))
    assert await ask(database, "typo@else.test") == ""


@pytest.mark.parametrize("name", ["nobody", "nobody@else.test", "", "'; --", "@"])
async def test_nobody_gets_nothing(database: Database, parts: Authentication, name: str) -> None:
    await person(database, parts)
    assert await ask(database, name) == ""


async def test_a_suspended_account_gets_nothing_and_its_old_link_is_dead(
    database: Database, parts: Authentication
) -> None:
    await person(database, parts)
    secret = await ask(database, "ada")
    async with database.write() as session:
        await session.execute(update(Account).values(suspended_at=await database_now(session)))
    assert await ask(database, "ada") == ""
    with pytest.raises(LinkUnusable):
        await reset_password(database, parts.passwords, OUTBOX, secret, NEW)


async def test_a_mailbox_is_not_filled_by_asking(database: Database, parts: Authentication) -> None:
    await person(database, parts)
    sent = [await ask(database, "ada") for _ in range(LINKS_MAX + 3)]
    assert [bool(secret) for secret in sent] == [True] * LINKS_MAX + [False] * 3


async def test_asking_leaves_the_same_rows_whoever_exists(database: Database, parts: Authentication) -> None:
    """A stranger wants to know who has an account: neither answer, work nor rows differ until the job runs."""
    await person(database, parts)
    for name in ("ada", "nobody", "Ada@Example.test", "ada"):
        async with database.write() as session:
            await request_reset(session, name)
    async with database.read() as session:
        jobs = (await session.scalars(select(Job).order_by(Job.id))).all()
        links = await session.scalar(
            select(func.count()).select_from(OneTimeLink).where(OneTimeLink.purpose == LinkPurpose.RESET_PASSWORD)
        )
    assert [job.kind for job in jobs] == [RESET_KIND] * 3
    assert [job.payload for job in jobs] == [{"name": "ada"}, {"name": "nobody"}, {"name": "ada@example.test"}]
    assert links == 0
