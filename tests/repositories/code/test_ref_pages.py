"""Lists of branches and tags, and the menu that leads from one to another."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from tests.factories.forge import Forge, Person
from tests.factories.git_repositories import StockRepository, init

from cairn.base.clock import utc_now
from cairn.identity.models import AccountEmail
from cairn.repositories.code import ref_lists

DAY = 86400


async def get(forge: Forge, path: str, person: Person | None = None) -> Any:
    return await forge.browser(person).get(f"/ada/engine{path}")


def names(text: str) -> list[str]:
    return re.findall(r'class="ref-name"[^>]*>([^<]+)</', text)


def menu(text: str) -> list[str]:
    listed = text.partition('id="ref-links"')[2]
    return re.findall(r"<span>([^<]+)</span></a>", listed.partition("</main>")[0])


@pytest.fixture
async def branchy(forge: Forge, tmp_path: Path) -> StockRepository:
    """ada/engine: main, one branch ahead, one merged, one old of grace's, and 60 more of one commit."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    made = init(tmp_path / "stock")
    now = int(utc_now().timestamp())

    def commit(name: str, days: int, author: str = "Ada <ada@example.test>") -> None:
        made.write(name, name)
        made.git("add", "-A")
        made.git("commit", "-q", "-m", name, f"--author={author}", env={"GIT_COMMITTER_DATE": f"{now - days * DAY} +0"})

    commit("root", 200)
    made.git("branch", "merged")
    made.git("checkout", "-q", "-b", "old/idea")
    commit("idea", 100, "Grace <grace@example.test>")
    made.git("checkout", "-q", "main")
    commit("work", 10)
    made.git("checkout", "-q", "-b", "fresh")
    commit("fresh 1", 2)
    commit("fresh 2", 1)
    made.git("checkout", "-q", "main")
    for number in range(60):
        made.git("branch", f"many/{number:03d}", "main")
    refs = made.git("for-each-ref", "--format=%(refname)").decode().split()
    await forge.push_refs(repository, made, *refs)
    async with forge.database.write() as session:
        await session.execute(update(AccountEmail).values(verified_at=utc_now()))
    return made


async def test_branches_are_listed_by_last_commit_with_how_far_they_are(forge: Forge, branchy: StockRepository) -> None:
    text = (await get(forge, "/branches?wait=1")).text
    assert names(text)[:3] == ["main", "fresh", "many/000"]
    assert "64 branches" in text
    assert 'aria-label="fresh: 0 behind, 2 ahead of main"' in text
    last = (await get(forge, "/branches?wait=1&page=3")).text
    assert names(last)[-2:] == ["old/idea", "merged"]
    assert 'aria-label="old/idea: 1 behind, 1 ahead of main"' in last
    assert 'aria-label="merged: 1 behind, 0 ahead of main"' in last


async def test_every_branch_is_on_one_of_the_pages(forge: Forge, branchy: StockRepository) -> None:
    seen: list[str] = []
    for page in (1, 2, 3):
        seen += names((await get(forge, f"/branches?wait=1&page={page}")).text)
    wanted = branchy.git("for-each-ref", "--format=%(refname:short)").decode().split()
    assert sorted(seen) == sorted(wanted)
    assert names((await get(forge, f"/branches?page={2**62}")).text) == []


async def test_branches_are_chosen_by_age_author_and_name(forge: Forge, branchy: StockRepository) -> None:
    grace = await forge.person("grace")
    async with forge.database.write() as session:
        await session.execute(update(AccountEmail).values(verified_at=utc_now()))
    assert names((await get(forge, "/branches?which=stale&wait=1")).text) == ["old/idea", "merged"]
    assert "old/idea" not in names((await get(forge, "/branches?which=active&wait=1&page=3")).text)
    assert names((await get(forge, "/branches?which=yours&wait=1", grace)).text) == ["old/idea"]
    assert names((await get(forge, "/branches?which=yours&wait=1")).text) == [], "nobody has none"
    assert names((await get(forge, "/branches?q=IDEA&wait=1")).text) == ["old/idea"]
    nothing = (await get(forge, "/branches?q=<i>&wait=1")).text
    assert "No such branch" in nothing
    assert "<i>" not in nothing.partition("<main")[2]


async def test_a_page_does_not_wait_for_what_orders_it_and_says_where_that_is(
    forge: Forge, branchy: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ref_lists, "PATIENCE_SECONDS", 0)
    text = (await get(forge, "/branches?which=all")).text
    assert 'hx-get="/ada/engine/branches?which=all&amp;wait=1"' in text
    assert names(text)[:2] == ["fresh", "main"], "by name until it is known"
    assert '<p class="card-note late-link"><a href="/ada/engine/branches?which=all&amp;wait=1">' in text
    assert names((await get(forge, "/branches?wait=1")).text)[0] == "main"


async def test_tags_say_who_tagged_why_and_what_came_before(forge: Forge, stock: StockRepository) -> None:
    text = (await get(forge, "/tags?wait=1")).text
    assert names(text) == ["v2", "v1", "blob"]
    assert "<summary>Two</summary>" in text
    assert "Grace tagged" in text
    assert 'href="/ada/engine/compare/v1...v2"' in text
    # A tag that names a file has no commit to show, and breaks nothing.
    assert "/tree/blob" not in text
    assert "names a file or a folder" in text
    assert names((await get(forge, "/tags?q=2")).text) == ["v2"]


async def test_the_menu_leads_to_the_same_path_elsewhere(forge: Forge, stock: StockRepository) -> None:
    home = (await get(forge, "/tree/main/src")).text
    found = re.search(r'<details class="menu ref-switcher" data-menu hx-get="([^"]+)"', home)
    assert found
    address = found[1].replace("&amp;", "&")
    assert f'<a href="{found[1]}">' in home, "without script it is a link to the page of the list"
    text = (await forge.browser().get(address)).text
    assert menu(text) == ["main", "feature/x"], "the default branch first"
    assert 'href="/ada/engine/tree/feature/x/src"' in text
    assert 'href="/ada/engine/tree/main/src" aria-current="true"' in text
    tags = (await forge.browser().get(address.replace("what=branches", "what=tags") + "&q=V")).text
    assert menu(tags) == ["v1", "v2"]


async def test_the_menu_shows_some_of_many_and_leads_on(forge: Forge, branchy: StockRepository) -> None:
    text = (await get(forge, "/refs")).text
    assert len(menu(text)) == 50
    assert menu(text)[0] == "main"
    assert "More of 64" in text
    assert len(menu((await get(forge, "/refs?page=2")).text)) == 14
    assert menu((await get(forge, "/refs?q=IDEA")).text) == ["old/idea"]


async def test_the_menu_leads_nowhere_but_to_pages_of_code(forge: Forge, stock: StockRepository) -> None:
    """Attack: an address of the menu with a verb that would make each link do something else."""
    text = (await get(forge, "/refs?verb=../../../settings/delete&path=<b>")).text
    assert 'href="/ada/engine/tree/main/%3Cb%3E"' in text
    assert "settings/delete" not in text.partition("<main")[2].partition("</main>")[0]
