"""A wiki is a repository to stock git: cloned and pushed by both doors, never more open than the repository itself."""

import json
import urllib.request

import pytest
from tests.factories.git_repositories import StockGitFailed, StockRepository
from tests.git_compat.fixtures import Place
from tests.git_compat.programs import LOGIN, Installation


def _change(running: Installation, repository: str, /, **body: object) -> dict[str, object]:
    request = urllib.request.Request(
        f"{running.origin}/api/v3/repos/{LOGIN}/{repository}",
        method="PATCH",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {running.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, object] = json.loads(answer.read())
        return found


def _wiki_url(place: Place, name: str = "") -> str:
    return place.url.replace(place.repository.name, (name or place.repository.name) + ".wiki")


def _writer(place: Place, name: str = "writer", branch: str = "main") -> StockRepository:
    writer = place.client(name)
    writer.git("checkout", "-q", "-B", branch)
    writer.git("remote", "add", "wiki", _wiki_url(place))
    return writer


def test_a_wiki_begins_with_a_push_and_is_cloned_like_any_repository(place: Place) -> None:
    writer = _writer(place)
    with pytest.raises(StockGitFailed, match=r"has no wiki"):
        writer.git("fetch", "-q", "wiki")
    tip = writer.commit({"Home.md": "# Welcome\n", "images/stone.svg": "<svg/>\n"})
    writer.git("push", "-q", "wiki", "main")
    place.folder.joinpath("copies").mkdir()
    StockRepository(place.folder / "copies", place.environment).git("clone", "-q", _wiki_url(place), "copy")
    copy = StockRepository(place.folder / "copies" / "copy", place.environment)
    assert copy.oid("HEAD") == tip
    copy.commit({"Second.md": "two\n"})
    copy.git("push", "-q")
    assert writer.git("ls-remote", "wiki", "main").split()[0].decode() == copy.oid("HEAD")
    # The repository itself has none of it.
    assert writer.git("ls-remote", "origin") == b""


def test_a_wiki_that_was_kept_on_another_branch_shows_that_branch(place: Place) -> None:
    writer = _writer(place, branch="master")
    writer.commit({"Home.md": "# From elsewhere\n"})
    writer.git("push", "-q", "wiki", "master")
    assert b"refs/heads/master" in writer.git("ls-remote", "--symref", "wiki", "HEAD").splitlines()[0]
    with pytest.raises(StockGitFailed, match="delete the pages instead"):
        writer.git("push", "-q", "wiki", ":master")


def test_a_wiki_that_is_switched_off_is_absent_and_comes_back_whole(place: Place) -> None:
    writer = _writer(place)
    tip = writer.commit({"Home.md": "# Here\n"})
    writer.git("push", "-q", "wiki", "main")
    assert _change(place.installation, place.repository.name, has_wiki=False)["has_wiki"] is False
    for command in (("fetch", "wiki"), ("push", "-f", "wiki", "main")):
        with pytest.raises(StockGitFailed, match=r"[Nn]ot [Ff]ound"):
            writer.git(*command)
    assert _change(place.installation, place.repository.name, has_wiki=True)["has_wiki"] is True
    assert writer.git("ls-remote", "wiki", "main").split()[0].decode() == tip


def test_the_wiki_of_an_archived_repository_is_read_only(place: Place) -> None:
    writer = _writer(place)
    writer.commit({"Home.md": "# Here\n"})
    writer.git("push", "-q", "wiki", "main")
    _change(place.installation, place.repository.name, archived=True)
    writer.git("fetch", "-q", "wiki")
    writer.commit({"Home.md": "# Changed\n"})
    with pytest.raises(StockGitFailed, match="archived"):
        writer.git("push", "-q", "wiki", "main")


def test_the_wiki_moves_with_a_renamed_repository(place: Place) -> None:
    writer = _writer(place)
    tip = writer.commit({"Home.md": "# Here\n"})
    writer.git("push", "-q", "wiki", "main")
    new = place.repository.name + "-new"
    _change(place.installation, place.repository.name, name=new)
    assert writer.git("ls-remote", "wiki", "main").split()[0].decode() == tip
    assert writer.git("ls-remote", _wiki_url(place, new), "main").split()[0].decode() == tip
