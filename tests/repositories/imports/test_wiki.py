"""The wiki beside an imported repository: brought where there is one, not a word where there is none."""

import asyncio
from pathlib import Path

from tests.factories import git_repositories
from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer, Request, serve_git
from tests.factories.importing import import_now, make_source

from cairn.repositories.imports.models import ImportState


def make_wiki(server: GitServer) -> None:
    """The source's wiki has a page, on a branch of another name than here."""
    make_wiki_at(server, "r.wiki.git")


def make_wiki_at(server: GitServer, name: str) -> None:
    wiki = git_repositories.init(server.root / name, bare=True)
    git_repositories.fast_import(wiki, [("Begin", {"Home.md": b"# The mill\n\nWheels of brass.\n"})])
    wiki.git("branch", "-m", "main", "master")


async def test_a_wiki_comes_and_is_read(forge: Forge, ada: Person, server: GitServer) -> None:
    make_wiki(server)
    _, row = await import_now(forge, ada, server.url("r.git"))
    assert (row.state, row.note) == (ImportState.DONE, "")
    page = await forge.browser(ada).get("/ada/engine/wiki")
    assert "Wheels of brass." in page.text


async def test_a_source_without_a_wiki_is_nothing_to_talk_about(forge: Forge, ada: Person, server: GitServer) -> None:
    _, row = await import_now(forge, ada, server.url("r.git"))
    assert (row.state, row.note, row.failure) == (ImportState.DONE, "", "")
    assert any("/r.wiki.git/" in request.path for request in server.requests)
    page = await forge.browser(ada).get("/ada/engine/wiki")
    assert (page.status_code, "Wheels of brass." in page.text) == (200, False)


async def test_a_wiki_that_is_not_wanted_stays(forge: Forge, ada: Person, server: GitServer) -> None:
    make_wiki(server)
    _, row = await import_now(forge, ada, server.url("r.git"), with_wiki=False)
    assert row.state is ImportState.DONE
    assert not any("wiki" in request.path for request in server.requests)


async def test_credentials_do_not_follow_a_redirect_to_the_wiki_of_another_server(
    forge: Forge, ada: Person, server: GitServer, tmp_path: Path
) -> None:
    """Attack: the address leads on to a server of somebody else, who asks for the wiki's credentials there."""
    (tmp_path / "other").mkdir()
    make_source(tmp_path / "other", "moved.git")
    async with serve_git(tmp_path / "other") as other:
        make_wiki_at(other, "moved.wiki.git")

        async def lead_on(request: Request, writer: asyncio.StreamWriter) -> bool:
            where = other.url("moved.git") + "/info/refs?service=git-upload-pack"
            writer.write(f"HTTP/1.1 302 Found\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode())
            return True

        server.answer = lead_on
        _, row = await import_now(forge, ada, server.url("r.git"), user="ada", password="s3cret")
        assert (row.state, row.failure) == (ImportState.DONE, "")
        assert all("authorization" in request.headers for request in server.requests)
        assert any("/moved.wiki.git/" in request.path for request in other.requests)
        assert not [request.path for request in other.requests if "authorization" in request.headers]
