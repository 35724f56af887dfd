"""Files and folders are deleted by a form, if they still are what its reader saw."""

from tests.factories.forge import Forge
from tests.repositories.editing.test_edit_pages import BASE, engine_of, file_at, message_at, send, text_of


async def test_a_file_goes_with_a_message(forge: Forge) -> None:
    ada, repository = await engine_of(forge, a__txt=b"a\n", b__txt=b"b\n")
    gone = await send(forge, ada, f"{BASE}/delete/main/a.txt", {})
    assert (gone.status_code, gone.headers["location"]) == (303, BASE)
    assert await file_at(forge, repository, "a.txt") is None
    assert await file_at(forge, repository, "b.txt") == (b"b\n", 0o100644)
    assert (await message_at(forge, repository)).startswith("Delete a.txt\n")
    assert (await forge.browser(ada).get(f"{BASE}/delete/main/a.txt")).status_code == 404


async def test_a_folder_goes_with_everything_in_it(forge: Forge) -> None:
    ada, repository = await engine_of(forge)
    await forge.commit(ada, repository, {"src/deep/a.py": b"1", "src/b.py": b"2", "c.py": b"3"})
    assert "everything in it" in text_of(await forge.browser(ada).get(f"{BASE}/delete/main/src"))
    gone = await send(forge, ada, f"{BASE}/delete/main/src", {"target": "new", "new_branch": "without"})
    assert gone.headers["location"] == f"{BASE}/compare/main...without"
    assert await file_at(forge, repository, "src/b.py", "without") is None
    assert await file_at(forge, repository, "c.py", "without") == (b"3", 0o100644)
    assert await file_at(forge, repository, "src/b.py") == (b"2", 0o100644)


async def test_what_changed_meanwhile_is_not_deleted(forge: Forge) -> None:
    ada, repository = await engine_of(forge, a__txt=b"a\n")
    path = f"{BASE}/delete/main/a.txt"
    page = (await forge.browser(ada).get(path)).text
    await forge.commit(ada, repository, {"a.txt": b"changed\n"})
    kept = await send(forge, ada, path, {"message": "Away with it"}, page=page)
    assert kept.status_code == 409
    assert "changed on main meanwhile" in text_of(kept)
    assert "Away with it" in kept.text
    assert await file_at(forge, repository, "a.txt") == (b"changed\n", 0o100644)
