"""Pictures get names of their own below ``uploads/``; what is none, or too much, is refused before a wiki is made."""

from pathlib import Path

import pytest
from tests.factories.forge import Forge
from tests.factories.pictures import picture
from tests.repositories.wiki.support import reload

from cairn.base.errors import Forbidden
from cairn.repositories.wiki import pictures
from cairn.repositories.wiki.pictures import PicturesRefused, add_pictures, markdown_of
from cairn.repositories.wiki.reading import open_wiki
from cairn.web.multipart import UploadedFile


def sent(folder: Path, *files: tuple[str, bytes]) -> list[UploadedFile]:
    """Return files as they came with a form."""
    found = []
    for number, (name, data) in enumerate(files):
        (folder / str(number)).write_bytes(data)
        found.append(UploadedFile(name, folder / str(number), len(data)))
    return found


async def test_pictures_of_one_name_never_take_each_others_place(forge: Forge, tmp_path: Path) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    made = await forge.repository(ada, "engine")
    files = sent(tmp_path, ("a/Old Stone.PNG", picture(4, 3)), ("old stone.png", picture(4, 3, "red")))
    first, second = await add_pictures(forge.engine, ada.actor, made, files)
    assert first != second
    assert first.startswith("uploads/old-stone-")
    assert first.endswith(".png")
    made = await reload(forge, ada, made)
    assert await add_pictures(forge.engine, ada.actor, made, [*files, files[0]]) == [first, second, first]
    async with open_wiki(forge.engine, made) as wiki:
        assert set(wiki.index.files) == {first.encode(), second.encode()}
        assert wiki.revision is not None
        assert wiki.code is not None
        assert (await wiki.code.commit(wiki.revision.commit_oid)).parent_oids == (), "what is there makes no commit"
    with pytest.raises(Forbidden):
        await add_pictures(forge.engine, ben.actor, made, files)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.png", b"<svg/>"),
        ("a.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("a.html", picture(4, 3)),
        ("png", b""),
    ],
    ids=["lies", "svg", "page", "nothing"],
)
async def test_what_is_no_picture_is_refused_and_makes_no_wiki(
    forge: Forge, tmp_path: Path, name: str, data: bytes
) -> None:
    ada = await forge.person("ada")
    made = await forge.repository(ada, "engine")
    with pytest.raises(PicturesRefused, match="no picture"):
        await add_pictures(forge.engine, ada.actor, made, sent(tmp_path, ("b.png", picture(4, 3, "red")), (name, data)))
    with pytest.raises(PicturesRefused, match="at least one"):
        await add_pictures(forge.engine, ada.actor, made, [])
    assert (await reload(forge, ada, made)).wiki_store_id is None


async def test_an_upload_has_bounds(forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await forge.person("ada")
    made = await forge.repository(ada, "engine")
    files = sent(tmp_path, *((f"{number}.png", picture(4, 3)) for number in range(3)))
    with monkeypatch.context() as patched:
        patched.setattr(pictures, "PICTURES_MAX", 2)
        with pytest.raises(PicturesRefused, match="3 pictures are more than the 2"):
            await add_pictures(forge.engine, ada.actor, made, files)
    monkeypatch.setattr(pictures, "PICTURES_BYTES_MAX", 3 * files[0].size_bytes - 1)
    with pytest.raises(PicturesRefused, match="together"):
        await add_pictures(forge.engine, ada.actor, made, files)
    assert len(await add_pictures(forge.engine, ada.actor, made, files[:2])) == 2


def test_what_is_to_be_written_means_nothing_else() -> None:
    assert (
        markdown_of("uploads/a-1.png", "C:\\pictures\\A](javascript:x) [b.png")
        == "![A javascript x b](/uploads/a-1.png)"
    )
