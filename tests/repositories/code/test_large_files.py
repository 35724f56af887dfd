"""Files in Git LFS are shown, compared and sent like any other; only who may read the repository gets them."""

import hashlib
import html
import re
from typing import Any

import pytest
from tests.factories.forge import Forge, Person
from tests.factories.forking import fork
from tests.factories.pictures import picture
from tests.lfs.test_collection import pointer, send, there

from cairn.access.roles import Visibility
from cairn.lfs.objects import find_object
from cairn.repositories.queries import RepositoryView

SMALL, LARGE = picture(40, 30), picture(60, 50)
TABLE = "".join(f"{number},{number * 2}\n" for number in range(50)).encode()
FILES = {"wheel.png": SMALL, "masses.csv": TABLE, "notes.py": b"x = 1\n" * 30, "data.bin": b"\0\1\2" * 70}


@pytest.fixture
async def ada(forge: Forge) -> Person:
    return await forge.person("ada")


@pytest.fixture
async def engine(forge: Forge, ada: Person) -> RepositoryView:
    """Her repository whose files are all in Git LFS, one of them lost."""
    made = await forge.repository(ada, "engine")
    for data in (*FILES.values(), LARGE):
        await send(forge, made, ada, data)
    files = {name: pointer(data) for name, data in FILES.items()}
    await forge.commit(ada, made, files | {"lost.png": pointer(b"lost")}, may_lack_objects=True)
    return made


async def get(forge: Forge, path: str, person: Person | None = None, **headers: str) -> Any:
    return await forge.browser(person).get(f"/ada/engine{path}", headers=headers)


async def shown(forge: Forge, name: str, query: str = "") -> str:
    answer = await get(forge, f"/blob/main/{name}{query}")
    assert answer.status_code == 200
    return html.unescape(answer.text)


async def test_a_picture_is_shown_with_its_dimensions(forge: Forge, engine: RepositoryView) -> None:
    text = await shown(forge, "wheel.png")
    assert '<img src="/ada/engine/raw/main/wheel.png" alt="wheel.png" width="40" height="30">' in text
    assert "stored with Git LFS" in text
    assert f"<span>{len(SMALL)} B</span>" in text


async def test_texts_are_coloured_and_tables_drawn(forge: Forge, engine: RepositoryView) -> None:
    text = await shown(forge, "notes.py")
    assert "30 lines" in text
    assert "Python" in text
    assert "oid sha256" not in text
    assert "/blame/" not in text, "blame knows the pointer's lines only"
    assert "/edit/" not in text
    assert "<td>98</td>" in await shown(forge, "masses.csv")
    assert "50 lines" in await shown(forge, "masses.csv", "?plain=1")
    assert "A binary file" in await shown(forge, "data.bin")


async def test_what_is_lost_says_so_until_it_is_sent(forge: Forge, ada: Person, engine: RepositoryView) -> None:
    before = await get(forge, "/blob/main/lost.png")
    assert "A large file that is not here" in before.text
    assert (await get(forge, "/raw/main/lost.png")).content == pointer(b"lost")
    await send(forge, engine, ada, b"lost")
    etag = before.headers.get("etag", 'W/"none"')
    after = await get(forge, "/blob/main/lost.png", **{"If-None-Match": etag})
    assert (after.status_code, "not here" in after.text) == (200, False)


async def test_what_the_object_store_lost_says_so_with_its_pointer(forge: Forge, engine: RepositoryView) -> None:
    oid = hashlib.sha256(FILES["notes.py"]).hexdigest()
    async with forge.database.read() as session:
        stored = await find_object(session, engine.id, oid)
    assert stored is not None
    await forge.engine.storage.delete(stored.key)
    text = await shown(forge, "notes.py")
    assert "A large file that the server has lost" in text
    assert oid in text
    assert "git lfs push" not in text, "the server would say that it has the file"
    raw = await get(forge, "/raw/main/notes.py")
    assert raw.status_code == 404
    assert "The server has lost the bytes of this file" in raw.text
    await forge.engine.storage.put(stored.key, FILES["notes.py"])
    assert "the server has lost" not in await shown(forge, "notes.py")


async def test_raw_is_the_large_file_or_the_pointer_by_choice(forge: Forge, engine: RepositoryView) -> None:
    answer = await get(forge, "/raw/main/wheel.png")
    assert (answer.content, answer.headers["content-type"]) == (SMALL, "image/png")
    assert "sandbox" in answer.headers["content-security-policy"]
    known = await get(forge, "/raw/main/wheel.png", **{"If-None-Match": answer.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    part = await get(forge, "/raw/main/data.bin", Range="bytes=10-19")
    assert (part.status_code, part.content) == (206, FILES["data.bin"][10:20])
    assert (await get(forge, "/raw/main/wheel.png?pointer=1")).content == pointer(SMALL)
    kept = await get(forge, "/raw/main/notes.py?download=1")
    assert kept.headers["content-disposition"].startswith('attachment; filename="notes.py"')
    assert kept.content == FILES["notes.py"]


async def test_an_object_of_another_repository_is_shown_to_nobody(
    forge: Forge, ada: Person, engine: RepositoryView
) -> None:
    """Attack: commit a pointer to somebody else's private object and look at it through one's own repository."""
    grace = await forge.person("grace")
    hers = await forge.repository(grace, "hers", visibility=Visibility.PRIVATE)
    await send(forge, hers, grace, LARGE + b"secret")
    await forge.commit(ada, engine, {"stolen.png": pointer(LARGE + b"secret")}, may_lack_objects=True)
    assert "not here" in await shown(forge, "stolen.png")
    assert b"secret" not in (await get(forge, "/raw/main/stolen.png")).content


async def test_a_private_repositorys_files_are_its_readers(forge: Forge, ada: Person) -> None:
    mine = await forge.repository(ada, "engine", visibility=Visibility.PRIVATE)
    await send(forge, mine, ada, SMALL)
    await forge.commit(ada, mine, {"wheel.png": pointer(SMALL)})
    stranger = await forge.person("stan")
    assert (await get(forge, "/raw/main/wheel.png", ada)).content == SMALL
    for person in (stranger, None):
        assert (await get(forge, "/raw/main/wheel.png", person)).status_code == 404


async def test_a_fork_shows_its_parents_files(forge: Forge, engine: RepositoryView) -> None:
    ben = await forge.person("ben")
    mine = await fork(forge, ben, engine)
    assert len(await there(forge, mine)) == 0
    answer = await forge.browser().get("/ben/engine/raw/main/wheel.png")
    assert answer.content == SMALL


async def test_changed_pictures_stand_beside_each_other(forge: Forge, ada: Person, engine: RepositoryView) -> None:
    old = await forge.engine.refs.find(engine.store_id, b"refs/heads/main")
    assert old is not None
    changed = {"wheel.png": pointer(LARGE), "notes.py": pointer(TABLE), "lost.png": pointer(SMALL)}
    new = await forge.commit(ada, engine, changed)
    text = html.unescape((await get(forge, f"/commit/{new}")).text)
    base = "/ada/engine/raw"
    found = re.findall(r'<figure class="picture-(\w+)"><img src="([^"]*)"', text)
    assert found == [("before", f"{base}/{old.oid}/wheel.png"), ("after", f"{base}/{new}/wheel.png")]
    assert [(await forge.browser().get(address)).content for _, address in found] == [SMALL, LARGE]
    assert text.count("Kept in Git LFS:") == 3
