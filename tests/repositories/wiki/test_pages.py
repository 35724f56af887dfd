"""The pages of a wiki: what is shown for which address, for whom, and what a page's text may do."""

import re
from collections.abc import Mapping

import pytest
from tests.factories.forge import Forge, Person
from tests.repositories.wiki.support import commit_files_to_wiki

from cairn.access.roles import Role, Visibility
from cairn.repositories.queries import RepositoryView, find_repository_by_id
from cairn.repositories.update import RepositoryChange, update_repository
from cairn.repositories.wiki.edit import PageEdit, save_page


async def write(forge: Forge, person: Person, repository: RepositoryView, pages: Mapping[str, str]) -> RepositoryView:
    """Write pages by their titles; return the repository with its wiki."""
    for title, text in pages.items():
        await save_page(forge.engine, person.actor, repository, PageEdit(title=title, ending="md", text=text))
        async with forge.database.read() as session:
            repository = await find_repository_by_id(session, person.actor, repository.id)
    return repository


async def test_a_wiki_without_pages_offers_to_write_the_first_one_to_whoever_may(forge: Forge) -> None:
    ada, bob = await forge.person("ada"), await forge.person("bob")
    await forge.repository(ada, "engine")
    page = await forge.browser(ada).get("/ada/engine/wiki")
    assert page.status_code == 200
    assert "/ada/engine/wiki/_new?title=Home" in page.text
    for browser in (forge.browser(bob), forge.browser()):
        page = await browser.get("/ada/engine/wiki")
        assert page.status_code == 200
        assert "no pages yet" in page.text
        assert "_new" not in page.text


async def test_a_page_is_shown_with_its_links_its_sidebar_and_its_footer(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    await write(
        forge,
        ada,
        repository,
        {
            "Home": "# Welcome\n[[Set up]] and [[how to|Guides/First steps]] and [[Not there]] ![stone](img/s.png)\n",
            "Set up": "two",
            "Guides/First steps": "Back to [[Home]] or [up](../Home).",
            "_Sidebar": "**beside**",
            "_Footer": "**below**",
        },
    )
    page = await forge.browser().get("/ada/engine/wiki")
    assert page.status_code == 200
    assert 'href="/ada/engine/wiki/Set-up" rel=' in page.text
    assert 'href="/ada/engine/wiki/Guides/First-steps" rel=' in page.text
    assert re.search(r'href="/ada/engine/wiki/Not-there" class="wiki-missing"', page.text)
    assert 'src="/ada/engine/wiki/_files/raw/main/img/s.png"' in page.text
    assert "<strong>beside</strong>" in page.text
    assert "<strong>below</strong>" in page.text
    deeper = await forge.browser().get("/ada/engine/wiki/Guides/First-steps")
    assert deeper.text.count('href="/ada/engine/wiki/Home"') >= 2
    every = await forge.browser().get("/ada/engine/wiki/_pages")
    assert [name for name in ("Home", "Set up", "Guides/First steps") if f">{name}</a>" not in every.text] == []
    assert "_Sidebar</a>" not in every.text


@pytest.mark.parametrize("spelling", ["set-up", "Set%20up", "SET-UP", "first-steps"])
async def test_other_spellings_of_a_page_lead_to_its_one_address(forge: Forge, spelling: str) -> None:
    ada = await forge.person("ada")
    await write(forge, ada, await forge.repository(ada, "engine"), {"Set up": "one", "Guides/First steps": "two"})
    page = await forge.browser().get(f"/ada/engine/wiki/{spelling}")
    assert page.status_code == 303
    assert page.headers["location"] in {"/ada/engine/wiki/Set-up", "/ada/engine/wiki/Guides/First-steps"}


async def test_what_is_not_there_is_404_and_offered_to_writers_only(forge: Forge) -> None:
    ada = await forge.person("ada")
    await write(forge, ada, await forge.repository(ada, "engine"), {"Home": "one"})
    for address in ("Nowhere", "../../settings", "a/b/c", "%00", "%ff%fe", "..%2f..%2fetc%2fpasswd", "x" * 3000):
        for browser, is_offered in ((forge.browser(ada), True), (forge.browser(), False)):
            page = await browser.get(f"/ada/engine/wiki/{address}")
            assert page.status_code in {404, 414}, address
            assert ("Write it" in page.text) is (is_offered and page.status_code == 404 and "There is no" in page.text)


async def test_old_versions_histories_comparisons_and_searches(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await write(forge, ada, await forge.repository(ada, "engine"), {"Home": "granite\n"})
    browser = forge.browser(ada)
    await browser.get("/ada/engine/wiki/Home/_edit")
    first = (await forge.browser().get("/ada/engine/wiki/Home/_history")).text
    [oid] = set(re.findall(r"/wiki/Home/([0-9a-f]{40})", first))
    blob = re.search(r'name="blob" value="([0-9a-f]{40})"', (await browser.get("/ada/engine/wiki/Home/_edit")).text)
    assert blob is not None
    answer = await browser.submit(
        "/ada/engine/wiki/Home/_edit",
        {"title": "Home", "format": "md", "text": "basalt", "base": oid, "blob": blob[1], "message": "Harder"},
    )
    assert answer.status_code == 303, answer.text
    history = (await forge.browser().get("/ada/engine/wiki/Home/_history")).text
    assert "Harder" in history
    old = await forge.browser().get(f"/ada/engine/wiki/Home/{oid}")
    assert "granite" in old.text
    assert "old version" in old.text
    [new] = set(re.findall(r"/wiki/Home/([0-9a-f]{40})", history)) - {oid}
    by_form = await forge.browser().get(f"/ada/engine/wiki/_compare?old={oid}&new={new}")
    compared = await forge.browser().get(by_form.headers["location"])
    assert "granite" in compared.text
    assert "basalt" in compared.text
    raw = re.search(r'href="(/ada/engine/wiki/_files/blob/[^"]+)"', compared.text)
    assert raw is not None
    assert (await forge.browser().get(raw[1])).headers["location"].startswith("/ada/engine/wiki/Home/")
    found = await forge.browser().get("/ada/engine/wiki/_search?q=basalt")
    assert "<mark>basalt</mark>" in found.text
    assert "No page has this" in (await forge.browser().get("/ada/engine/wiki/_search?q=marble")).text
    assert repository.wiki_store_id is not None


async def test_files_of_a_wiki_are_sent_in_a_sandbox(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await write(forge, ada, await forge.repository(ada, "engine"), {"Home": "one"})
    async with forge.database.read() as session:
        repository = await find_repository_by_id(session, ada.actor, repository.id)
    await commit_files_to_wiki(forge, ada, repository, {b"img/x.svg": b"<svg onload='alert(1)'/>", b"run.html": b"<b>"})
    for address in ("img/x.svg", "_files/raw/main/img/x.svg", "run.html", "Home.md"):
        sent = await forge.browser().get(f"/ada/engine/wiki/{address}")
        assert sent.status_code == 200
        assert "sandbox" in sent.headers["content-security-policy"]
        assert sent.headers["content-type"].partition(";")[0] in {"image/svg+xml", "text/plain"}


async def test_a_page_can_run_nothing_whatever_it_is_called_and_whatever_it_says(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await write(forge, ada, await forge.repository(ada, "engine"), {"Home": "[[<img src=x onerror=1>]]"})
    names = [b'"><script>alert(1)</script>.md', b"javascript:alert(1).md", b"\xff\xfe.md", b"a\nb.md", b"$(id).md"]
    await commit_files_to_wiki(
        forge, ada, repository, dict.fromkeys(names, b"<script>alert(1)</script>[[x|javascript:1]]")
    )
    every = await forge.browser(ada).get("/ada/engine/wiki/_pages")
    assert every.status_code == 200
    for href in set(re.findall(r'href="(/ada/engine/wiki/[^"]+)"', every.text)):
        page = await forge.browser(ada).get(href)
        assert page.status_code in {200, 303, 404}, href
        assert "<script>alert" not in page.text
        assert 'href="javascript' not in page.text
        assert "<img src=x" not in page.text


async def test_a_wiki_is_as_hidden_as_its_repository_and_gone_when_it_is_switched_off(forge: Forge) -> None:
    ada, bob = await forge.person("ada"), await forge.person("bob")
    hidden = await forge.repository(ada, "hidden", visibility=Visibility.PRIVATE)
    await write(forge, ada, hidden, {"Home": "secret words"})
    for address in ("", "/Home", "/_pages", "/_search?q=secret", "/Home/_history", "/_files/raw/main/Home.md", "/_new"):
        for browser in (forge.browser(bob), forge.browser()):
            page = await browser.get(f"/ada/hidden/wiki{address}")
            assert page.status_code in {404, 303, 401}
            assert "secret words" not in page.text
    await forge.grant(hidden, bob, Role.READ)
    assert "secret words" in (await forge.browser(bob).get("/ada/hidden/wiki/Home")).text
    async with forge.database.write() as session:
        await update_repository(session, forge.engine, ada.actor, hidden.id, RepositoryChange(has_wiki=False))
    for address in ("", "/Home", "/_pages", "/_new", "/Home/_edit"):
        assert (await forge.browser(ada).get(f"/ada/hidden/wiki{address}")).status_code == 404
    assert "/wiki" not in (await forge.browser(ada).get("/ada/hidden")).text
