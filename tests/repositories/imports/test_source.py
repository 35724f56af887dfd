"""The address of a source, in its one spelling, and where it leads."""

import asyncio
from pathlib import Path

import pytest
from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer, Request
from tests.factories.importing import import_now, open_reaching_forge, refs_of

from cairn.egress.door import AddressRefused
from cairn.git.remote_fetch import Remote
from cairn.repositories.imports.models import FailureKind, ImportState
from cairn.repositories.imports.source import beside, clean_url


@pytest.mark.parametrize(
    ("given", "clean"),
    [
        (" https://Git.Example/a/b.git/ ", "https://git.example/a/b.git"),
        ("http://git.example:8080/a?x=y", "http://git.example:8080/a"),
        (" git@Git.Example:a/b.git ", "git@git.example:a/b.git"),
        ("ssh://git@git.example:22/a", "ssh://git@git.example/a"),
    ],
)
def test_an_address_is_cleaned(given: str, clean: str) -> None:
    assert clean_url(given) == clean


@pytest.mark.parametrize(
    "given", ["git+ssh://git@git.example/a", "ssh://git.example/a", "file:///a", "https://u:p@git.example/a"]
)
def test_other_ways_to_a_repository_are_refused(given: str) -> None:
    with pytest.raises(AddressRefused):
        clean_url(given)


def test_what_lies_beside_a_repository_is_found_with_and_without_its_suffix() -> None:
    for url in ("git@git.example:b/a", "ssh://git@git.example/a.git"):
        remote = Remote(url=url, host="git.example", port=22, addresses=())
        assert beside(remote, ".wiki.git") == url.removesuffix(".git") + ".wiki.git"
    for url in ("https://git.example/a", "https://git.example/a.git"):
        remote = Remote(url=url, host="git.example", port=443, addresses=())
        assert beside(remote, ".wiki.git") == "https://git.example/a.wiki.git"
        assert beside(remote, ".git/info/lfs") == "https://git.example/a.git/info/lfs"


async def test_the_address_of_a_page_leads_to_its_repository(forge: Forge, ada: Person, server: GitServer) -> None:
    made, row = await import_now(forge, ada, server.url("r"))
    assert row.state is ImportState.DONE
    assert "refs/heads/trunk" in await refs_of(forge, made)


async def test_a_private_address_is_refused_without_a_connection(
    tmp_path: Path, sqlite_template: Path, server: GitServer
) -> None:
    async with open_reaching_forge(tmp_path / "closed", sqlite_template, egress_allow=()) as closed:
        ada = await closed.person("ada")
        _, row = await import_now(closed, ada, server.url("r.git"))
        assert (row.state, row.failure_kind) == (ImportState.FAILED, FailureKind.ADDRESS_REFUSED)
        assert "CAIRN_EGRESS_ALLOW" in row.failure
        assert server.requests == []


async def test_a_redirect_to_a_private_address_is_refused(forge: Forge, ada: Person, server: GitServer) -> None:
    """Attack: a server on the internet sends the import to a cloud's metadata service."""

    async def redirect(request: Request, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n")
        return True

    server.answer = redirect
    _, row = await import_now(forge, ada, server.url("r.git"))
    assert (row.state, row.failure_kind) == (ImportState.FAILED, FailureKind.ADDRESS_REFUSED)
    assert "169.254.169.254" in row.failure


async def test_a_redirect_to_the_repository_is_followed(forge: Forge, ada: Person, server: GitServer) -> None:
    async def redirect(request: Request, writer: asyncio.StreamWriter) -> bool:
        if not request.path.startswith("/old.git"):
            return False
        target = server.origin + request.path.replace("/old.git", "/r.git")
        writer.write(f"HTTP/1.1 301 Moved\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())
        return True

    server.answer = redirect
    made, row = await import_now(forge, ada, server.url("old.git"))
    assert row.state is ImportState.DONE
    assert "refs/heads/trunk" in await refs_of(forge, made)
