"""What ``.gitmodules`` says, and where a submodule's commit is found."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from cairn.base.settings import Settings
from cairn.git.types import Oid
from cairn.repositories.code.submodules import parse_gitmodules, submodule_href
from cairn.repositories.queries import RepositoryView

OID = Oid("1" * 40)
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


class _Named:
    owner = "ada"
    name = "engine"


def test_submodules_are_read_from_what_people_write() -> None:
    text = (
        b'[submodule "a"]\n\tpath = vendor/a\n\turl=https://x/a\n'
        b'[submodule "b \\"c"]\nurl = ../b # the other\n path = "b;\\t#" \n[other]\nurl = z\n'
        b'[submodule "\xff"]\nPath = caf\xe9\nURL = ./e\n'
    )
    assert parse_gitmodules(text) == {b"vendor/a": "https://x/a", b"b;\t#": "../b", b"caf\xe9": "./e"}
    assert parse_gitmodules(b"\0" + b"\n" * 100_000 + b"=" * 100_000) == {}
    assert parse_gitmodules(b"path = x" + b'\\"' * 100_000) == {}


@pytest.mark.parametrize(
    ("url", "href"),
    [
        ("../mill.git", f"/ada/mill/tree/{OID}"),
        ("../../bob/mill", f"/bob/mill/tree/{OID}"),
        ("../../../../../etc/passwd", f"/etc/passwd/tree/{OID}"),
        ("./inside", ""),
        ("https://cairn.test/bob/mill.git", f"/bob/mill/tree/{OID}"),
        ("https://cairn.test/bob/mill/deeper", ""),
        ("https://cairn.test/../mill", ""),
        ("ssh://git@cairn.test:2222/bob/mill.git", f"/bob/mill/tree/{OID}"),
        ("git@cairn.test:bob/mill.git", f"/bob/mill/tree/{OID}"),
        ("git@elsewhere.test:bob/mill.git", ""),
        ("https://elsewhere.test/bob/mill.git", "https://elsewhere.test/bob/mill"),
        ("http://me:secret@elsewhere.test:8080/x", "http://elsewhere.test:8080/x"),
        ("javascript:alert(1)", ""),
        ("data:text/html,x", ""),
        ("file:///etc/passwd", ""),
        ("https://[", ""),
        ("", ""),
    ],
)
def test_a_submodule_leads_to_its_commit_here_or_its_page_on_the_web(url: str, href: str) -> None:
    """Attack: a link on a page of ours whose address runs a script or carries somebody's password."""
    values: dict[str, Any] = {"external_url": "https://cairn.test", "ssh_external_address": "cairn.test:2222"}
    assert submodule_href(url, OID, cast("RepositoryView", _Named()), Settings(**values)) == href
