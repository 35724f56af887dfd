"""Front page, dashboard, explore, profiles: what is shown to whom."""

import html

import asyncssh
from tests.factories.forge import Forge
from tests.factories.organizations import make_organization
from tests.factories.repositories import make_repository
from tests.factories.signing import Gpg, gpg

from cairn.access.roles import Role, Visibility
from cairn.base.clock import utc_now
from cairn.identity.gpg_keys import add_gpg_key
from cairn.identity.models import AccountRename
from cairn.identity.ssh_keys import add_key

__all__ = ["gpg"]

PAGE_BYTES_MAX = 100_000


async def test_a_visitor_sees_what_this_is_and_what_is_public(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine", description="Mill <store>")
    await forge.repository(ada, "secret", visibility=Visibility.PRIVATE)
    async with forge.database.write() as session:
        await make_repository(session, ada.account, "house", visibility=Visibility.INTERNAL)
    answer = await forge.browser().get("/")
    assert answer.status_code == 200
    assert "Mill &lt;store&gt;" in answer.text
    assert 'href="/ada/engine"' in answer.text
    assert 'href="/login"' in answer.text
    assert "secret" not in answer.text
    assert "house" not in answer.text
    assert len(answer.content) < PAGE_BYTES_MAX


async def test_who_opens_a_fresh_installation_is_told_of_the_link(forge: Forge) -> None:
    for awaits, told in ((None, False), (True, True), (False, False)):
        forge.running.app.site.state.awaits_administrator = awaits
        assert ("Create the first administrator" in (await forge.browser().get("/")).text) is told


async def test_somebody_new_is_told_how_to_begin(forge: Forge) -> None:
    ada = await forge.person("ada")
    text = (await forge.browser(ada).get("/")).text
    assert "Lay the first stone" in text
    assert 'href="/new"' in text
    assert 'href="/settings/keys"' in text


async def test_somebodys_repositories_come_last_pushed_first(forge: Forge) -> None:
    ada, grace = await forge.person("ada"), await forge.person("grace")
    await forge.repository(ada, "first", files={"a": b"1"})
    shared = await forge.repository(grace, "shared", visibility=Visibility.PRIVATE)
    await forge.grant(shared, ada, Role.WRITE)
    await forge.repository(grace, "theirs")
    second = await forge.repository(ada, "second")
    await forge.commit(grace, shared, {"a": b"1"})
    text = (await forge.browser(ada).get("/")).text
    assert text.index("/ada/second") < text.index("/ada/first")
    assert "/grace/shared" in text
    assert "/grace/theirs" not in text
    found = (await forge.browser(ada).get("/?q=seco")).text
    assert ("/ada/second" in found, "/ada/first" in found) == (True, False)
    assert "Nothing matches" in (await forge.browser(ada).get("/?q=zzz")).text
    assert second.name == "second"


async def test_explore_finds_what_the_visitor_may_see_page_by_page(forge: Forge) -> None:
    ada = await forge.person("ada")
    for number in range(31):
        await forge.repository(ada, f"r{number:02}", description="numbered" if number % 2 else "")
    await forge.repository(ada, "secret", visibility=Visibility.PRIVATE, description="numbered")
    first = (await forge.browser().get("/explore?sort=name")).text
    assert first.count("repository-row") == 30
    assert 'href="/explore?sort=name&amp;page=2"' in first
    second = (await forge.browser().get("/explore?sort=name&page=2")).text
    assert "/ada/r30" in second
    assert second.count("repository-row") == 1
    answer = await forge.browser().get("/explore?q=a+b")
    assert (answer.status_code, answer.headers["location"]) == (303, "/search?q=a+b")
    assert "/ada/secret" not in (await forge.browser().get("/explore?sort=name&page=2")).text
    assert "/ada/secret" in (await forge.browser(ada).get("/explore?sort=name&page=2")).text


async def test_a_search_text_is_text(forge: Forge) -> None:
    """The attack: quotes, wildcards and markup in the search field."""
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    for text in ('"><script>alert(1)</script>', "%", "_", "' OR 1=1 --", "\\", "x" * 5000, "\x00"):
        answer = await forge.browser().get("/search", params={"q": text})
        assert answer.status_code == (422 if len(text) > 1000 else 200)
        assert "<script>alert" not in answer.text
        assert "/ada/engine" not in answer.text
    for odd in ("page=-1", "page=x", "page=0", "sort=nothing", "page=99999999999"):
        assert (await forge.browser().get(f"/explore?{odd}")).status_code == 200, odd


async def test_a_profile_shows_who_it_is_and_what_the_viewer_may_see(forge: Forge) -> None:
    ada, grace = await forge.person("ada"), await forge.person("grace")
    await forge.repository(ada, "engine")
    secret = await forge.repository(ada, "secret", visibility=Visibility.PRIVATE)
    for viewer, sees in ((None, False), (grace, False), (ada, True)):
        text = (await forge.browser(viewer).get("/ADA")).text
        assert ("/ada/engine" in text, "/ada/secret" in text) == (True, sees)
        assert ("Edit profile" in text) == (viewer is ada)
    await forge.grant(secret, grace, Role.READ)
    assert "/ada/secret" in (await forge.browser(grace).get("/ada")).text
    assert "shares no repository with you" in (await forge.browser(ada).get("/grace")).text


async def test_what_somebody_says_of_themselves_is_text(forge: Forge) -> None:
    ada = await forge.person("ada")
    async with forge.database.write() as session:
        ada.account.name, ada.account.bio = "<b>Ada</b>", "</title><script>alert(1)</script>"
        await session.merge(ada.account)
    text = (await forge.browser().get("/ada")).text
    assert "&lt;b&gt;Ada" in text
    assert "<script>alert" not in text
    assert "<script>alert(1)</script>" in html.unescape(text)


async def test_nobody_has_no_profile(forge: Forge) -> None:
    for path in ("/nobody", "/-x", "/humans.txt", "/%2e%2e%2f", "/%00"):
        assert (await forge.browser().get(path)).status_code == 404, path


async def test_a_suspended_person_sees_nothing_of_their_own(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "secret", visibility=Visibility.PRIVATE)
    async with forge.database.write() as session:
        ada.account.suspended_at = utc_now()
        await session.merge(ada.account)
    for path in ("/", "/explore", "/ada"):
        assert "/ada/secret" not in (await forge.browser(ada).get(path)).text


async def test_our_own_paths_come_before_names(forge: Forge) -> None:
    """The attack: take the name of one of our pages and be shown in its place."""
    for login in ("explore", "new"):
        await forge.person(login)
    assert "<h1>Explore</h1>" in (await forge.browser().get("/explore")).text
    assert (await forge.browser().get("/new")).headers["location"] == "/login?next=/new"


async def test_a_persons_public_keys_are_lines_and_nothing_else(forge: Forge) -> None:
    ada, grace = await forge.person("ada"), await forge.person("grace")
    keys = [asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip() for _ in range(2)]
    async with forge.database.write() as session:
        for key in keys:
            await add_key(session, ada.actor, ada.account.id, title="my secret machine", text=f"{key} ada@home")
    for client in (forge.browser(), forge.browser(grace)):
        answer = await client.get("/ADA.keys")
        assert (answer.status_code, answer.text) == (200, "".join(f"{key}\n" for key in keys))
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    empty = await forge.browser().get("/grace.keys")
    assert (empty.status_code, empty.text) == (200, "")


async def test_a_persons_gpg_keys_are_what_gpg_imports(forge: Forge, gpg: Gpg) -> None:
    ada = await forge.person("ada")
    fingerprints = [gpg.make_key(f"Ada {number} <ada@example.test>") for number in range(2)]
    async with forge.database.write() as session:
        for fingerprint in fingerprints:
            await add_gpg_key(session, ada.actor, ada.account.id, title="my laptop", text=gpg.export(fingerprint))
    answer = await forge.browser().get("/ADA.gpg")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    shown = gpg.run("--show-keys", "--with-colons", stdin=answer.content).decode()
    assert [line.split(":")[9].lower() for line in shown.splitlines() if line.startswith("fpr:")] == fingerprints
    assert "my laptop" not in answer.text


async def test_whose_keys_nobody_may_trust_has_none(forge: Forge) -> None:
    """Absent, suspended, deleted, an organization: all the same. An old name leads to the new one."""
    ada, sue = await forge.person("ada"), await forge.person("sue", suspended_at=utc_now())
    key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    async with forge.database.write() as session:
        await add_key(session, ada.actor, ada.account.id, title="", text=key)
        await make_organization(session, "acme", owner=ada.account)
        session.add(AccountRename(login_key="lovelace", account_id=ada.account.id))
        session.add(AccountRename(login_key="suzanne", account_id=sue.account.id))
    for name in ("nobody", "sue", "acme", "ada.keys", "", "%00", "a" * 50):
        for suffix in ("keys", "gpg"):
            assert (await forge.browser().get(f"/{name}.{suffix}")).status_code == 404, name
    for suffix in ("keys", "gpg"):
        moved = await forge.browser().get(f"/Lovelace.{suffix}")
        assert (moved.status_code, moved.headers["location"]) == (301, f"/ada.{suffix}")
