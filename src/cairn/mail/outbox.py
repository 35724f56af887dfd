"""The outbox: a mail is a row of the transaction that wanted it; a job sends it, or administrators read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import SITE
from cairn.base.actor import Actor
from cairn.base.errors import Conflict, NotFound
from cairn.base.ids import random_id
from cairn.base.secret_box import SecretBox
from cairn.base.settings import Settings
from cairn.db.changes import count_changed
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.jobs.queue import enqueue
from cairn.mail.compose import Composed, Composer, build_message, split_sender
from cairn.mail.models import SEALED_BYTES_MAX, MailState, OutboxMail
from cairn.mail.smtp import MailRefused, MailServerAway, hand_over

SEND_KIND = "mail.send"
ATTEMPTS_MAX = 16
"""With the queue's growing pauses, a server may be away for some six hours."""
ERROR_LENGTH_MAX = 500
_BATCH_ROWS = 1000
_OVERHEAD_BYTES = 33


class SendMail(msgspec.Struct, frozen=True):
    """The job's payload: which row, nothing of its words."""

    mail_id: str


@dataclass(frozen=True, slots=True)
class MailRow:
    """A mail as administrators see it in a list."""

    id: str
    recipient: str
    subject: str
    state: MailState
    attempts: int
    last_error: str
    created_at: datetime
    sent_at: datetime | None
    is_readable: bool
    """Its words are still here."""


class Outbox:
    """Puts mails in, sends them, opens them for administrators. One for all of a program."""

    def __init__(self, settings: Settings, secrets: SecretBox, packages: tuple[str, ...]) -> None:
        """``packages`` have mail templates of their own (``"cairn.identity"``)."""
        self._settings = settings
        self._secrets = secrets
        self._composer = Composer(packages)

    async def post(self, session: AsyncSession, template: str, *, to: str, **values: object) -> str:
        """Put a mail into the outbox, in the caller's transaction, and return its id; it leaves after the commit.

        ``template`` is ``PACKAGE/mail/NAME``; it sees ``values`` and ``origin``, the site's address. Without a mail
        server the mail is kept for administrators. ``values`` may hold secrets (a link), except in the subject.
        """
        composed = self._composer.compose(template, {"origin": self._settings.origin, **values})
        mail_id = random_id()
        words = msgspec.json.encode({"text": composed.text, "html": composed.html})
        assert len(words) <= SEALED_BYTES_MAX - _OVERHEAD_BYTES, f"{template} became {len(words)} bytes"
        session.add(
            OutboxMail(
                id=mail_id,
                recipient=to,
                template=template,
                subject=composed.subject,
                sealed=self._secrets.seal(words, **_place(mail_id)),
                state=MailState.WAITING if self._settings.smtp_host else MailState.KEPT,
                created_at=await database_now(session),
            )
        )
        await session.flush()
        if self._settings.smtp_host:
            await enqueue(session, SEND_KIND, SendMail(mail_id))
        return mail_id

    async def send(self, database: Database, mail_id: str, *, is_last_attempt: bool) -> None:
        """Send a waiting mail; one that is gone, sent or refused is left alone.

        Errors: MailServerAway, so that the job tries again; after the last attempt the mail is marked as failed.
        """
        async with database.read() as session:
            mail = await session.get(OutboxMail, mail_id)
        if mail is None or mail.state is not MailState.WAITING or mail.sealed is None:
            return
        _, sender = split_sender(self._settings.sender)
        try:
            message = build_message(
                self._open(mail),
                sender=self._settings.sender,
                recipient=mail.recipient,
                message_id=mail.id,
                at=mail.created_at,
            )
            await hand_over(self._settings, message, sender=sender, recipient=mail.recipient)
        except MailRefused as error:
            await self._note(database, mail_id, MailState.FAILED, error.message)
        except MailServerAway as error:
            state = MailState.FAILED if is_last_attempt else MailState.WAITING
            await self._note(database, mail_id, state, error.message)
            raise
        else:
            await self._note(database, mail_id, MailState.SENT, "")

    async def read(self, session: AsyncSession, actor: Actor, mail_id: str) -> Composed:
        """Return a mail's words to an administrator; the caller notes that they were read.

        Errors: NotFound or Forbidden; Conflict once it was sent.
        """
        await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
        mail = await session.get(OutboxMail, mail_id)
        if mail is None:
            raise NotFound("Not Found")
        if mail.sealed is None:
            raise Conflict("This mail was sent; its words are gone from here.")
        return self._open(mail)

    async def retry(self, session: AsyncSession, actor: Actor, mail_id: str) -> None:
        """Let a failed or kept mail go out again; the caller notes it. Errors: NotFound; Conflict if it cannot."""
        await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
        mail = await session.get(OutboxMail, mail_id, with_for_update=True)
        if mail is None:
            raise NotFound("Not Found")
        if not self._settings.smtp_host:
            raise Conflict("There is no mail server: set CAIRN_SMTP_HOST.")
        if mail.sealed is None or mail.state is MailState.WAITING:
            raise Conflict("This mail was sent, or is on its way.")
        mail.state, mail.last_error = MailState.WAITING, ""
        await enqueue(session, SEND_KIND, SendMail(mail_id))

    def _open(self, mail: OutboxMail) -> Composed:
        assert mail.sealed is not None
        words = msgspec.json.decode(self._secrets.open(mail.sealed, **_place(mail.id)), type=dict[str, str])
        return Composed(mail.subject, words["text"], words["html"])

    async def _note(self, database: Database, mail_id: str, state: MailState, error: str) -> None:
        async with database.write() as session:
            mail = await session.get(OutboxMail, mail_id, with_for_update=True)
            if mail is None or mail.state is not MailState.WAITING:
                return
            mail.state, mail.last_error, mail.attempts = state, error[:ERROR_LENGTH_MAX], mail.attempts + 1
            if state is MailState.SENT:
                mail.sealed, mail.sent_at = None, await database_now(session)


async def list_mails(session: AsyncSession, actor: Actor, *, offset: int = 0, limit: int = 50) -> list[MailRow]:
    """Return mails for an administrator, the newest first."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    # ix_mail_outbox_created_at_id
    rows = await session.scalars(
        select(OutboxMail).order_by(OutboxMail.created_at.desc(), OutboxMail.id.desc()).offset(offset).limit(limit)
    )
    return [_row(mail) for mail in rows]


async def find_mail(session: AsyncSession, actor: Actor, mail_id: str) -> MailRow:
    """Return one mail for an administrator, without its words. Errors: NotFound."""
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    mail = await session.get(OutboxMail, mail_id) if mail_id.isascii() and mail_id.isalnum() else None
    if mail is None:
        raise NotFound("Not Found")
    return _row(mail)


async def delete_old(database: Database, *, older_than: timedelta) -> int:
    """Delete the mails older than that, whatever became of them, in batches; return how many."""
    deleted = 0
    while True:
        async with database.write() as session:
            limit = await database_now(session, plus=-older_than)
            ids: Sequence[str] = (
                await session.scalars(
                    # ix_mail_outbox_created_at_id
                    select(OutboxMail.id)
                    .where(OutboxMail.created_at < limit)
                    .order_by(OutboxMail.created_at)
                    .limit(_BATCH_ROWS)
                )
            ).all()
            deleted += await count_changed(session, delete(OutboxMail).where(OutboxMail.id.in_(ids))) if ids else 0
        if len(ids) < _BATCH_ROWS:
            return deleted


def _row(mail: OutboxMail) -> MailRow:
    return MailRow(
        id=mail.id,
        recipient=mail.recipient,
        subject=mail.subject,
        state=mail.state,
        attempts=mail.attempts,
        last_error=mail.last_error,
        created_at=mail.created_at,
        sent_at=mail.sent_at,
        is_readable=mail.sealed is not None,
    )


def _place(mail_id: str) -> dict[str, str]:
    return {"table": "mail_outbox", "column": "sealed", "row": mail_id}
