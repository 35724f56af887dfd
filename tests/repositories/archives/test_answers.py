"""One archive as an answer: what is made once, what is sent again and what is not, what it is called."""

import asyncio
from pathlib import Path

import pytest
from tests.factories.forge import Forge, open_forge
from tests.lfs.test_collection import pointer, send
from tests.repositories.archives.support import make_repository, members

from cairn.git.archive import ArchiveFormat
from cairn.git.store_state import lock_stores
from cairn.repositories.archives.answers import ArchiveUnknown, NamedArchive, parse_address
from cairn.repositories.queries import RepositoryView
from cairn.web.costs import CostPlaces


@pytest.mark.parametrize(
    ("address", "revision", "form"),
    [
        (b"main.zip", b"main", ArchiveFormat.ZIP),
        (b"v1.0.tar.gz", b"v1.0", ArchiveFormat.TAR_GZ),
        (b"v1.0.tar", b"v1.0", ArchiveFormat.TAR),
        (b"refs/heads/a.zip.tar", b"refs/heads/a.zip", ArchiveFormat.TAR),
        (b"caf\xe9.zip", b"caf\xe9", ArchiveFormat.ZIP),
    ],
    ids=["zip", "tar.gz", "tar", "the last ending", "any bytes"],
)
def test_an_address_ends_with_its_format(address: bytes, revision: bytes, form: ArchiveFormat) -> None:
    assert parse_address(address) == NamedArchive(revision, form)


@pytest.mark.parametrize("address", [b"", b"main", b".zip", b".tar.gz", b"main.rar"])
def test_an_address_without_a_name_or_a_format_is_none(address: bytes) -> None:
    with pytest.raises(ArchiveUnknown):
        parse_address(address)


async def test_too_many_files_are_refused_with_the_setting(tmp_path: Path, sqlite_template: Path) -> None:
    settings = {"max_archive_entries": 2}
    async with open_forge(tmp_path / "forge", sqlite_template, settings=settings) as forge:
        await make_repository(forge, tmp_path / "stock")
        refused = await forge.browser().get("/ada/engine/archive/main.zip")
    assert refused.status_code == 413
    assert "CAIRN_MAX_ARCHIVE_ENTRIES" in refused.text


async def test_an_archive_is_made_once(forge: Forge, tmp_path: Path) -> None:
    await make_repository(forge, tmp_path / "stock")
    first, *others = await asyncio.gather(*(forge.browser().get("/ada/engine/archive/main.tar.gz") for _ in range(4)))
    assert all(answer.content == first.content for answer in others)
    again = await forge.browser().get("/ada/engine/archive/main.tar.gz")
    assert again.content == first.content
    assert again.headers["content-length"] == str(len(first.content))
    # One run measured the tree, one made the archive; everybody else read along or found it.
    assert forge.engine.answers.counts["run"] == 2


async def test_a_known_archive_is_not_sent_and_a_kept_one_comes_in_ranges(forge: Forge, tmp_path: Path) -> None:
    await make_repository(forge, tmp_path / "stock")
    browser, address = forge.browser(), "/ada/engine/archive/main.zip"
    whole = await browser.get(address)
    etag = whole.headers["etag"]
    known = await browser.client.get(address, headers={"if-none-match": etag})
    assert (known.status_code, known.content) == (304, b"")
    part = await browser.client.get(address, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    outside = await browser.client.get(address, headers={"range": f"bytes={len(whole.content)}-"})
    assert outside.status_code == 416
    head = await browser.client.head(address)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(whole.content)), b"")


async def test_head_of_an_archive_that_nobody_made_makes_none(forge: Forge, tmp_path: Path) -> None:
    await make_repository(forge, tmp_path / "stock")
    head = await forge.browser().client.head("/ada/engine/archive/main.zip")
    assert head.status_code == 200
    assert head.headers["content-type"] == "application/zip"
    assert "content-length" not in head.headers, "nobody knows it yet"
    assert forge.engine.answers.counts["run"] == 0


async def test_a_revision_with_too_much_in_it_is_refused_before_anything_is_made(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_repository(forge, tmp_path / "stock")
    monkeypatch.setattr("cairn.git.archives.MEASURED_BYTES_PER_ENTRY", 1 << 40)
    refused = await forge.browser().get("/ada/engine/archive/main.zip")
    assert refused.status_code == 413
    assert "CAIRN_MAX_ARCHIVE_BYTES" in refused.text


async def test_making_takes_a_costly_place_and_a_kept_archive_none(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_repository(forge, tmp_path / "stock")
    held: list[str] = []
    hold = CostPlaces.hold

    def noting(self: CostPlaces, caller: str, cost: object) -> object:
        held.append(f"{caller} {cost}")
        return hold(self, caller, cost)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(CostPlaces, "hold", noting)
    for _ in range(3):
        await forge.browser().get("/ada/engine/archive/main.zip")
    assert held == [" Cost.CONTENT"]


async def test_after_a_purge_no_archive_made_before_is_served(forge: Forge, tmp_path: Path) -> None:
    repository, _ = await make_repository(forge, tmp_path / "stock")
    for _ in range(2):
        await forge.browser().get("/ada/engine/archive/main.zip")
        async with forge.database.write() as session:
            store = (await lock_stores(session, [repository.store_id]))[repository.store_id]
            store.cache_epoch += 1
    assert forge.engine.answers.counts["run"] == 4


LARGE = bytes(range(256)) * 5000


async def fill(forge: Forge) -> RepositoryView:
    """Return ada's repository with a large file, a lost one and a plain one."""
    ada = await forge.person("ada")
    made = await forge.repository(ada, "engine")
    await send(forge, made, ada, LARGE)
    files = {"art/cover.psd": pointer(LARGE), "lost.bin": pointer(b"lost"), "README.md": b"# Engine\n"}
    await forge.commit(ada, made, files, may_lack_objects=True)
    return made


async def choose(forge: Forge, **switches: str) -> None:
    page = "/ada/engine/settings/lfs"
    done = await forge.browser(forge.people["ada"]).submit(page, switches, page=page)
    assert done.status_code == 303


@pytest.mark.parametrize("ending", ["zip", "tar.gz", "tar"])
async def test_the_setting_decides_and_both_are_kept_apart(forge: Forge, ending: str) -> None:
    await fill(forge)
    address = f"/ada/engine/archive/main.{ending}"
    plain = await forge.browser().get(address)
    assert members(plain.content, address)["engine-main/art/cover.psd"] == pointer(LARGE)
    await choose(forge, has_lfs_in_archives="true")
    for _ in range(2):  # made, then found
        full = await forge.browser().get(address)
        assert full.headers["etag"] != plain.headers["etag"]
        assert members(full.content, address) == {
            "engine-main/art/cover.psd": LARGE,
            "engine-main/lost.bin": pointer(b"lost"),
            "engine-main/README.md": b"# Engine\n",
        }
    await choose(forge)
    assert (await forge.browser().get(address)).content == plain.content


async def test_what_is_sent_later_is_in_later_archives(forge: Forge) -> None:
    made = await fill(forge)
    await choose(forge, has_lfs_in_archives="true")
    address = "/ada/engine/archive/main.tar.gz"
    assert members((await forge.browser().get(address)).content, address)["engine-main/lost.bin"] == pointer(b"lost")
    await send(forge, made, forge.people["ada"], b"lost")
    assert members((await forge.browser().get(address)).content, address)["engine-main/lost.bin"] == b"lost"


async def test_large_files_count_against_the_bound(sqlite_template: Path, tmp_path: Path) -> None:
    settings = {"max_archive_bytes": 1_000_000}
    async with open_forge(tmp_path / "small", sqlite_template, settings=settings) as forge:
        await fill(forge)
        address = "/ada/engine/archive/main.zip"
        assert (await forge.browser().get(address)).status_code == 200
        await choose(forge, has_lfs_in_archives="true")
        refused = await forge.browser().get(address)
        assert refused.status_code == 413
        assert "CAIRN_MAX_ARCHIVE_BYTES" in refused.text
