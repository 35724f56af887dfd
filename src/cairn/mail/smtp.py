"""Handing one message to the operator's mail server."""

import asyncio
import ssl
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib

from cairn.base.errors import CairnError, Unavailable
from cairn.base.settings import Settings


class MailRefused(CairnError):
    """The server will never take this mail: the recipient or the content is not wanted there."""


class MailServerAway(Unavailable):
    """The server was not reached, hung, or said "later"; or its settings are wrong. Another attempt may work."""


async def hand_over(settings: Settings, message: EmailMessage, *, sender: str, recipient: str) -> None:
    """The server has taken the message. Errors: MailRefused; MailServerAway."""
    try:
        async with asyncio.timeout(settings.smtp_deadline_seconds):
            await aiosmtplib.send(
                message,
                sender=sender,
                recipients=[recipient],
                hostname=settings.smtp_host,
                port=settings.smtp_port,
                username=settings.smtp_username or None,
                password=settings.smtp_password or None,
                use_tls=settings.smtp_security == "tls",
                start_tls=settings.smtp_security == "starttls",
                tls_context=_tls(settings),
                timeout=settings.smtp_deadline_seconds,
            )
    except aiosmtplib.SMTPRecipientsRefused as error:
        refusal = error.recipients[0]
        raise _answered(refusal.code, refusal.message) from None
    except aiosmtplib.SMTPDataError as error:
        raise _answered(error.code, error.message) from None
    except aiosmtplib.SMTPNotSupported as error:
        raise MailRefused(f"The mail server cannot carry this mail: {error.message}") from None
    except aiosmtplib.SMTPResponseException as error:
        # Wrong login, unwanted sender: the operator's to mend, so the mail waits.
        raise MailServerAway(f"The mail server answered {error.code}: {error.message}") from None
    except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
        said = getattr(error, "message", "") or str(error) or f"no answer within {settings.smtp_deadline_seconds} s"
        raise MailServerAway(f"The mail server {settings.smtp_host!r} did not take the mail: {said}") from None


def _answered(code: int, said: str) -> CairnError:
    """A 5xx is for good (RFC 5321 4.2.1), a 4xx for now."""
    kind = MailRefused if code >= 500 else MailServerAway
    return kind(f"The mail server answered {code}: {said}")


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.smtp_security == "none":
        return None
    authority = settings.smtp_ca_certificate
    return ssl.create_default_context(cafile=None if authority == Path() else str(authority))
