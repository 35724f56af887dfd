"""Adding, proving and removing addresses; what each change leaves in the audit log and tells the owner."""

import re

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import actor_of, make_account, with_token

from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS, SYSTEM, Actor
from cairn.base.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from cairn.base.secret_box import SecretBox
from cairn.base.settings import Settings
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity.email_addresses import (
    EMAILS_MAX,
    add_email,
    make_primary,
    remove_email,
    send_verification,
    set_email_privacy,
    show_email,
    verify_email,
)
from cairn.identity.models import Account, AccountEmail
from cairn.identity.one_time_links import LinkUnusable
from cairn.identity.queries import list_emails
from cairn.mail.models import OutboxMail
from cairn.mail.outbox import Outbox

SETTINGS = Settings(external_url="https://cairn.test")
OUTBOX = Outbox(SETTINGS, SecretBox(["k" * 32]), ("cairn.identity",))


class Owner:
    """Somebody and what they do with their addresses, each in a transaction of its own."""

    def __init__(self, database: Database, account: Account) -> None:
        self.database, self.id, self.actor = database, account.id, actor_of(account)

    async def add(self, email: str) -> None:
        async with self.database.write() as session:
            await add_email(session, OUTBOX, SETTINGS, self.actor, self.id, email)

    async def verify(self, secret: str) -> None:
        async with self.database.write() as session:
            await verify_email(session, self.actor, secret)

    async def states(self) -> dict[str, str]:
        async with self.database.read() as session:
            found = await list_emails(session, self.actor, self.id)
        return {
            one.email: " ".join(
                word
                for word, holds in (
                    ("primary", one.is_primary),
                    ("verified", one.is_verified),
                    ("public", one.is_public),
                )
                if holds
            )
            for one in found
        }


async def secret_sent_to(database: Database, email: str) -> str:
    async with database.read() as session:
        found = await session.scalars(
            select(OutboxMail.id)
            .where(OutboxMail.recipient == email, OutboxMail.template == "identity/mail/verify_email")
            .order_by(OutboxMail.created_at.desc())
        )
        words = await OUTBOX.read(session, SYSTEM, found.all()[0])
    match = re.search(r"https://cairn\.test/-/emails/verify\?secret=(\S+)", words.text)
    assert match
    assert match[0] in words.html
    return match[1]


async def owner(database: Database, login: str) -> Owner:
    async with database.write() as session:
        account = await make_account(session, login)
    return Owner(database, account)


@pytest.fixture
async def ada(any_database: Database) -> Owner:
    return await owner(any_database, "ada")


async def test_an_address_is_verified_by_the_link_it_was_sent(ada: Owner) -> None:
    await ada.add(" Ada@Work.test ")
    assert await ada.states() == {"ada@example.test": "primary", "Ada@Work.test": ""}
    secret = await secret_sent_to(ada.database, "Ada@Work.test")
    await ada.verify(secret)
    assert (await ada.states())["Ada@Work.test"] == "verified"
    with pytest.raises(LinkUnusable):
        await ada.verify(secret)
    async with ada.database.read() as session:
        actions = (await session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))).all()
        notice = await session.scalar(select(OutboxMail).where(OutboxMail.template == "identity/mail/security_notice"))
    assert actions == ["email.add", "email.verify"]
    assert notice is not None
    assert (notice.recipient, "Ada@Work.test" in notice.subject) == ("ada@example.test", True)


async def test_a_link_proves_nothing_for_another_account(ada: Owner) -> None:
    """Mallory claims Ada's address and hopes that Ada, who gets the mail, opens the link."""
    mallory = await owner(ada.database, "mallory")
    await mallory.add("ada@work.test")
    secret = await secret_sent_to(ada.database, "ada@work.test")
    with pytest.raises(LinkUnusable):
        await ada.verify(secret)
    assert (await mallory.states())["ada@work.test"] == ""


async def test_a_claim_keeps_nobody_from_their_own_address(ada: Owner) -> None:
    """Mallory adds Ada's address before she does, so that she cannot."""
    mallory = await owner(ada.database, "mallory")
    await mallory.add("ada@work.test")
    old = await secret_sent_to(ada.database, "ada@work.test")
    await ada.add("Ada@work.test")
    assert "ada@work.test" not in await mallory.states()
    with pytest.raises(NotFound):
        await mallory.verify(old)
    await ada.verify(await secret_sent_to(ada.database, "Ada@work.test"))
    with pytest.raises(Invalid, match="belongs to an account"):
        await mallory.add("ada@WORK.test")


async def test_a_newer_link_replaces_the_older(ada: Owner) -> None:
    await ada.add("ada@work.test")
    old = await secret_sent_to(ada.database, "ada@work.test")
    async with ada.database.write() as session:
        await send_verification(session, OUTBOX, SETTINGS, ada.actor, ada.id, "ada@work.test")
    with pytest.raises(LinkUnusable):
        await ada.verify(old)
    await ada.verify(await secret_sent_to(ada.database, "ada@work.test"))
    async with ada.database.write() as session:
        with pytest.raises(Conflict, match="verified already"):
            await send_verification(session, OUTBOX, SETTINGS, ada.actor, ada.id, "ada@work.test")


async def test_only_a_verified_address_becomes_primary_or_public(ada: Owner) -> None:
    await ada.add("ada@work.test")
    async with ada.database.write() as session:
        with pytest.raises(Conflict, match="Verify"):
            await make_primary(session, OUTBOX, ada.actor, ada.id, "ada@work.test")
        with pytest.raises(Conflict, match="Verify"):
            await set_email_privacy(session, ada.actor, ada.id, public="ada@work.test")
        with pytest.raises(Invalid, match="verified addresses"):
            await show_email(session, ada.actor, ada.id, "nobody@work.test")
    await ada.verify(await secret_sent_to(ada.database, "ada@work.test"))
    async with ada.database.write() as session:
        await make_primary(session, OUTBOX, ada.actor, ada.id, "ada@work.test")
        await set_email_privacy(session, ada.actor, ada.id, public="ADA@work.test")
    assert await ada.states() == {"ada@work.test": "primary verified public", "ada@example.test": ""}
    async with ada.database.read() as session:
        told = (
            await session.scalars(select(OutboxMail.recipient).where(OutboxMail.subject.contains("primary address")))
        ).all()
    assert told == ["ada@example.test"], "the address that lost its place hears of it"


async def test_the_primary_address_stays_and_a_removed_one_is_shown_nowhere(ada: Owner) -> None:
    await ada.add("ada@work.test")
    await ada.verify(await secret_sent_to(ada.database, "ada@work.test"))
    async with ada.database.write() as session:
        await set_email_privacy(session, ada.actor, ada.id, public="ada@work.test")
        with pytest.raises(Conflict, match="primary"):
            await remove_email(session, OUTBOX, ada.actor, ada.id, "ada@example.test")
        await remove_email(session, OUTBOX, ada.actor, ada.id, "ada@work.test")
    async with ada.database.read() as session:
        assert await session.scalar(select(Account.public_email).where(Account.id == ada.id)) == ""
    assert await ada.states() == {"ada@example.test": "primary"}


async def test_an_account_has_a_bounded_number(database: Database) -> None:
    ada = await owner(database, "ada")
    async with database.write() as session:
        at = await database_now(session)
        for number in range(EMAILS_MAX - 1):
            email = f"ada{number}@work.test"
            session.add(AccountEmail(account_id=ada.id, email=email, email_key=email, verified_at=at))
    with pytest.raises(Invalid, match=f"at most {EMAILS_MAX}"):
        await ada.add("one-more@work.test")


async def test_nobody_else_touches_them(database: Database) -> None:
    ada, bob = await owner(database, "ada"), await owner(database, "bob")
    actors: list[tuple[Actor, type[Exception]]] = [
        (ANONYMOUS, Unauthenticated),
        (bob.actor, Forbidden),
        (with_token(ada.actor, "repo"), Forbidden),
        (with_token(ada.actor, "read:user"), Forbidden),
    ]

    async def attempts(session: AsyncSession, actor: Actor) -> None:
        with pytest.raises((Unauthenticated, Forbidden)):
            await add_email(session, OUTBOX, SETTINGS, actor, ada.id, "x@work.test")
        with pytest.raises((Unauthenticated, Forbidden)):
            await remove_email(session, OUTBOX, actor, ada.id, "ada@example.test")
        with pytest.raises((Unauthenticated, Forbidden)):
            await make_primary(session, OUTBOX, actor, ada.id, "ada@example.test")
        with pytest.raises((Unauthenticated, Forbidden)):
            await set_email_privacy(session, actor, ada.id, keeps_private=True)

    for actor, _ in actors:
        async with database.write() as session:
            await attempts(session, actor)
    async with database.write() as session:
        with pytest.raises(NotFound):
            await remove_email(session, OUTBOX, bob.actor, bob.id, "ada@example.test")
    assert await ada.states() == {"ada@example.test": "primary"}
