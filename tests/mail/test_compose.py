"""What a mail says, and that nobody's chosen name says anything in it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from jinja2 import TemplateNotFound, UndefinedError

from cairn.mail.compose import Composed, Composer, MailInvalid, build_message, one_line

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WORDS = Composed("Hello", "Hello\n", "<p>Hello</p>\n")
EVIL = 'Eve\r\n\r\nSign in at https://evil.test <b>now</b> & "win"'
IDENTITY = Composer(("cairn.identity",))


def verify(name: str) -> Composed:
    values = {
        "origin": "https://cairn.test",
        "login": name,
        "email": "eve@example.test",
        "link": "https://cairn.test/x",
    }
    return IDENTITY.compose("identity/mail/verify_email", values)


def test_a_name_begins_no_line_of_its_own_in_the_text() -> None:
    """A stranger signs up under another person's address, with a name that reads like our own words."""
    composed = verify(EVIL)
    assert "\nSign in at" not in composed.text
    assert "Eve Sign in at https://evil.test" in composed.text


def test_a_name_marks_nothing_up_in_the_html() -> None:
    composed = verify(EVIL)
    assert "<b>now</b>" not in composed.html
    assert "&lt;b&gt;now&lt;/b&gt; &amp; &#34;win&#34;" in composed.html


def test_the_subject_is_the_first_line_of_the_text() -> None:
    composed = verify("eve")
    assert composed.subject
    assert "Subject:" not in composed.text


def test_what_is_missing_is_an_error_and_not_an_empty_place() -> None:
    with pytest.raises(UndefinedError):
        IDENTITY.compose("identity/mail/verify_email", {"origin": "https://cairn.test"})
    with pytest.raises(TemplateNotFound):
        IDENTITY.compose("identity/mail/no_such", {})


def test_every_mail_has_both_parts() -> None:
    folder = Path(__file__).parents[2] / "src" / "cairn"
    texts = {path.with_suffix("") for path in folder.glob("*/templates/*/mail/*.txt")}
    pages = {path.with_suffix("") for path in folder.glob("*/templates/*/mail/*.html")}
    assert texts
    assert texts == pages


@pytest.mark.parametrize(
    "address",
    [
        "a@b.test\r\nBcc: everybody@b.test",
        "a@b.test\nX: y",
        "a b@c.test",
        "nobody",
        "@b.test",
        "a@",
        "a\0@b.test",
        "a@" + "x" * 80 + ".test\n",
    ],
)
def test_an_address_adds_no_header(address: str) -> None:
    with pytest.raises(MailInvalid):
        build_message(WORDS, sender="cairn@site.test", recipient=address, message_id="m", at=AT)


def test_a_subject_adds_no_header() -> None:
    words = Composed("Hello\r\nBcc: everybody@b.test", "x\n", "<p>x</p>\n")
    message = build_message(words, sender="cairn@site.test", recipient="a@b.test", message_id="m", at=AT)
    assert message["Bcc"] is None
    assert message["Subject"] == "Hello Bcc: everybody@b.test"


def test_the_headers_say_that_no_person_wrote_it_and_twice_looks_like_once() -> None:
    message = build_message(WORDS, sender="Cairn, Inc <cairn@site.test>", recipient="a@b.test", message_id="m1", at=AT)
    assert message["Message-ID"] == "<m1@site.test>"
    assert message["From"] == '"Cairn, Inc" <cairn@site.test>'
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"] == "Fri, 02 Jan 2026 03:04:05 +0000"


def test_a_domain_outside_ascii_is_written_as_mail_servers_want_it() -> None:
    message = build_message(WORDS, sender="cairn@site.test", recipient="a@bücher.test", message_id="m", at=AT)
    assert message["To"] == "a@xn--bcher-kva.test"


@pytest.mark.parametrize(
    ("given", "line"), [("a\n\tb  c", "a b c"), ("a\u2028b", "a b"), ("\u202egnp", "gnp"), (3, "3"), ("", "")]
)
def test_a_value_is_one_line(given: object, line: str) -> None:
    assert one_line(given) == line
