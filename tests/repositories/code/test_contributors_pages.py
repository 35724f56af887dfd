"""Who wrote a repository, as a page."""

import re
from pathlib import Path

import pytest
from sqlalchemy import update
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository, init

from cairn.base.clock import utc_now
from cairn.identity.models import AccountEmail


@pytest.fixture
async def written(forge: Forge, tmp_path: Path) -> StockRepository:
    """ada/engine: 3 commits of bob under two addresses (one by .mailmap), 2 of carol, 1 of ada, and a merge."""
    ada = await forge.person("ada")
    await forge.person("bob")
    async with forge.database.write() as session:
        await session.execute(update(AccountEmail).values(verified_at=utc_now()))
    repository = await forge.repository(ada, "engine")
    made = init(tmp_path / "stock")
    authors = ["Bob <bob@example.test>", "Bob <bob@example.test>", "bobby <bob@home>", "Carol & C <carol@x.org>"]
    for number, author in enumerate([*authors, "Carol & C <carol@x.org>"]):
        made.commit({"a": str(number)}, f"c{number}", f"--author={author}")
    made.git("checkout", "-q", "-b", "side")
    made.commit({".mailmap": "Bob <bob@example.test> <bob@home>\n"}, "names", "--author=Ada <ada@example.test>")
    made.git("checkout", "-q", "main")
    made.git("merge", "-q", "--no-ff", "--no-edit", "side")
    await forge.push_refs(repository, made, "refs/heads/main")
    return made


def counted(text: str) -> list[str]:
    return re.findall(r">([0-9,]+ commits?)</a>", text)


async def test_people_are_listed_by_commits_and_mailmap_makes_one_of_two(
    forge: Forge, written: StockRepository
) -> None:
    text = (await forge.browser().get("/ada/engine/contributors")).text
    assert counted(text) == ["3 commits", "2 commits", "1 commit"]
    assert 'href="/bob">bob</a>' in text
    assert "Carol &amp; C" in text
    assert "3 people wrote main" in text
    assert "bob@home" not in text
    assert "carol@x.org" not in text, "addresses are not for harvesting"
    shown = re.search(r'href="/ada/engine/commits\?author=bob"', text)
    assert shown


async def test_who_wrote_an_empty_repository_is_nobody(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "empty")
    assert (await forge.browser().get("/ada/empty/contributors")).status_code == 200
    beyond = await forge.browser().get("/ada/empty/contributors?page=9999999999")
    assert beyond.status_code == 200
