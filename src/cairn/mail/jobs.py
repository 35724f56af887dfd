"""Sending what waits in the outbox, and forgetting what is old."""

from datetime import timedelta

from cairn.base.settings import Settings
from cairn.jobs.context import JobContext
from cairn.jobs.registry import handler, scheduled
from cairn.mail.outbox import ATTEMPTS_MAX, SEND_KIND, Outbox, SendMail, delete_old


@handler(SEND_KIND, attempts_max=ATTEMPTS_MAX)
async def send_mail(context: JobContext, payload: SendMail) -> None:
    """Send one mail; the settings say how long one attempt may take."""
    outbox = context.service(Outbox)
    await outbox.send(context.database, payload.mail_id, is_last_attempt=context.attempt >= ATTEMPTS_MAX)


@scheduled("mail.retention", every=timedelta(hours=1))
async def keep_retention(context: JobContext) -> None:
    """Delete the mails older than CAIRN_MAIL_RETENTION_DAYS."""
    await delete_old(context.database, older_than=timedelta(days=context.service(Settings).mail_retention_days))
