"""The pages of imports, as a browser without script sees them."""

import html
from pathlib import Path

from tests.factories.forge import Forge
from tests.factories.git_http import serve_git
from tests.factories.git_ssh import give_key, serve_git_ssh
from tests.factories.importing import make_source
from tests.factories.work import do_what_is_due


async def test_a_repository_is_imported_by_forms_alone(forge: Forge, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    make_source(tmp_path / "served")
    ada = await forge.person("ada")
    browser = forge.browser(ada)
    async with serve_git(tmp_path / "served") as server:
        form = {"url": server.url("r.git"), "name": "engine", "password": "s3cret", "visibility": "private"}
        begun = await browser.submit("/new/import", form)
        assert begun.headers["location"] == "/ada/engine/import"
        waiting = await browser.get("/ada/engine/import")
        assert "Waiting for a worker" in waiting.text
        assert "It is being imported" in (await browser.get("/ada/engine")).text
        assert '<noscript><a href="/ada/engine/import">Look again</a></noscript>' in waiting.text
        assert "s3cret" not in waiting.text
        await do_what_is_due(forge.engine)
    done = await browser.get("/ada/engine/import")
    assert "Everything is here." in done.text
    assert "1 ref that is neither a branch nor a tag" in done.text


async def test_a_wrong_address_stays_in_the_form_and_the_password_does_not(forge: Forge) -> None:
    ada = await forge.person("ada")
    answer = await forge.browser(ada).submit(
        "/new/import", {"url": "http://127.1/x", "name": "engine", "password": "s3cret"}
    )
    assert answer.status_code == 422
    assert "usual spelling" in answer.text
    assert "http://127.1/x" in answer.text
    assert "s3cret" not in answer.text


async def test_a_failure_says_why_and_is_tried_again(forge: Forge, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    make_source(tmp_path / "served")
    ada = await forge.person("ada")
    browser = forge.browser(ada)
    async with serve_git(tmp_path / "served") as server:
        server.credentials = "ada:right"
        await browser.submit("/new/import", {"url": server.url("r.git"), "name": "engine"})
        await do_what_is_due(forge.engine)
        failed = await browser.get("/ada/engine/import")
        assert "wants a user and password" in failed.text
        front = await browser.get("/ada/engine")
        assert "wants a user and password" in front.text
        assert 'href="/ada/engine/import">Try the import again' in front.text
        given = {"user": "ada", "password": "right"}
        again = await browser.submit("/ada/engine/import/retry", given, page="/ada/engine/import")
        assert again.status_code == 303
        await do_what_is_due(forge.engine)
    assert "Everything is here." in (await browser.get("/ada/engine/import")).text


async def test_a_stranger_who_sends_the_form_is_asked_to_sign_in(forge: Forge) -> None:
    await forge.person("ada")
    fields = {"url": "http://127.1/x", "name": "engine"}
    answer = await forge.browser().submit("/new/import", fields, page="/-/appearance")
    assert answer.status_code == 401, "here no page lets anybody in"


async def test_an_import_over_ssh_shows_the_key_before_and_after(forge: Forge, tmp_path: Path) -> None:
    (tmp_path / "served").mkdir()
    make_source(tmp_path / "served")
    ada = await forge.person("ada")
    browser = forge.browser(ada)
    async with serve_git_ssh(tmp_path / "served") as shell:
        form = await browser.get("/new/import")
        assert "Make a key for other servers" in form.text
        fingerprint = await give_key(forge, ada)
        assert "ssh-ed25519 " in (await browser.get("/new/import")).text
        await browser.submit("/new/import", {"url": shell.url(), "name": "engine"})
        await do_what_is_due(forge.engine)
        failed = html.unescape((await browser.get("/ada/engine/import")).text)
        assert "Add this as a deploy key there" in failed
        assert fingerprint in failed
        assert shell.host_key.get_fingerprint() in failed
        assert 'name="password"' not in failed
        told = (await forge.api(ada).get("/repos/ada/engine/import")).json()
        assert (told["status"], told["ssh"]["fingerprint"]) == ("auth_failed", fingerprint)
        shell.accepted.add(fingerprint)
        await browser.submit("/ada/engine/import/retry", {}, page="/ada/engine/import")
        await do_what_is_due(forge.engine)
    assert "Everything is here." in (await browser.get("/ada/engine/import")).text
