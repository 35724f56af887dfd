"""A real SMTP server on a free port: it keeps what it takes, and refuses, stalls or speaks TLS as a test wants.

async with open_mail_server(tls=tmp_path) as server:
    settings = Settings(**server.settings())
"""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USERNAME, PASSWORD = "cairn", "letters-go-out"


@dataclass
class MailServer:
    """What arrived, and how to answer. ``answer_rcpt`` and ``answer_data`` replace the usual 250."""

    port: int = 0
    security: str = "none"
    certificate: Path = field(default_factory=Path)
    wants_login: bool = False
    answer_rcpt: str = ""
    answer_data: str = ""
    stalls: bool = False
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    logins: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def settings(self, **more: Any) -> dict[str, Any]:
        """Return the settings that reach this server."""
        login = {"smtp_username": USERNAME, "smtp_password": PASSWORD} if self.wants_login else {}
        return {
            "smtp_host": "127.0.0.1",
            "smtp_port": self.port,
            "smtp_security": self.security,
            "smtp_ca_certificate": self.certificate,
            **login,
            **more,
        }

    async def handle_RCPT(  # noqa: N802 (the library's name)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Answer for one recipient."""
        if self.answer_rcpt:
            return self.answer_rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take one mail."""
        if self.stalls:
            await asyncio.Event().wait()
        if self.answer_data:
            return self.answer_data
        assert isinstance(envelope.content, bytes)
        parsed = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(parsed, EmailMessage)
        self.messages.append(parsed)
        self.recipients += envelope.rcpt_tos
        self.arrived.set()
        return "250 taken"

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, way: str, data: Any) -> AuthResult:
        """Judge a login."""
        assert isinstance(data, LoginPassword)
        fits = (data.login, data.password) == (USERNAME.encode(), PASSWORD.encode())
        self.logins += fits
        return AuthResult(success=fits, handled=fits)


@asynccontextmanager
async def open_mail_server(
    *, tls: Path | None = None, implicit: bool = False, wants_login: bool = False, **answers: Any
) -> AsyncIterator[MailServer]:
    """Yield a server. With a folder in ``tls`` it speaks STARTTLS, or TLS from the first byte with ``implicit``."""
    handler = MailServer(wants_login=wants_login, **answers)
    context = None
    if tls is not None:
        handler.security = "tls" if implicit else "starttls"
        handler.certificate, key = make_certificate(tls)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(handler.certificate, key)
    loop = asyncio.get_running_loop()
    protocols: list[SMTP] = []

    def make() -> SMTP:
        protocol = SMTP(
            handler,
            loop=loop,
            enable_SMTPUTF8=True,
            tls_context=None if implicit else context,
            require_starttls=context is not None and not implicit,
            auth_required=wants_login,
            auth_require_tls=not implicit,
            authenticator=handler.authenticate if wants_login else None,
        )
        protocols.append(protocol)
        return protocol

    server = await loop.create_server(make, "127.0.0.1", 0, ssl=context if implicit else None)
    handler.port = server.sockets[0].getsockname()[1]
    try:
        yield handler
    finally:
        server.close()
        for protocol in protocols:
            if isinstance(protocol.transport, asyncio.WriteTransport):
                protocol.transport.abort()
        await server.wait_closed()


def make_certificate(folder: Path, *hosts: str) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 and ``hosts`` that signs itself, and its key; return their paths."""
    names: list[x509.GeneralName] = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *map(x509.DNSName, hosts)]
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "mail.pem", folder / "mail.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths
