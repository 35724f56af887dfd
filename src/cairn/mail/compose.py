"""Composing: templates filled in, and the message that a mail server takes.

A mail has a plain part and an HTML part, ``NAME.txt`` and ``NAME.html`` below a package's templates. The first line of
the plain one is ``Subject: …``. What is filled in can neither mark up the HTML nor begin a line of its own in the text,
so that nobody's chosen name adds a sentence to a mail that comes from us.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from importlib.resources import as_file, files
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined

from cairn.base.errors import Invalid

SUBJECT_LENGTH_MAX = 200
_SUBJECT = "Subject: "


class MailInvalid(Invalid):
    """A recipient or sender that no mail can carry."""


@dataclass(frozen=True, slots=True)
class Composed:
    """The words of a mail."""

    subject: str
    text: str
    html: str


class Composer:
    """The mail templates of some packages, compiled once."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        loader = ChoiceLoader([FileSystemLoader(_template_folder(name)) for name in ("cairn.mail", *packages)])
        common = {"loader": loader, "undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
        self._text = Environment(**common, autoescape=False, finalize=one_line)  # type: ignore[arg-type]  # noqa: S701 (plain text)
        self._html = Environment(**common, autoescape=True)  # type: ignore[arg-type]

    def compose(self, template: str, values: Mapping[str, object]) -> Composed:
        """Return a template (``identity/mail/verify_email``) filled in; an unknown name or value is an error."""
        head, _, text = self._text.get_template(f"{template}.txt").render(values).partition("\n")
        assert head.startswith(_SUBJECT), f"{template}.txt begins with its subject"
        subject = head.removeprefix(_SUBJECT).strip()[:SUBJECT_LENGTH_MAX]
        html = self._html.get_template(f"{template}.html").render(values, subject=subject)
        return Composed(subject, text.strip("\n") + "\n", html.strip() + "\n")


def _template_folder(package: str) -> Path:
    with as_file(files(package).joinpath("templates")) as folder:
        return folder


def one_line(value: object) -> str:
    """Return a value as one line of plain text: blanks folded, what does not print dropped."""
    return "".join(letter for letter in " ".join(str(value).split()) if letter.isprintable())


def split_sender(sender: str) -> tuple[str, str]:
    """Return name and address of ``NAME <ADDRESS>``; a bare address has no name."""
    name, _, address = sender.strip().removesuffix(">").rpartition("<")
    return name.strip().strip('"'), address.strip()


def build_message(composed: Composed, *, sender: str, recipient: str, message_id: str, at: datetime) -> EmailMessage:
    """Return the message with both parts. ``message_id`` is the same at every attempt, so that twice looks like once.

    Errors: MailInvalid for an address that would break out of its header.
    """
    name, address = split_sender(sender)
    origin, to = _address(address, name), _address(recipient)
    # Only an address outside ASCII needs a server that speaks SMTPUTF8; everything else is encoded.
    message = EmailMessage(SMTP if f"{origin.addr_spec}{to.addr_spec}".isascii() else SMTPUTF8)
    message["From"] = origin
    message["To"] = to
    message["Subject"] = one_line(composed.subject)[:SUBJECT_LENGTH_MAX]
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{message_id}@{origin.domain}>"
    # No robot answers a robot (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(composed.text)
    message.add_alternative(composed.html, subtype="html")
    return message


def _address(address: str, name: str = "") -> Address:
    local, _, domain = address.rpartition("@")
    if not local or not domain or not address.isprintable() or " " in address:
        raise MailInvalid(f"{address[:60]!r} is no address a mail can go to.")
    try:
        return Address(one_line(name), local, domain if domain.isascii() else domain.encode("idna").decode("ascii"))
    except (ValueError, IndexError):
        raise MailInvalid(f"{address[:60]!r} is no address a mail can go to.") from None
