"""Pages of forks: the form, the list, where a fork came from, the banner that syncs."""

import html

from tests.factories.company import Company, company
from tests.factories.forge import Forge
from tests.factories.forking import fork, heads
from tests.factories.work import do_what_is_due

from cairn.access.roles import Visibility

__all__ = ["company"]


async def test_a_fork_is_made_by_the_form(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", files={"a": b"1"}, description="Mill")
    await forge.commit(ada, parent, {"b": b"2"}, branch=b"refs/heads/side")
    browser = forge.browser(ben)
    assert 'href="/ada/engine/fork"' in (await browser.get("/ada/engine")).text
    form = (await browser.get("/ada/engine/fork")).text
    assert "Only the main branch" in form
    assert 'value="engine"' in form
    fields = {"owner": "ben", "name": "motor", "description": "Mine", "default_branch_only": "true"}
    made = await browser.submit("/ada/engine/fork", fields)
    assert (made.status_code, made.headers["location"]) == (303, "/ben/motor")
    await do_what_is_due(forge.engine)
    page = html.unescape((await browser.get("/ben/motor")).text)
    assert 'forked from <a href="/ada/engine">ada/engine</a>' in page
    assert "1 branch" in page
    again = await browser.submit("/ada/engine/fork", fields | {"name": "other"})
    assert again.headers["location"] == "/ben/motor"
    listed = (await forge.browser().get("/ada/engine/forks")).text
    assert 'href="/ben/motor"' in listed
    assert "1 fork" in listed


async def test_what_is_wrong_stays_in_the_form(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    await forge.repository(ada, "engine", files={"a": b"1"})
    wrong = await forge.browser(ben).submit("/ada/engine/fork", {"owner": "ben", "name": "a b"})
    assert wrong.status_code == 422
    assert "is not allowed" in html.unescape(wrong.text)
    own = await forge.browser(ada).get("/ada/engine/fork")
    assert "yours already" in own.text


async def test_a_visitor_is_asked_to_sign_in_and_a_hidden_parent_is_absent(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    await forge.repository(ada, "open", files={"a": b"1"})
    await forge.repository(ada, "secret", visibility=Visibility.PRIVATE, files={"a": b"1"})
    assert "Sign in to fork" in (await forge.browser().get("/ada/open/fork")).text
    for path in ("fork", "forks"):
        assert (await forge.browser(ben).get(f"/ada/secret/{path}")).status_code == 404
    assert (await forge.browser(ben).submit("/ada/secret/fork", {"name": "x"}, page="/")).status_code == 404
    assert "No forks yet" in (await forge.browser().get("/ada/open/forks")).text


async def test_the_banner_says_how_far_and_syncs(forge: Forge) -> None:
    ada, ben, cleo = [await forge.person(name) for name in ("ada", "ben", "cleo")]
    parent = await forge.repository(ada, "engine", files={"a": b"1"})
    mine = await fork(forge, ben, parent)
    browser = forge.browser(ben)
    assert "/ben/engine/sync" not in (await browser.get("/ben/engine")).text
    for number in range(3):
        await forge.commit(ada, parent, {"n": str(number).encode()})
    assert "main is 3 commits behind" in " ".join((await browser.get("/ben/engine")).text.split())
    watched = (await forge.browser(cleo).get("/ben/engine")).text
    assert "3 commits behind" in watched
    assert "/ben/engine/sync" not in watched
    synced = await browser.submit("/ben/engine/sync", {"branch": "main"}, page="/ben/engine")
    assert synced.headers["location"] == "/ben/engine"
    assert await heads(forge, mine) == await heads(forge, parent)
    assert "main has everything of ada:main." in (await browser.get("/ben/engine")).text
    await forge.commit(ada, parent, {"n": b"theirs"})
    await forge.commit(ben, mine, {"n": b"ours"})
    refused = await browser.submit("/ben/engine/sync", {"branch": "main"}, page="/ben/engine")
    assert refused.status_code == 303
    page = html.unescape((await browser.get("/ben/engine")).text)
    assert "Both sides changed n" in page
    assert "1 commit ahead of and 1 commit behind" in " ".join(page.split())


async def test_the_owner_of_a_fork_is_chosen_and_preselected(company: Company) -> None:
    olga, browser = company.forge.people["olga"], company.forge.browser(company.forge.people["max"])
    await company.forge.repository(olga, "engine", files={"a": b"1"})
    shown = (await browser.get("/olga/engine/fork?owner=ACME")).text
    assert '<option value="acme" selected>' in shown
    assert "You may not fork this repository to sam." in (await browser.get("/olga/engine/fork?owner=sam")).text
    made = await browser.submit("/olga/engine/fork", {"owner": "acme", "name": "engine"})
    assert (made.status_code, made.headers["location"]) == (303, "/acme/engine")


async def test_a_persons_fork_of_an_internal_repository_is_private(company: Company) -> None:
    olga = company.api("olga")
    internal = {"name": "house", "visibility": "internal"}
    assert (await olga.call("POST", "/orgs/acme/repos", json=internal)).status_code == 201
    assert (await company.api("max").call("POST", "/repos/acme/house/forks", json={})).status_code == 202
    assert (await company.api("max").get("/repos/max/house")).json()["visibility"] == "private"
    assert (await company.api("sam").get("/repos/max/house")).status_code == 404
