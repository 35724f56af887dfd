"""Searching everything one may see by page, and browsing topics."""

import html

from tests.factories.forge import Forge

from cairn.access.roles import Visibility
from cairn.repositories.topics import set_topics


async def make_place(forge: Forge) -> None:
    """ada has engine (public, topics) and secret (private, topics), grace has a fork of neither."""
    ada = await forge.person("ada")
    engine = await forge.repository(ada, "engine", description="Mill <store>")
    secret = await forge.repository(ada, "secret", visibility=Visibility.PRIVATE, description="mill")
    async with forge.database.write() as session:
        await set_topics(session, ada.actor, engine.id, ["git", "stone-mill"])
        await set_topics(session, ada.actor, secret.id, ["hidden-thing", "git"])
    await forge.person("miller")


async def test_repositories_and_people_are_found_and_what_is_hidden_is_not(forge: Forge) -> None:
    await make_place(forge)
    ada = forge.people["ada"]
    text = (await forge.browser().get("/search?q=mill")).text
    assert "1 repository<" in text
    assert 'href="/ada/engine"' in text
    assert "Mill &lt;store&gt;" in text
    assert 'href="/miller"' in text
    assert "/ada/secret" not in text
    assert "2 repositories<" in (await forge.browser(ada).get("/search?q=mill")).text
    assert "Nothing matches" in (await forge.browser().get("/search?q=topic:hidden-thing")).text
    assert "Nothing matches" in (await forge.browser().get("/search?q=is:private")).text
    assert "/ada/secret" in (await forge.browser(ada).get("/search?q=is:private&sort=name")).text


async def test_what_is_not_offered_is_said_beside_the_words_that_were_typed(forge: Forge) -> None:
    await make_place(forge)
    answer = await forge.browser().get("/search", params={"q": 'forks:>5 "x'})
    assert answer.status_code == 422
    text = html.unescape(answer.text)
    assert "forks: is not offered here" in text
    assert 'forks:>5 "x' in text


async def test_pages_end_and_odd_ones_are_met(forge: Forge) -> None:
    await make_place(forge)
    for query in ("", "q=", "q=%20", "q=mill&page=2", "q=mill&page=99999999", "q=mill&sort=nothing", "q=%00"):
        answer = await forge.browser().get(f"/search?{query}")
        assert answer.status_code == 200, query


async def test_topics_lead_to_what_one_may_see(forge: Forge) -> None:
    await make_place(forge)
    ada = forge.people["ada"]
    assert "No topics yet" not in (await forge.browser().get("/topics")).text
    for path in ("/topics", "/explore"):
        seen = (await forge.browser().get(path)).text
        assert 'href="/search?q=topic:stone-mill"' in seen
        assert "hidden-thing" not in seen
        own = (await forge.browser(ada).get(path)).text
        assert "hidden-thing" in own
        if path == "/topics":
            assert 'git<span class="count">1</span>' in seen
            assert 'git<span class="count">2</span>' in own
    assert 'href="/ada/engine"' in (await forge.browser().get("/search?q=topic:stone-mill")).text
