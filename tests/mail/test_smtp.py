"""Handing a mail over, to a real server that takes it, refuses it, hangs, wants TLS or a login."""

from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from tests.factories.mail_server import MailServer, open_mail_server
from tests.services.ports import free_port

from cairn.base.settings import Settings
from cairn.mail.compose import Composed, build_message
from cairn.mail.smtp import MailRefused, MailServerAway, hand_over

SENDER, RECIPIENT = "cairn@site.test", "ada@example.test"


def message(recipient: str = RECIPIENT) -> EmailMessage:
    words = Composed("Grüße", "Zeile eins\n", "<p>Zeile eins</p>\n")
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return build_message(words, sender=f"Cairn <{SENDER}>", recipient=recipient, message_id="m1", at=at)


async def send(server: MailServer, recipient: str = RECIPIENT, **more: Any) -> None:
    settings = Settings(**server.settings(**more))
    await hand_over(settings, message(recipient), sender=SENDER, recipient=recipient)


async def test_a_mail_arrives_with_both_parts() -> None:
    async with open_mail_server() as server:
        await send(server)
    [arrived] = server.messages
    assert server.recipients == [RECIPIENT]
    assert arrived["Subject"] == "Grüße"
    parts = {part.get_content_type(): part.get_content() for part in arrived.walk() if not part.is_multipart()}
    assert parts["text/plain"].strip() == "Zeile eins"
    assert "<p>Zeile eins</p>" in parts["text/html"]


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "tls"])
async def test_it_goes_over_tls_with_a_login(tmp_path: Path, implicit: bool) -> None:
    async with open_mail_server(tls=tmp_path, implicit=implicit, wants_login=True) as server:
        await send(server)
    assert (len(server.messages), server.logins) == (1, 1)


@pytest.mark.parametrize("implicit", [False, True], ids=["starttls", "tls"])
async def test_a_certificate_nobody_vouches_for_gets_no_mail(tmp_path: Path, implicit: bool) -> None:
    """Somebody between us and the mail server shows a certificate of their own."""
    async with open_mail_server(tls=tmp_path, implicit=implicit, wants_login=True) as server:
        with pytest.raises(MailServerAway, match="certificate"):
            await send(server, smtp_ca_certificate=Path())
    assert (server.messages, server.logins) == ([], 0)


async def test_a_server_without_starttls_gets_neither_mail_nor_password() -> None:
    """Somebody between us and the mail server strips STARTTLS from what it offers."""
    async with open_mail_server() as server:
        with pytest.raises((MailServerAway, MailRefused)):
            await send(server, smtp_security="starttls", smtp_username="cairn", smtp_password="secret")
    assert (server.messages, server.logins) == ([], 0)


async def test_a_wrong_login_may_work_later(tmp_path: Path) -> None:
    async with open_mail_server(tls=tmp_path, wants_login=True) as server:
        with pytest.raises(MailServerAway, match="535"):
            await send(server, smtp_password="wrong")
    assert server.messages == []


@pytest.mark.parametrize(
    ("answers", "error", "said"),
    [
        ({"answer_rcpt": "550 no such person"}, MailRefused, "550: .*no such person"),
        ({"answer_data": "554 we do not want this"}, MailRefused, "554: .*do not want"),
        ({"answer_rcpt": "451 greylisted"}, MailServerAway, "451: .*greylisted"),
        ({"answer_data": "452 disk is full"}, MailServerAway, "452: .*disk is full"),
    ],
    ids=["recipient-for-good", "content-for-good", "recipient-for-now", "content-for-now"],
)
async def test_a_refusal_is_for_good_or_for_now(answers: dict[str, Any], error: type[Exception], said: str) -> None:
    async with open_mail_server(**answers) as server:
        with pytest.raises(error, match=said):
            await send(server)
    assert server.messages == []


async def test_a_server_that_hangs_is_given_up() -> None:
    async with open_mail_server(stalls=True) as server:
        with pytest.raises(MailServerAway):
            await send(server, smtp_deadline_seconds=1)


async def test_nobody_listening_may_be_there_later() -> None:
    with pytest.raises(MailServerAway, match=r"127\.0\.0\.1"):
        await send(MailServer(port=free_port()))


async def test_an_address_outside_ascii_arrives() -> None:
    async with open_mail_server() as server:
        await send(server, "jürgen@example.test")
    assert server.recipients == ["jürgen@example.test"]
