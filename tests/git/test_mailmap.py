""".mailmap, as stock git applies it."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.factories.git_repositories import init

from cairn.git.mailmap import read_mailmap

MAILMAP = """# people
Ada Lovelace <ada@example.org>
Ada Lovelace <ada@example.org> <al@old.example.org>
<bob@example.org> <bob@home.example.org>  # moved
Carol C <carol@example.org> CC <shared@example.org>
Dan D <dan@example.org> DD <shared@example.org>
this line says nothing
"""
SIGNED = [
    ("ada", "ada@example.org"),
    ("A.L.", "AL@OLD.example.org"),
    ("Bob", "bob@home.example.org"),
    ("CC", "shared@example.org"),
    ("dd", "shared@example.org"),
    ("Eve", "shared@example.org"),
    ("Somebody", "else@example.org"),
]


def test_names_are_what_git_says(tmp_path: Path) -> None:
    client = init(tmp_path / "client")
    (client.path / ".mailmap").write_text(MAILMAP)
    mailmap = read_mailmap(MAILMAP)
    for name, email in SIGNED:
        said = client.git("check-mailmap", f"{name} <{email}>").decode().strip()
        proper_name, proper_email = mailmap.proper(name, email)
        assert f"{proper_name} <{proper_email}>" == said


@settings(max_examples=200)
@given(st.text(alphabet="aB <>#@.\n\t\0é", max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    name, email = read_mailmap(text).proper("a", "b@c")
    assert isinstance(name, str)
    assert isinstance(email, str)
