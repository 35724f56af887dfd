"""Writing a wiki on the web: new pages, edits, renames, deletions; nothing typed is lost when somebody was faster."""

import html
import re
from typing import Any

import httpx2
import pytest
from tests.factories.forge import Forge, Person
from tests.repositories.wiki.support import commit_files_to_wiki
from tests.stories.browser import forms_of

from cairn.access.roles import Role, Visibility
from cairn.git.types import ZERO_OID
from cairn.repositories.editing.changes import StaleFile
from cairn.repositories.queries import RepositoryView
from cairn.repositories.update import RepositoryChange, update_repository
from cairn.repositories.wiki import edit, edit_pages

WIKI = "/ada/engine/wiki"
CARE = {"text": "typed with care\n"}
"""What stands in a text area; ``forms_of`` leaves that out."""


async def open_form(forge: Forge, person: Person, address: str) -> dict[str, str]:
    """Return the fields of an edit form as a browser would send them back."""
    page = await forge.browser(person).get(f"{WIKI}{address}")
    assert page.status_code == 200, (page.status_code, page.headers, page.text)
    fields = dict(re.findall(r'name="(title|base|blob)"[^>]*? value="([^"]*)"', page.text))
    text = re.search(r'<textarea id="f-text"[^>]*>\n(.*?)</textarea>', page.text, re.DOTALL)
    chosen = re.search(r'<option value="(\w+)" selected', page.text)
    assert text is not None
    assert chosen is not None
    return {name: html.unescape(value) for name, value in fields.items()} | {
        "text": html.unescape(text[1]),
        "format": chosen[1],
    }


async def send(forge: Forge, person: Person | None, path: str, fields: dict[str, str]) -> httpx2.Response:
    """Post a form as the person's browser does, with a token of theirs where a page has one."""
    browser = forge.browser(person)
    found = re.search(r'name="csrf_token" value="([^"]+)"', (await browser.get("/ada/engine")).text)
    return await browser.post(path, fields | ({"csrf_token": found[1]} if found else {}))


async def write(forge: Forge, person: Person, title: str, text: str) -> None:
    """Make a page by its form."""
    form = await open_form(forge, person, "/_new")
    saved = await send(forge, person, f"{WIKI}/_new", form | {"title": title, "text": text})
    assert saved.status_code == 303, (saved.status_code, saved.text)


async def test_a_first_page_makes_the_wiki_and_is_there_for_everybody(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    form = await open_form(forge, ada, "/_new?title=Home")
    saved = await send(forge, ada, f"{WIKI}/_new", form | {"text": "Stone on stone.\n"})
    assert (saved.status_code, saved.headers["location"]) == (303, WIKI)
    assert "Stone on stone." in (await forge.browser().get(WIKI)).text


async def test_a_renamed_page_leaves_its_old_address_leading_to_the_new_one(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    for title in ("Set up", "Other"):
        await write(forge, ada, title, "one\n")
    for old, new in (("Set-up", "Guides/Begin"), ("Guides/Begin", "Start here")):
        form = await open_form(forge, ada, f"/{old}/_edit")
        saved = await send(forge, ada, f"{WIKI}/{old}/_edit", form | {"title": new})
        assert saved.status_code == 303, saved.text
    for old in ("Set-up", "set-up", "Guides/Begin"):
        moved = await forge.browser().get(f"{WIKI}/{old}")
        assert (moved.status_code, moved.headers["location"]) == (303, f"{WIKI}/Start-here")
    form = await open_form(forge, ada, "/Other/_edit")
    taken = await send(forge, ada, f"{WIKI}/Other/_edit", form | {"title": "start here"})
    assert taken.status_code == 422
    assert "already" in taken.text


async def test_a_page_changed_under_my_feet_is_merged_or_marked_and_nothing_is_lost(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    await write(forge, ada, "Home", "one\n\ntwo\n\nthree\n")
    mine, theirs = await open_form(forge, ada, "/Home/_edit"), await open_form(forge, ada, "/Home/_edit")
    faster = await send(forge, ada, f"{WIKI}/Home/_edit", theirs | {"text": "ONE\n\ntwo\n\nthree\n"})
    assert faster.status_code == 303, (faster.status_code, faster.text)
    met = await send(forge, ada, f"{WIKI}/Home/_edit", mine | {"text": "one\n\ntwo\n\nTHREE\n"})
    assert met.status_code == 409
    merged = re.search(r'<textarea id="f-text"[^>]*>\n(.*?)</textarea>', met.text, re.DOTALL)
    assert merged is not None
    assert merged[1] == "ONE\n\ntwo\n\nTHREE\n"
    again = dict(re.findall(r'name="(title|base|blob)"[^>]*? value="([^"]*)"', met.text)) | {"format": "md"}
    saved = await send(forge, ada, f"{WIKI}/Home/_edit", again | {"text": merged[1]})
    assert saved.status_code == 303
    marked = await send(forge, ada, f"{WIKI}/Home/_edit", mine | {"text": "uno\n\ntwo\n\nthree\n"})
    assert marked.status_code == 409
    text = html.unescape(marked.text)
    assert "<<<<<<<" in text
    assert "uno" in text
    assert "ONE" in text
    assert "ONE\n\ntwo\n\nTHREE" not in (await forge.browser().get(WIKI)).text.replace("uno", "")
    assert "uno" not in (await forge.browser().get(WIKI)).text


@pytest.mark.parametrize("address", ["/_new", "/Home/_edit"])
async def test_who_is_faster_by_a_moment_is_met_as_they_are_now(
    forge: Forge, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    """The other one saves after this request has opened the wiki: theirs is shown, and the next save lands on it."""
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    if address != "/_new":
        await write(forge, ada, "Home", "one\n\ntwo\n\nthree\n")
    form = await open_form(forge, ada, address) | {"title": "Home"}
    save = edit.save_page

    async def too_late(*arguments: Any) -> bytes:
        monkeypatch.setattr(edit_pages, "save_page", save)
        faster = await send(forge, ada, f"{WIKI}{address}", form | {"text": "ONE\n\ntwo\n\nthree\n"})
        assert faster.status_code == 303, faster.text
        if address == "/_new":  # the domain looks at names once more, so this comes later still
            raise StaleFile(b"Home.md", ZERO_OID, None)
        return await save(*arguments)

    monkeypatch.setattr(edit_pages, "save_page", too_late)
    met = await send(forge, ada, f"{WIKI}{address}", form | {"text": "one\n\ntwo\n\nTHREE\n"})
    assert met.status_code == 409
    assert "ONE\n\ntwo\n\nthree" in html.unescape(met.text)
    assert "one\n\ntwo\n\nTHREE" in html.unescape(met.text)
    again = dict(re.findall(r'name="(title|base|blob)"[^>]*? value="([^"]*)"', met.text)) | {"format": "md"}
    is_new = address == "/_new"
    title = {"title": "Other"} if is_new else {}
    saved = await send(forge, ada, f"{WIKI}{address}", again | title | {"text": "ONE\n\ntwo\n\nTHREE\n"})
    assert (saved.status_code, saved.headers["location"]) == (303, f"{WIKI}/Other" if is_new else WIKI)


async def test_a_page_that_was_deleted_while_i_wrote_is_offered_as_a_new_one(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    for title in ("Home", "Gone"):
        await write(forge, ada, title, "one\n")
    mine = await open_form(forge, ada, "/Gone/_edit")
    deleted = await send(forge, ada, f"{WIKI}/Gone/_delete", {"blob": mine["blob"]})
    assert deleted.status_code == 303
    assert (await forge.browser().get(f"{WIKI}/Gone")).status_code == 404
    met = await send(forge, ada, f"{WIKI}/Gone/_edit", mine | {"text": "all my work\n"})
    assert met.status_code == 409
    assert "all my work" in met.text
    assert f'action="{WIKI}/_new"' in met.text


async def test_a_page_that_changed_under_my_feet_is_not_deleted(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    await write(forge, ada, "Notes", "one\n")
    page = (await forge.browser(ada).get(f"{WIKI}/Notes")).text
    deletion = next(one for one in forms_of(page) if one.action == f"{WIKI}/Notes/_delete")
    form = await open_form(forge, ada, "/Notes/_edit")
    assert (await send(forge, ada, f"{WIKI}/Notes/_edit", form | {"text": "two\n"})).status_code == 303
    refused = await send(forge, ada, f"{WIKI}/Notes/_delete", {"blob": deletion.fields["blob"]})
    assert (refused.status_code, refused.headers["location"]) == (303, f"{WIKI}/Notes")
    assert "two" in (await forge.browser().get(f"{WIKI}/Notes")).text
    assert (await send(forge, ada, f"{WIKI}/Notes/_delete", {})).status_code == 422, "nobody says what they saw"
    page = (await forge.browser(ada).get(f"{WIKI}/Notes")).text
    deletion = next(one for one in forms_of(page) if one.action == f"{WIKI}/Notes/_delete")
    assert (await send(forge, ada, deletion.action, {"blob": deletion.fields["blob"]})).status_code == 303
    assert (await forge.browser().get(f"{WIKI}/Notes")).status_code == 404


async def test_what_was_typed_survives_a_page_that_became_no_text(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    await write(forge, ada, "Notes", "one\n")
    mine = await open_form(forge, ada, "/Notes/_edit")
    await commit_files_to_wiki(forge, ada, repository, {b"Notes.md": b"\0\1\2" * 100})
    met = await send(forge, ada, f"{WIKI}/Notes/_edit", mine | {"text": "all my work\n"})
    assert met.status_code == 409
    assert "all my work" in met.text
    assert "under another title" in met.text
    assert f'action="{WIKI}/_new"' in met.text
    saved = await send(forge, ada, f"{WIKI}/_new", mine | {"title": "Mine", "text": "all my work\n", "blob": ""})
    assert saved.headers["location"] == f"{WIKI}/Mine"


async def test_what_was_typed_survives_the_end_of_a_session_and_of_a_right(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    await forge.repository(ada, "engine")
    await write(forge, ada, "Notes", "one\n")
    for address in ("/_new", "/Notes/_edit"):
        page = (await forge.browser(ada).get(f"{WIKI}{address}")).text
        form = next(one for one in forms_of(page) if one.action == f"{WIKI}{address}")
        typed = form.fields | {"title": "Notes"} | CARE
        typed.pop("preview")  # another button's
        ended = await forge.browser().post(form.action, typed)
        assert (ended.status_code, "typed with care" in ended.text) == (401, True)
        assert f"/login?next={WIKI}{address}" in ended.text
        # Signed in again the same form is another session's: it comes back, ready to be saved.
        kept = next(one for one in forms_of(ended.text) if one.action == form.action)
        back = await forge.browser(ada).post(form.action, kept.fields | CARE)
        assert (back.status_code, "save it now" in back.text, "typed with care" in back.text) == (403, True, True)
        refused = await send(forge, ben, form.action, {name: typed[name] for name in typed if name != "csrf_token"})
        assert (refused.status_code, "typed with care" in refused.text) == (403, True)
    assert "one" in (await forge.browser().get(f"{WIKI}/Notes")).text
    ready = next(one for one in forms_of(back.text) if one.action == f"{WIKI}/Notes/_edit")
    assert (await forge.browser(ada).post(ready.action, ready.fields | CARE | {"preview": ""})).status_code == 303
    assert "typed with care" in (await forge.browser().get(f"{WIKI}/Notes")).text


@pytest.mark.parametrize(
    "title", ["", "_Header", "../up", "a//b", "Home.md", ".hidden", "a[b", "x" * 300, "0" * 40, ".git/config", "a\\b"]
)
async def test_titles_that_no_page_can_have_are_refused_with_all_that_was_typed(forge: Forge, title: str) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    form = await open_form(forge, ada, "/_new")
    refused = await send(forge, ada, f"{WIKI}/_new", form | {"title": title, "text": "kept text"})
    assert refused.status_code == 422
    assert "kept text" in refused.text


async def test_a_preview_saves_nothing(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    form = await open_form(forge, ada, "/_new?title=Home")
    shown = await send(forge, ada, f"{WIKI}/_new", form | {"text": "# Large words\n", "preview": "true"})
    assert shown.status_code == 200
    assert 'id="user-content-large-words"' in shown.text
    assert "no pages yet" in (await forge.browser().get(WIKI)).text


async def test_files_keep_their_line_ends_and_encoding(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    await commit_files_to_wiki(forge, ada, repository, {b"Home.md": b"caf\xc3\xa9\r\none\r\n"})
    form = await open_form(forge, ada, "/Home/_edit")
    assert form["text"] == "café\none\n"
    saved = await send(forge, ada, f"{WIKI}/Home/_edit", form | {"text": "café\ntwo\n"})
    assert saved.status_code == 303, (saved.status_code, saved.text)
    assert (await forge.browser().get(f"{WIKI}/Home.md")).content == b"caf\xc3\xa9\r\ntwo\r\n"


async def may_write(forge: Forge, person: Person | None, number: list[int]) -> bool:
    number[0] += 1
    browser = forge.browser(person)
    shown = await browser.get(f"{WIKI}/_new")
    fields = {"title": f"Page {number[0]}", "text": "words", "format": "md"}
    saved = await send(forge, person, f"{WIKI}/_new", fields)
    there = (await forge.browser(forge.people["ada"]).get(f"{WIKI}/Page-{number[0]}")).status_code == 200
    assert (
        (shown.status_code == 200) is there is (saved.status_code == 303 and "/login" not in saved.headers["location"])
    )
    return there


async def test_who_may_write(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    people: dict[str, Person | None] = {name: await forge.person(name) for name in ("stranger", "reader", "writer")}
    people["anonymous"] = None
    assert people["reader"] is not None
    assert people["writer"] is not None
    await forge.grant(repository, people["reader"], Role.READ)
    await forge.grant(repository, people["writer"], Role.WRITE)
    number = [0]

    async def writers() -> set[str]:
        return {name for name, person in people.items() if await may_write(forge, person, number)}

    async def settle(**change: object) -> RepositoryView:
        async with forge.database.write() as session:
            wanted = RepositoryChange(**change)  # type: ignore[arg-type]
            return await update_repository(session, forge.engine, ada.actor, repository.id, wanted)

    assert await writers() == {"writer"}
    await settle(is_wiki_open=True)
    assert await writers() == {"stranger", "reader", "writer"}
    await settle(visibility=Visibility.PRIVATE)
    assert await writers() == {"writer"}
    await settle(visibility=Visibility.PUBLIC)
    await settle(is_archived=True)
    assert await writers() == set()
