"""Histories by day, and whose commits they are: on pages and in the API, one statement a page."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update
from tests.factories.forge import Forge

from cairn.db.clock import database_now
from cairn.identity.models import AccountEmail
from cairn.repositories.code.history_lists import by_day


@dataclass
class _Signed:
    at: datetime


@dataclass
class _Commit:
    committer: _Signed


def test_days_are_the_committers_own_and_keep_the_order() -> None:
    late = _Commit(_Signed(datetime.fromisoformat("2024-05-06T23:30:00-07:00")))
    early = _Commit(_Signed(datetime.fromisoformat("2024-05-06T01:00:00+02:00")))
    before = _Commit(_Signed(datetime.fromisoformat("2024-05-05T01:00:00+02:00")))
    found = by_day([late, early, before])  # type: ignore[list-item]  # as far as days go
    assert [(day, len(commits)) for day, commits in found] == [("6 May 2024", 2), ("5 May 2024", 1)]


async def test_a_commit_belongs_to_whoever_proved_its_address(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"README.md": b"# Engine"})
    path = f"/repos/{repository.full_name}/commits"
    [unproved] = (await forge.api().get(path)).json()
    assert (unproved["author"], unproved["committer"]) == (None, None)
    assert (
        'href="/ada"'
        not in (await forge.browser().get(f"/{repository.full_name}/commits")).text.split("<main")[1].split("day")[1]
    )
    async with forge.database.write() as session:
        await session.execute(update(AccountEmail).values(verified_at=await database_now(session)))
    [proved] = (await forge.api().get(path)).json()
    assert (proved["author"]["login"], proved["committer"]["id"]) == ("ada", ada.account.id)
    single = (await forge.api().get(f"{path}/{proved['sha']}")).json()
    branch = (await forge.api().get(f"/repos/{repository.full_name}/branches/main")).json()
    assert single["author"] == branch["commit"]["author"] == proved["author"]
    for page in (
        f"/{repository.full_name}/commits",
        f"/{repository.full_name}/commit/{proved['sha']}",
        f"/{repository.full_name}",
    ):
        text = (await forge.browser(ada).get(page)).text  # a page kept for visitors may show the old author for minutes
        assert '<a class="author" href="/ada">ada</a>' in text, page
        assert "/-/avatar/ada?s=" in text, page
