"""Making, editing and renaming files by forms: every way on, every refusal with what was typed still there."""

import html
import re
from typing import Any

import httpx2
import pytest
from tests.factories.forge import MAIN, Forge, Person

from cairn.access.roles import Role, Visibility
from cairn.git.types import Oid
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.revisions import Place
from cairn.repositories.queries import RepositoryView

BASE = "/ada/engine"


async def engine_of(forge: Forge, **files: bytes) -> tuple[Person, RepositoryView]:
    """Return ada and her repository with these files (``__`` for a dot)."""
    ada = await forge.person("ada")
    contents = {name.replace("__", "."): data for name, data in files.items()}
    return ada, await forge.repository(ada, "engine", files=contents or None, may_lack_objects=True)


async def file_at(
    forge: Forge, repository: RepositoryView, path: str, branch: str = "main"
) -> tuple[bytes, int] | None:
    """Return a file's bytes and mode at a branch's tip, None for none."""
    async with open_code(forge.engine, repository.store_id) as code:
        revision = await code.revision(branch.encode())
        listed = await code.listing((await code.commit(revision.commit_oid)).tree_oid, recursive=True)
        if path.encode() not in {entry.path for entry in listed.entries}:
            return None
        found = await code.file(await code.entry(Place(revision, path.encode())))
        assert found.data is not None
        return found.data, found.mode


async def head_of(forge: Forge, repository: RepositoryView, branch: bytes = MAIN) -> Oid:
    found = await forge.engine.refs.find(repository.store_id, branch)
    assert found is not None
    return found.oid


async def message_at(forge: Forge, repository: RepositoryView, branch: str = "main") -> str:
    async with open_code(forge.engine, repository.store_id) as code:
        found = await code.commit((await code.revision(branch.encode())).commit_oid)
        return f"{found.message}|{found.author.email}"


def fields_of(page: str) -> dict[str, str]:
    """Return what the form of a page would send, as a browser fills it in."""
    form = page[page.index('<form method="post" action="/ada/') :]
    found = dict(re.findall(r'<input[^>]*? name="(\w+)"[^>]*? value="([^"]*)"', form))
    found |= dict(re.findall(r'<input type="radio" name="(\w+)" value="(\w+)" checked', form))
    if area := re.search(r'<textarea[^>]* name="content"[^>]*>\n(.*?)</textarea>', form, re.DOTALL):
        found["content"] = area[1]
    found.pop("utf8", None)
    return {name: html.unescape(value) for name, value in found.items()}


async def send(forge: Forge, who: Person, path: str, changes: dict[str, str], *, page: str = "") -> httpx2.Response:
    """Open a form (or take ``page``), change some fields and send it as a browser does: with CRLF in texts."""
    browser = forge.browser(who)
    fields = fields_of(page or (await browser.get(path)).text) | changes
    sent: dict[str, Any] = {name: value.replace("\n", "\r\n") for name, value in fields.items()}
    return await browser.post(path, sent)


def text_of(answer: httpx2.Response) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


async def test_a_file_is_made_in_a_new_folder(forge: Forge) -> None:
    ada, repository = await engine_of(forge, README__md=b"# Engine\n")
    page = await forge.browser(ada).get(f"{BASE}/new/main/src")
    assert fields_of(page.text)["path"] == "src/"
    made = await send(
        forge, ada, f"{BASE}/new/main/src",
        {"path": "src/deep/mill.py", "content": "x = 1\ny = 2", "message": "Add the mill", "description": "It turns."},
    )  # fmt: skip
    assert (made.status_code, made.headers["location"]) == (303, f"{BASE}/blob/main/src/deep/mill.py")
    assert await file_at(forge, repository, "src/deep/mill.py") == (b"x = 1\ny = 2", 0o100644)
    assert await message_at(forge, repository) == "Add the mill\n\nIt turns.\n|1+ada@users.noreply.cairn.test"


async def test_the_first_file_of_an_empty_repository_makes_its_branch(forge: Forge) -> None:
    ada, repository = await engine_of(forge)
    empty = (await forge.browser(ada).get(BASE)).text
    assert f'href="{BASE}/new/main"' in empty
    made = await send(forge, ada, f"{BASE}/new/main", {"path": "README.md", "content": "# Hello\n"})
    assert made.status_code == 303, text_of(made)
    assert await file_at(forge, repository, "README.md") == (b"# Hello\n", 0o100644)
    assert (await message_at(forge, repository)).startswith("Create README.md\n")


async def test_a_file_is_edited_and_keeps_what_nobody_touched(forge: Forge) -> None:
    ada, repository = await engine_of(forge, notes__txt=b"\xef\xbb\xbfone\r\ntwo")
    saved = await send(forge, ada, f"{BASE}/edit/main/notes.txt", {"content": "one\nthree"})
    assert saved.headers["location"] == f"{BASE}/blob/main/notes.txt"
    assert await file_at(forge, repository, "notes.txt") == (b"\xef\xbb\xbfone\r\nthree", 0o100644)
    assert (await message_at(forge, repository)).startswith("Update notes.txt\n")
    unchanged = await send(forge, ada, f"{BASE}/edit/main/notes.txt", {"message": "Nothing"})
    assert unchanged.status_code == 422
    assert "changes nothing" in text_of(unchanged)


async def test_a_file_moves_by_its_name_and_what_is_there_is_never_overwritten(forge: Forge) -> None:
    ada, repository = await engine_of(forge, a__txt=b"a\n", b__txt=b"b\n")
    moved = await send(forge, ada, f"{BASE}/edit/main/a.txt", {"path": "deep/c.txt"})
    assert moved.headers["location"] == f"{BASE}/blob/main/deep/c.txt"
    assert await file_at(forge, repository, "a.txt") is None
    assert await file_at(forge, repository, "deep/c.txt") == (b"a\n", 0o100644)
    assert (await message_at(forge, repository)).startswith("Rename a.txt to deep/c.txt\n")
    taken = await send(forge, ada, f"{BASE}/edit/main/deep/c.txt", {"path": "b.txt", "content": "typed with care\n"})
    assert taken.status_code == 422
    assert fields_of(taken.text)["content"] == "typed with care\n"
    assert "exists already" in text_of(taken)
    assert await file_at(forge, repository, "b.txt") == (b"b\n", 0o100644)


@pytest.mark.parametrize("path", ["", "a/../b", ".git/config", "x/.GIT ", "a//b", "b.txt/under"])
async def test_a_name_that_cannot_be_comes_back_with_the_text(forge: Forge, path: str) -> None:
    ada, repository = await engine_of(forge, b__txt=b"b\n")
    before = await head_of(forge, repository)
    refused = await send(forge, ada, f"{BASE}/new/main", {"path": path, "content": "typed with care\n"})
    assert refused.status_code == 422
    assert fields_of(refused.text)["content"] == "typed with care\n"
    assert fields_of(refused.text)["path"] == path
    assert await head_of(forge, repository) == before


async def test_a_new_branch_begins_where_its_writer_began(forge: Forge) -> None:
    ada, repository = await engine_of(forge, a__txt=b"a\n")
    page = (await forge.browser(ada).get(f"{BASE}/edit/main/a.txt")).text
    assert fields_of(page)["new_branch"] == "ada-patch-1"
    began = await head_of(forge, repository)
    await forge.commit(ada, repository, {"a.txt": b"theirs\n"})
    changes = {"content": "mine\n", "target": "new"}
    made = await send(forge, ada, f"{BASE}/edit/main/a.txt", changes, page=page)
    assert made.headers["location"] == f"{BASE}/compare/main...ada-patch-1"
    assert await file_at(forge, repository, "a.txt", "ada-patch-1") == (b"mine\n", 0o100644)
    assert await file_at(forge, repository, "a.txt") == (b"theirs\n", 0o100644)
    async with open_code(forge.engine, repository.store_id) as code:
        tip = await code.commit((await code.revision(b"ada-patch-1")).commit_oid)
    assert tip.parent_oids == (began,)
    assert fields_of((await forge.browser(ada).get(f"{BASE}/edit/main/a.txt")).text)["new_branch"] == "ada-patch-2"
    for name, said in (("ada-patch-1", "exists already"), ("a..b", "a..b"), ("", "name")):
        refused = await send(forge, ada, f"{BASE}/edit/main/a.txt", changes | {"new_branch": name})
        assert refused.status_code == 422, name
        assert said in text_of(refused)
        assert fields_of(refused.text)["content"] == "mine\n"


async def test_a_change_elsewhere_does_not_stand_in_the_way(forge: Forge) -> None:
    ada, repository = await engine_of(forge, a__txt=b"a\n", b__txt=b"b\n")
    page = (await forge.browser(ada).get(f"{BASE}/edit/main/a.txt")).text
    theirs = await forge.commit(ada, repository, {"b.txt": b"bee\n"})
    saved = await send(forge, ada, f"{BASE}/edit/main/a.txt", {"content": "aye\n"}, page=page)
    assert saved.status_code == 303
    async with open_code(forge.engine, repository.store_id) as code:
        tip = await code.commit((await code.revision(b"main")).commit_oid)
    assert tip.parent_oids == (theirs,)
    assert await file_at(forge, repository, "b.txt") == (b"bee\n", 0o100644)


LINES = "".join(f"line {number}\n" for number in range(12))


async def test_a_change_under_the_feet_is_merged_when_it_can_be(forge: Forge) -> None:
    ada, repository = await engine_of(forge, a__txt=LINES.encode())
    path = f"{BASE}/edit/main/a.txt"
    page = (await forge.browser(ada).get(path)).text
    await forge.commit(ada, repository, {"a.txt": LINES.replace("line 11", "line eleven").encode()})
    mine = LINES.replace("line 1\n", "line one\n")
    told = await send(forge, ada, path, {"content": mine, "message": "Count"}, page=page)
    assert told.status_code == 409
    assert "a.txt changed on main while you edited it" in text_of(told)
    assert "line eleven" in text_of(told)
    assert fields_of(told.text)["content"] == mine
    merged = await send(forge, ada, path, {"do": "merge"}, page=told.text)
    assert merged.status_code == 200
    both = mine.replace("line 11", "line eleven")
    assert fields_of(merged.text)["content"] == both
    assert fields_of(merged.text)["message"] == "Count"
    saved = await send(forge, ada, path, {"do": "commit"}, page=merged.text)
    assert saved.status_code == 303
    assert await file_at(forge, repository, "a.txt") == (both.encode(), 0o100644)


async def test_a_change_that_somebody_else_made_with_more_takes_nothing_back(forge: Forge) -> None:
    """What the merge leaves as it is on the branch stands in the editor, not the text from before."""
    ada, repository = await engine_of(forge, a__txt=LINES.encode())
    path = f"{BASE}/edit/main/a.txt"
    page = (await forge.browser(ada).get(path)).text
    mine = LINES.replace("line 1\n", "line one\n")
    theirs = mine.replace("line 11", "line eleven")
    await forge.commit(ada, repository, {"a.txt": theirs.encode()})
    told = await send(forge, ada, path, {"content": mine}, page=page)
    assert told.status_code == 409
    merged = await send(forge, ada, path, {"do": "merge"}, page=told.text)
    assert fields_of(merged.text)["content"] == theirs
    saved = await send(forge, ada, path, {"do": "commit"}, page=merged.text)
    assert (saved.status_code, "changes nothing" in text_of(saved)) == (422, True)
    assert await file_at(forge, repository, "a.txt") == (theirs.encode(), 0o100644)


async def test_a_conflict_is_resolved_in_the_editor_and_no_marker_is_committed(forge: Forge) -> None:
    ada, repository = await engine_of(forge, a__txt=LINES.encode())
    path = f"{BASE}/edit/main/a.txt"
    page = (await forge.browser(ada).get(path)).text
    await forge.commit(ada, repository, {"a.txt": LINES.replace("line 5", "line theirs").encode()})
    mine = LINES.replace("line 5", "line mine")
    told = await send(forge, ada, path, {"content": mine}, page=page)
    assert told.status_code == 409
    assert "changed the same lines" in text_of(told)
    marked = await send(forge, ada, path, {"do": "resolve"}, page=told.text)
    text = fields_of(marked.text)["content"]
    assert "<<<<<<< your change\nline mine\n=======\nline theirs\n>>>>>>> main\n" in text
    left = await send(forge, ada, path, {"do": "commit"}, page=marked.text)
    assert left.status_code == 422
    assert "take the markers out" in text_of(left)
    settled = LINES.replace("line 5", "line ours")
    saved = await send(forge, ada, path, {"do": "commit", "content": settled}, page=left.text)
    assert saved.status_code == 303
    assert await file_at(forge, repository, "a.txt") == (settled.encode(), 0o100644)


async def test_a_file_that_is_gone_is_written_again_or_not_at_all(forge: Forge) -> None:
    ada, repository = await engine_of(forge, a__txt=b"a\n", b__txt=b"b\n")
    path = f"{BASE}/edit/main/a.txt"
    page = (await forge.browser(ada).get(path)).text
    await forge.commit(ada, repository, {"a.txt": None})
    told = await send(forge, ada, path, {"content": "mine\n"}, page=page)
    assert told.status_code == 409
    assert "a.txt is gone from main" in text_of(told)
    again = await send(forge, ada, path, {"do": "merge"}, page=told.text)
    assert f'action="{BASE}/new/main"' in again.text
    saved = await send(forge, ada, f"{BASE}/new/main", {"do": "commit"}, page=again.text)
    assert saved.status_code == 303
    assert await file_at(forge, repository, "a.txt") == (b"mine\n", 0o100644)


async def test_the_text_survives_its_branch(forge: Forge) -> None:
    ada, repository = await engine_of(forge, a__txt=b"a\n")
    await forge.commit(ada, repository, {"x": b"1"}, branch=b"refs/heads/side")
    path = f"{BASE}/edit/side/a.txt"
    page = (await forge.browser(ada).get(path)).text
    deleted = await forge.api(ada).call("DELETE", "/repos/ada/engine/git/refs/heads/side")
    assert deleted.status_code == 204, deleted.text
    told = await send(forge, ada, path, {"content": "mine\n"}, page=page)
    assert told.status_code in {404, 409, 422}
    assert fields_of(told.text)["content"] == "mine\n"
    saved = await send(forge, ada, path, {"target": "new", "new_branch": "rescued"}, page=told.text)
    assert saved.status_code == 303, text_of(saved)
    assert await file_at(forge, repository, "a.txt", "rescued") == (b"mine\n", 0o100644)


async def test_what_would_change_and_how_it_looks_is_shown_before(forge: Forge) -> None:
    ada, repository = await engine_of(forge, README__md=b"# Engine\n\nOld\n", src__py=b"x = 1\n")
    before = await head_of(forge, repository)
    path = f"{BASE}/edit/main/README.md"
    changes = await send(forge, ada, path, {"content": "# Engine\n\n**New**\n", "do": "changes"})
    assert 'class="diff-add' in changes.text
    assert fields_of(changes.text)["content"] == "# Engine\n\n**New**\n"
    rendered = await send(forge, ada, path, {"content": "# Engine\n\n**New**\n", "do": "preview"})
    assert "<strong>New</strong>" in rendered.text
    plain = await send(forge, ada, f"{BASE}/edit/main/src.py", {"do": "preview"})
    assert "has no rendered view" in text_of(plain)
    evil = await send(forge, ada, path, {"content": "<script>alert(1)</script>\n", "do": "preview"})
    assert "<script>alert" not in evil.text
    assert await head_of(forge, repository) == before


async def test_letters_that_a_file_cannot_hold_are_named_and_utf8_is_offered(forge: Forge) -> None:
    ada, repository = await engine_of(forge, latin__txt="caf\u00e9\n".encode("cp1252"))
    path = f"{BASE}/edit/main/latin.txt"
    assert "read as Windows-1252" in (await forge.browser(ada).get(path)).text
    refused = await send(forge, ada, path, {"content": "\u2603\n"})
    assert refused.status_code == 422
    assert "does not exist in Windows-1252" in text_of(refused)
    assert 'name="utf8"' in refused.text
    await send(forge, ada, path, {"utf8": "true"}, page=refused.text)
    assert await file_at(forge, repository, "latin.txt") == ("\u2603\n".encode(), 0o100644)


async def test_what_is_no_text_says_what_to_do(forge: Forge) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d" * 32 + b"\nsize 12345\n"
    ada, _ = await engine_of(forge, b__bin=b"\0\1", large__dat=pointer, huge__txt=b"a" * ((1 << 20) + 1))
    for name, said in (("b.bin", "binary"), ("large.dat", "Git LFS"), ("huge.txt", "1,048,576")):
        page = await forge.browser(ada).get(f"{BASE}/edit/main/{name}")
        assert said in text_of(page)
        assert "<textarea" not in page.text
    assert (await forge.browser(ada).get(f"{BASE}/edit/main/absent")).status_code == 404
    tip = await forge.browser(ada).get(f"{BASE}/commits")
    oid = re.search(r"/commit/([0-9a-f]{40})", tip.text)
    assert oid
    assert "Commits go to branches" in (await forge.browser(ada).get(f"{BASE}/edit/{oid[1]}/b.bin")).text


async def test_who_may_what(forge: Forge) -> None:
    ada, repository = await engine_of(forge, a__txt=b"a\n")
    ben, wim = await forge.person("ben"), await forge.person("wim")
    await forge.grant(repository, wim, Role.WRITE)
    for page in ("edit/main/a.txt", "new/main", "delete/main/a.txt", "upload/main"):
        stranger = await forge.browser().get(f"{BASE}/{page}")
        assert "Sign in to edit" in stranger.text
        assert stranger.headers["x-robots-tag"] == "noindex, nofollow"
        reader = await forge.browser(ben).get(f"{BASE}/{page}")
        assert f'href="{BASE}/fork"' in reader.text
        assert "You need a fork" in reader.text
        assert '<form method="post" action="/ada/' in (await forge.browser(wim).get(f"{BASE}/{page}")).text
    reading = (await forge.browser().get(f"{BASE}/blob/main/a.txt")).text
    assert "/edit/main" not in reading
    assert f'href="{BASE}/edit/main/a.txt"' in (await forge.browser(wim).get(f"{BASE}/blob/main/a.txt")).text
    assert f'href="{BASE}/upload/main"' in (await forge.browser(wim).get(BASE)).text
    secret = await forge.repository(ada, "secret", visibility=Visibility.PRIVATE, files={"a": b"1"})
    for page in ("edit/main/a", "new/main", "delete/main/a", "upload/main"):
        assert (await forge.browser(ben).get(f"/ada/secret/{page}")).status_code == 404
    assert secret.id


async def test_what_was_typed_survives_the_end_of_a_session_and_of_a_right(forge: Forge) -> None:
    ada, repository = await engine_of(forge, a__txt=b"a\n")
    before = await head_of(forge, repository)
    path = f"{BASE}/edit/main/a.txt"
    fields = fields_of((await forge.browser(ada).get(path)).text) | {"content": "typed with care\n"}
    signed_out = await forge.browser().post(path, fields)
    assert signed_out.status_code == 401
    assert "typed with care" in signed_out.text
    assert "not signed in any more" in text_of(signed_out)
    assert "/login?next=/ada/engine/edit/main/a.txt" in signed_out.text
    # Signed in again the same form is another session's: it comes back, ready to be committed.
    back = await forge.browser(ada).post(path, fields_of(signed_out.text))
    assert back.status_code == 403
    assert "save it now" in text_of(back)
    assert await head_of(forge, repository) == before
    saved = await send(forge, ada, path, {}, page=back.text)
    assert saved.status_code == 303
    assert await file_at(forge, repository, "a.txt") == (b"typed with care\n", 0o100644)

    ben = await forge.person("ben")
    page = (await forge.browser(ben).get(f"{BASE}/fork")).text
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token
    reader = await forge.browser(ben).post(path, fields | {"csrf_token": token[1]})
    assert reader.status_code == 403
    assert "typed with care" in reader.text
    assert "Fork instead" in reader.text


async def test_a_form_of_another_site_changes_nothing_and_shows_nothing(forge: Forge) -> None:
    """Somebody lures ada to a page that posts a form here: its text must not even come to stand in hers."""
    ada, repository = await engine_of(forge, a__txt=b"a\n")
    before = await head_of(forge, repository)
    fields = {"path": "a.txt", "content": "planted", "csrf_token": "x"}
    foreign = await forge.browser(ada).post(f"{BASE}/edit/main/a.txt", fields, **{"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403
    assert "planted" not in foreign.text
    assert await head_of(forge, repository) == before
