"""Who wrote a repository, over REST: GitHub's shape."""

from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository
from tests.repositories.code.test_contributors_pages import written

__all__ = ["written"]


async def test_accounts_are_listed_with_all_their_addresses(forge: Forge, written: StockRepository) -> None:
    answer = await forge.api().get("/repos/ada/engine/contributors")
    assert [(one["login"], one["contributions"], one["type"]) for one in answer.json()] == [
        ("bob", 3, "User"),
        ("ada", 1, "User"),
    ]
    assert answer.json()[0]["html_url"].endswith("/bob")


async def test_anon_adds_who_has_no_account_in_their_place(forge: Forge, written: StockRepository) -> None:
    found = (await forge.api().get("/repos/ada/engine/contributors?anon=1")).json()
    assert [one["contributions"] for one in found] == [3, 2, 1]
    assert found[1] == {"email": "carol@x.org", "name": "Carol & C", "type": "Anonymous", "contributions": 2}
    page = await forge.api().get("/repos/ada/engine/contributors?anon=1&per_page=1&page=2")
    assert page.json() == found[1:2]
    assert 'rel="last"' in page.headers["link"] or 'rel="next"' in page.headers["link"]
    refused = await forge.api().get("/repos/ada/engine/contributors?anon=perhaps")
    assert refused.status_code == 422


async def test_an_empty_repository_has_none(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "empty")
    assert (await forge.api().get("/repos/ada/empty/contributors")).json() == []
