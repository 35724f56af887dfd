"""Files are uploaded by a form, folders with them, within bounds that the page states."""

import httpx2
import pytest
from tests.factories.forge import Forge, Person
from tests.repositories.editing.test_edit_pages import BASE, engine_of, fields_of, file_at, head_of, message_at, text_of
from tests.web.support import ORIGIN

from cairn.repositories.editing import upload_pages


async def upload(
    forge: Forge, who: Person, path: str, files: dict[str, bytes], changes: dict[str, str] | None = None
) -> httpx2.Response:
    """Fill in the form of a page and send it with files."""
    browser = forge.browser(who)
    fields = fields_of((await browser.get(path)).text) | (changes or {})
    parts = [(name, (None, value.encode(), None)) for name, value in fields.items()]
    sent = [("files", (name, data, "application/octet-stream")) for name, data in files.items()]
    return await browser.client.post(path, files=[*parts, *sent], headers={"origin": ORIGIN})


async def test_files_and_folders_come_into_their_places(forge: Forge) -> None:
    ada, repository = await engine_of(forge, README__md=b"# Engine\n")
    large = bytes(range(256)) * 8192
    files = {"one.txt": b"1\r\n", "art/two.bin": large, "README.md": b"# Anew\n"}
    done = await upload(forge, ada, f"{BASE}/upload/main", files)
    assert (done.status_code, done.headers["location"]) == (303, f"{BASE}/tree/main"), text_of(done)
    for name, data in files.items():
        assert await file_at(forge, repository, name) == (data, 0o100644)
    assert (await message_at(forge, repository)).startswith("Add 3 files\n")
    below = await upload(forge, ada, f"{BASE}/upload/main/art", {"x.txt": b"x"}, {"message": "More"})
    assert below.headers["location"] == f"{BASE}/tree/main/art"
    assert await file_at(forge, repository, "art/x.txt") == (b"x", 0o100644)


async def test_the_first_files_make_the_branch(forge: Forge) -> None:
    ada, repository = await engine_of(forge)
    assert (await upload(forge, ada, f"{BASE}/upload/main", {"a": b"1"})).status_code == 303
    assert await file_at(forge, repository, "a") == (b"1", 0o100644)


async def test_too_much_and_nothing_are_refused_with_the_message_kept(
    forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, repository = await engine_of(forge, a=b"1")
    before = await head_of(forge, repository)
    monkeypatch.setattr(upload_pages, "UPLOAD_FILES_MAX", 2)
    monkeypatch.setattr(upload_pages, "UPLOAD_BYTES_MAX", 1 << 20)
    page = text_of(await forge.browser(ada).get(f"{BASE}/upload/main"))
    assert "At most 2 files, 1 MiB together" in page
    for files, said in (
        ({}, "Choose at least one file"),
        ({"x": b"1", "y": b"2", "z": b"3"}, "3 files are more than the 2"),
        ({"x": b"1" * ((1 << 20) + 1)}, "more than 1 MiB together"),
        ({".git/config": b"1"}, "cannot be a path"),
    ):
        refused = await upload(forge, ada, f"{BASE}/upload/main", files, {"message": "A message of mine"})
        assert refused.status_code == 422, said
        assert said in text_of(refused)
        assert "A message of mine" in refused.text
    assert await head_of(forge, repository) == before
