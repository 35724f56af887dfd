"""The pages of mirrors, as a browser without script sees them."""

import html

import pytest
from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer
from tests.factories.git_repositories import StockRepository
from tests.factories.git_ssh import give_key, serve_git_ssh
from tests.factories.importing import refs_of, wanted_refs
from tests.factories.mirroring import empty_target, sync_again, sync_due
from tests.factories.work import do_what_is_due
from tests.stories.browser import forms_of

from cairn.repositories.mirrors.edit import find_pull_mirror, list_mirrors
from cairn.repositories.mirrors.models import Mirror
from cairn.repositories.mirrors.pages import every
from cairn.repositories.queries import RepositoryView

PAGE = "/ada/engine/settings/mirroring"
FIELDS = {"refs": "all", "overwrites": "true", "prunes": "true", "lfs": "true", "interval_minutes": "60"}


async def only(forge: Forge, made: RepositoryView) -> Mirror:
    async with forge.database.read() as session:
        [mirror] = await list_mirrors(session, made.id)
        return mirror


async def test_a_repository_follows_another_by_forms_alone(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository
) -> None:
    made = await forge.repository(ada, "engine")
    browser = forge.browser(ada)
    empty = await browser.get(PAGE)
    assert "It follows nothing" in empty.text
    assert "Nothing follows it" in empty.text
    server.credentials = "bot:s3cret"
    fields = {**FIELDS, "url": server.url("r.git"), "direction": "pull", "user": "bot", "password": "s3cret"}
    begun = await browser.submit(f"{PAGE}/new", fields)
    assert (begun.status_code, begun.headers["location"]) == (303, PAGE)
    waiting = await browser.get(PAGE)
    assert "Waiting for its first sync" in waiting.text
    assert "not in step yet" in (await browser.get("/ada/engine")).text
    await sync_due(forge)
    assert await refs_of(forge, made) == wanted_refs(source)
    shown = await browser.get(PAGE)
    assert "In step" in shown.text
    home = await forge.browser().get("/ada/engine")
    assert f'Mirror of <a href="{server.url("r.git")}"' in home.text
    assert "last in step" in home.text
    assert "s3cret" not in waiting.text + shown.text + home.text
    mirror = await only(forge, made)
    form = await browser.get(f"{PAGE}/{mirror.id}")
    assert "s3cret" not in form.text
    fields = {**FIELDS, "url": server.url("r.git"), "interval_minutes": "180", "user": "", "password": ""}
    assert (await browser.submit(f"{PAGE}/{mirror.id}", fields)).status_code == 303
    mirror = await only(forge, made)
    assert (mirror.interval_minutes, mirror.sealed is None) == (180, False)
    fields["forget"] = "true"
    assert (await browser.submit(f"{PAGE}/{mirror.id}", fields)).status_code == 303
    assert (await only(forge, made)).sealed is None


async def test_each_button_does_what_it_says(forge: Forge, ada: Person, server: GitServer) -> None:
    made = await forge.repository(ada, "engine", files={"a": b"1"})
    target = empty_target(server.root)
    browser = forge.browser(ada)
    fields = {**FIELDS, "url": server.url("copy.git"), "direction": "push"}
    assert (await browser.submit(f"{PAGE}/new", fields, page=f"{PAGE}/new?direction=push")).status_code == 303
    mirror = await only(forge, made)
    step = f"{PAGE}/{mirror.id}/step"
    assert (await browser.submit(step, {"step": "sync"}, page=PAGE)).status_code == 303
    await do_what_is_due(forge.engine)
    assert wanted_refs(target) == await refs_of(forge, made)
    await browser.submit(step, {"step": "pause"}, page=PAGE)
    assert "Paused" in (await browser.get(PAGE)).text
    await browser.submit(step, {"step": "sync"}, page=PAGE)
    assert "resume it first" in (await browser.get(PAGE)).text
    await browser.submit(step, {"step": "resume"}, page=PAGE)
    assert "Paused" not in (await browser.get(PAGE)).text
    await browser.submit(step, {"step": "stop"}, page=PAGE)
    assert "Nothing follows it" in (await browser.get(PAGE)).text


async def test_a_failure_and_what_was_skipped_are_shown(
    forge: Forge, ada: Person, server: GitServer, source: StockRepository
) -> None:
    made = await forge.repository(ada, "engine", files={"a": b"1"})
    browser = forge.browser(ada)
    [form] = [one for one in forms_of((await browser.get(f"{PAGE}/new")).text) if "overwrites" in one.names]
    assert {"overwrites", "prunes"}.isdisjoint(form.fields), "what is here may be somebody's only copy"
    assert (form.fields["interval_minutes"], form.fields["refs"], form.fields["lfs"]) == ("60", "all", "true")
    fields = {"url": server.url("r.git"), "direction": "pull", "refs": "all", "interval_minutes": "60"}
    await browser.submit(f"{PAGE}/new", fields)
    await sync_due(forge)
    async with forge.database.read() as session:
        mirror = await find_pull_mirror(session, made.id)
    assert mirror is not None
    source.git("update-ref", "refs/heads/topic-1", source.oid("refs/heads/trunk~2"))
    mirror = await sync_again(forge, mirror)
    shown = await browser.get(PAGE)
    assert "1 ref was left as it was" in shown.text
    assert "it has other commits here" in shown.text
    server.credentials = "ada:right"
    await sync_again(forge, mirror)
    shown = await browser.get(PAGE)
    assert "wants a user and password or token" in shown.text
    assert "It failed once" in shown.text
    assert "the last attempt failed" in (await browser.get("/ada/engine")).text


async def test_a_wrong_address_stays_in_the_form_and_the_password_does_not(forge: Forge, ada: Person) -> None:
    await forge.repository(ada, "engine")
    fields = {**FIELDS, "url": "git@host.example:r.git", "direction": "pull", "password": "s3cret"}
    answer = await forge.browser(ada).submit(f"{PAGE}/new", fields)
    assert answer.status_code == 422
    assert "takes no user and password" in answer.text
    assert "git@host.example:r.git" in answer.text
    assert "s3cret" not in answer.text


async def test_the_import_page_makes_a_mirror(forge: Forge, ada: Person, server: GitServer) -> None:
    browser = forge.browser(ada)
    page = await browser.get("/new/import")
    assert "Keep it in step" in page.text
    fields = {"url": server.url("r.git"), "name": "engine", "mirror": "true", "visibility": "public"}
    torn = await browser.submit("/new/import", {**fields, "default_branch_only": "true"})
    assert (torn.status_code, "takes all branches" in torn.text) == (422, True)
    assert (await browser.submit("/new/import", fields)).status_code == 303
    await sync_due(forge)
    await sync_due(forge)
    assert "Mirror of" in (await browser.get("/ada/engine")).text
    assert "In step" in (await browser.get(PAGE)).text


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(10, "10 minutes"), (60, "hour"), (180, "3 hours"), (1440, "day"), (10080, "7 days"), (90, "90 minutes")],
)
def test_pauses_are_said_in_words(minutes: int, words: str) -> None:
    assert every(minutes) == words


async def test_a_mirror_over_ssh_shows_key_and_host(forge: Forge, ada: Person, source: StockRepository) -> None:
    made = await forge.repository(ada, "engine")
    browser = forge.browser(ada)
    async with serve_git_ssh(source.path.parent) as shell:
        assert "Make a key for other servers" in (await browser.get(f"{PAGE}/new")).text
        fingerprint = await give_key(forge, ada, shell)
        assert "ssh-ed25519 " in (await browser.get(f"{PAGE}/new")).text
        fields = {**FIELDS, "url": shell.url(), "direction": "pull"}
        assert (await browser.submit(f"{PAGE}/new", fields)).status_code == 303
        assert "kept when it is first seen" in (await browser.get(PAGE)).text
        await sync_due(forge)
        shown = html.unescape((await browser.get(PAGE)).text)
        assert shell.host_key.get_fingerprint() in shown
        assert fingerprint in shown
        told = (await forge.api(ada).get("/repos/ada/engine/mirror")).json()
        assert told["ssh"]["host_key"] == shell.host_key.get_fingerprint()
        assert told["ssh"]["fingerprint"] == fingerprint
        assert told["last_error"] is None
    assert await refs_of(forge, made) == wanted_refs(source)
    assert shell.url() in (await browser.get("/ada/engine")).text
