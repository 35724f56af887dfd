"""What bodies of writing operations say, and how it is refused."""

from datetime import UTC, datetime

import pytest

from cairn.git.types import Signature
from cairn.repositories.editing.api_bodies import FieldInvalid, PersonSent, base64_of, missing, oid_of, signature_of

NOW = datetime(2024, 1, 2, 3, 4, 5, 678, UTC)


def test_a_person_has_the_time_they_gave_or_now_in_whole_seconds() -> None:
    assert signature_of(PersonSent("Mona", "m@example.org"), "author", now=NOW) == Signature(
        "Mona", "m@example.org", NOW.replace(microsecond=0)
    )
    given = signature_of(PersonSent("Mona", "m@example.org", "2023-05-06T07:08:09+02:00"), "author", now=NOW)
    assert given.at == datetime(2023, 5, 6, 5, 8, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("person", "field"),
    [(PersonSent("M", "m@e.org", "soon"), "author.date"), (PersonSent("M", " "), "author.email")],
    ids=["time", "email"],
)
def test_who_is_nobody_is_refused(person: PersonSent, field: str) -> None:
    with pytest.raises(FieldInvalid) as caught:
        signature_of(person, "author", now=NOW)
    assert caught.value.problems[0].field == field


def test_base64_has_line_ends_or_not() -> None:
    assert base64_of("aGVs\nbG8=\r\n") == base64_of("aGVsbG8=") == b"hello"
    assert base64_of("") == b""
    for wrong in ("a", "%%%%", "aGVs=bG8", "é"):
        with pytest.raises(FieldInvalid, match="not valid Base64"):
            base64_of(wrong)


def test_an_id_is_forty_digits_in_any_case() -> None:
    assert oid_of("AB" * 20, "sha") == "ab" * 20
    for wrong in ("", "ab", "main", "g" * 40):
        with pytest.raises(FieldInvalid, match="not an object id"):
            oid_of(wrong, "sha")


def test_what_is_missing_is_named_as_github_names_it() -> None:
    error = missing("sha")
    assert error.message == 'Invalid request.\n\n"sha" wasn\'t supplied.'
    assert (error.problems[0].field, error.problems[0].code) == ("sha", "missing_field")
