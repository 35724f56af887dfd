"""Searching over REST in GitHub's shape."""

import pytest
from tests.factories.forge import Forge
from tests.factories.organizations import make_organization

from cairn.access.roles import Visibility
from cairn.repositories.topics import set_topics


@pytest.fixture
async def place(forge: Forge) -> Forge:
    """ada: engine (code, topics) and secret (private, the same code); the organization guild."""
    ada = await forge.person("ada")
    files = {"src/mill.py": b"def grind(corn):\n    return corn\n", "grind.md": b"about mills"}
    engine = await forge.repository(ada, "engine", description="a mill", files=files)
    secret = await forge.repository(ada, "secret", visibility=Visibility.PRIVATE, files=files, description="mill")
    async with forge.database.write() as session:
        await set_topics(session, ada.actor, engine.id, ["mills"])
        await set_topics(session, ada.actor, secret.id, ["hidden-mills"])
        guild = await make_organization(session, "guild")
        guild.name = "Guild of Ada"
    return forge


async def test_repositories_come_with_a_count_and_their_whole_form(place: Forge) -> None:
    body = (await place.api().get("/search/repositories?q=mill")).json()
    assert (body["total_count"], body["incomplete_results"]) == (1, False)
    [item] = body["items"]
    assert (item["full_name"], item["topics"], item["score"]) == ("ada/engine", ["mills"], 1.0)
    ada = place.people["ada"]
    both = (await place.api(ada).get("/search/repositories?q=mill&sort=updated&order=asc&per_page=1")).json()
    assert (both["total_count"], [one["name"] for one in both["items"]]) == (2, ["engine"])
    answer = await place.api(ada).get("/search/repositories?q=mill&per_page=1")
    assert 'page=2>; rel="next"' in answer.headers["link"]


async def test_people_and_organizations_are_found_by_login_and_name(place: Forge) -> None:
    async def logins(query: str) -> list[str]:
        body = (await place.api().get(f"/search/users?q={query}")).json()
        assert body["total_count"] == len(body["items"])
        return [one["login"] for one in body["items"]]

    assert await logins("ada") == ["ada", "guild"]
    assert await logins("ada+type:org") == ["guild"]
    assert await logins("ada+in:login") == ["ada"]
    assert await logins("nobody") == []
    assert (await place.api().get("/search/users?q=x+in:email")).status_code == 422
    assert (await place.api().get("/search/users?q=x+followers:>3")).status_code == 422


async def test_topics_are_found(place: Forge) -> None:
    names = [one["name"] for one in (await place.api().get("/search/topics?q=mill")).json()["items"]]
    assert names == ["mills"]
    own = (await place.api(place.people["ada"]).get("/search/topics?q=mill")).json()
    assert own["total_count"] == 2


async def test_code_is_found_in_the_repositories_that_are_named(place: Forge) -> None:
    body = (await place.api().get("/search/code?q=grind+repo:ada/engine")).json()
    assert (body["total_count"], body["incomplete_results"]) == (1, False)
    [item] = body["items"]
    assert (item["name"], item["path"]) == ("mill.py", "src/mill.py")
    assert item["repository"]["full_name"] == "ada/engine"
    assert "text_matches" not in item
    contents = (await place.api().get(item["url"].split("/api/v3", 1)[1])).json()
    assert contents["sha"] == item["sha"]
    accept = {"accept": "application/vnd.github.text-match+json"}
    answer = await place.api().get("/search/code?q=grind+repo:ada/engine", headers=accept)
    [match] = answer.json()["items"][0]["text_matches"]
    assert (match["fragment"], match["matches"]) == ("def grind(corn):", [{"text": "grind", "indices": [4, 9]}])


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("grind+in:path", ["grind.md"]),
        ("grind+in:file,path", ["grind.md", "src/mill.py"]),
        ("corn+extension:py", ["src/mill.py"]),
        ("corn+filename:mill.py", ["src/mill.py"]),
        ("corn+-path:src", []),
        ("mills+language:markdown", ["grind.md"]),
    ],
)
async def test_githubs_qualifiers_of_code_are_understood(place: Forge, query: str, paths: list[str]) -> None:
    body = (await place.api().get(f"/search/code?q={query}+repo:ada/engine")).json()
    assert [one["path"] for one in body["items"]] == paths


@pytest.mark.parametrize(
    "query",
    ["grind", "grind+user:ada", "grind+repo:ada/nothing", "grind+repo:ada/secret", "grind+repo:ada", "repo:ada/engine"],
)
async def test_what_cannot_be_searched_is_refused_with_one_answer(place: Forge, query: str) -> None:
    """Attack: the difference between a private repository and none."""
    assert (await place.api().get(f"/search/code?q={query}")).status_code == 422
    hidden = (await place.api().get("/search/code?q=x+repo:ada/secret")).json()
    assert hidden == (await place.api().get("/search/code?q=x+repo:ada/absent")).json()


@pytest.mark.parametrize("kind", ["repositories", "users", "topics", "code"])
async def test_a_search_wants_words_and_ends_at_a_thousand(place: Forge, kind: str) -> None:
    for query in ("", "?q=", "?q=%20", "?q=x+repo:ada/engine&page=11&per_page=100"):
        assert (await place.api().get(f"/search/{kind}{query}")).status_code == 422, query


async def test_sorts_that_are_not_there_are_refused(place: Forge) -> None:
    for query in ("sort=forks", "sort=help-wanted-issues", "order=up"):
        assert (await place.api().get(f"/search/repositories?q=mill&{query}")).status_code == 422


async def test_searches_have_a_budget_of_their_own(place: Forge) -> None:
    ada = place.people["ada"]
    answer = await place.api(ada).get("/search/repositories?q=mill")
    assert answer.headers["x-ratelimit-resource"] == "search"
    assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-used"]) == ("60", "1")
    resources = (await place.api(ada).get("/rate_limit")).json()["resources"]
    assert (resources["search"]["used"], resources["search"]["limit"]) == (1, 60)
    assert resources["core"]["limit"] != 60
    for _ in range(20):
        last = await place.api().get("/search/users?q=x")
    assert last.status_code == 200
    over = await place.api().get("/search/users?q=x")
    assert over.status_code in {403, 429}
    assert "searches a minute" in over.json()["message"]
    assert (await place.api().get("/repos/ada/engine")).status_code == 200
