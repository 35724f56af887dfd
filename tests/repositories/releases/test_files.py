"""The bytes of releases' files: announced first, deleted in two steps, and held against the tables both ways."""

import os
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event
from tests.factories.forge import Forge
from tests.factories.passing_time import let_pass
from tests.repositories.releases.support import RELEASES, stored_keys, upload

from cairn.git.bucket_comparison import OLD, hold
from cairn.git.pins import release_pin, set_pin
from cairn.repositories.queries import RepositoryView
from cairn.repositories.releases import assets, files
from cairn.repositories.releases.files import compare_release_files, delete_files

Released = tuple[RepositoryView, Any]
SEVEN_HOURS, TWO_DAYS = timedelta(hours=7), timedelta(days=2)


async def sweep(forge: Forge) -> int:
    """Return how many files one run deleted."""
    return (await delete_files(forge.database, forge.engine.storage)).packs


async def remove(forge: Forge, asset: Any) -> None:
    gone = await forge.api(forge.people["ada"]).call("DELETE", f"{RELEASES}/assets/{asset['id']}")
    assert gone.status_code == 204


def make_old(folder: Path, key: str) -> None:
    [path] = [path for path in folder.rglob(key.rpartition("/")[2]) if path.is_file()]
    long_ago = time.time() - OLD.total_seconds() - 3600
    os.utime(path, (long_ago, long_ago))


async def test_a_deleted_file_goes_in_two_steps(forge: Forge, released: Released) -> None:
    gone = (await upload(forge, released[1], "a.bin")).json()
    [key] = await stored_keys(forge)
    await upload(forge, released[1], "b.bin")
    await remove(forge, gone)
    assert await sweep(forge) == 0
    assert key in await stored_keys(forge)
    await let_pass(forge.database, SEVEN_HOURS)
    assert await sweep(forge) == 1
    [kept] = await stored_keys(forge)
    assert kept != key


async def test_a_run_costs_the_same_however_many_files_releases_have(
    forge: Forge, released: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH_FILES", 2)
    counts = []
    for more in range(2):
        for number in range(3):
            await upload(forge, released[1], f"{more}-{number}.bin")
        statements: list[str] = []

        def note(*arguments: object, into: list[str] = statements) -> None:
            into.append(str(arguments[2]))

        event.listen(Engine, "before_cursor_execute", note)
        try:
            assert await sweep(forge) == 0
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        counts.append(sum("release_file" in statement for statement in statements))
    assert counts[0] == counts[1]


async def test_files_of_many_batches_are_condemned(
    forge: Forge, released: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BATCH_FILES", 2)
    monkeypatch.setattr(files, "BATCH_ROWS", 2)
    made = [(await upload(forge, released[1], f"{number}.bin")).json() for number in range(5)]
    for asset in made[:-1]:
        await remove(forge, asset)
    assert await sweep(forge) == 0
    await let_pass(forge.database, SEVEN_HOURS)
    assert await sweep(forge) == 4
    assert len(await stored_keys(forge)) == 1
    assert (await compare_release_files(forge.database, forge.engine.storage)).missing == 0


async def test_a_deleted_release_takes_its_files_with_it(forge: Forge, released: Released) -> None:
    await upload(forge, released[1], "a.bin")
    await forge.api(forge.people["ada"]).call("DELETE", f"{RELEASES}/{released[1]['id']}")
    assert await sweep(forge) == 0
    await let_pass(forge.database, SEVEN_HOURS)
    assert await sweep(forge) == 1
    assert await stored_keys(forge) == []


async def test_a_backup_holds_deleted_files_back(forge: Forge, released: Released) -> None:
    asset = (await upload(forge, released[1], "a.bin")).json()
    pin = await set_pin(forge.database, "backup", lifetime=timedelta(days=1))
    await remove(forge, asset)
    assert (await delete_files(forge.database, forge.engine.storage, kept=timedelta())).packs == 0
    assert len(await stored_keys(forge)) == 1
    await release_pin(forge.database, pin)
    assert (await delete_files(forge.database, forge.engine.storage, kept=timedelta(seconds=-1))).packs == 1


async def test_what_a_crash_left_between_the_bytes_and_the_row_goes_after_a_day(
    forge: Forge, released: Released, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def die(*arguments: object) -> int:
        raise KeyboardInterrupt

    async def too_late(*arguments: object) -> None:
        """A program that was killed tidies nothing up."""

    with monkeypatch.context() as patched:
        patched.setattr(assets, "_land", die)
        patched.setattr(assets, "_give_up", too_late)
        with pytest.raises(KeyboardInterrupt):
            await upload(forge, released[1], "a.bin")
    [key] = await stored_keys(forge)
    make_old(tmp_path, key)
    # Announced, so it is no stray, and nothing is missing; nobody sees half a file.
    found = await compare_release_files(forge.database, forge.engine.storage)
    assert (found.unknown, found.missing) == (0, 0)
    assert (await forge.api().get(f"{RELEASES}/{released[1]['id']}")).json()["assets"] == []
    assert await sweep(forge) == 0
    await let_pass(forge.database, TWO_DAYS)
    assert await sweep(forge) == 1
    assert await stored_keys(forge) == []
    assert (await upload(forge, released[1], "a.bin")).status_code == 201


async def test_a_key_is_deleted_once_more_for_who_was_paused(forge: Forge, released: Released) -> None:
    asset = (await upload(forge, released[1], "a.bin")).json()
    [key] = await stored_keys(forge)
    await remove(forge, asset)
    await sweep(forge)
    await let_pass(forge.database, SEVEN_HOURS)
    assert await sweep(forge) == 1
    await forge.engine.storage.put(key, b"written late")
    await let_pass(forge.database, TWO_DAYS)
    assert await sweep(forge) == 0
    assert await stored_keys(forge) == []


async def test_a_stray_goes_once_it_is_old(forge: Forge, released: Released, tmp_path: Path) -> None:
    await upload(forge, released[1], "a.bin")
    [known] = await stored_keys(forge)
    stray = f"releases/ab/ab{'0' * 30}"
    await forge.engine.storage.put(stray, b"stray")
    make_old(tmp_path, known)
    assert (await compare_release_files(forge.database, forge.engine.storage)).unknown == 0
    make_old(tmp_path, stray)
    found = await compare_release_files(forge.database, forge.engine.storage)
    assert (found.unknown, found.deleted, found.unknown_keys, found.missing) == (1, 1, (stray,), 0)
    assert await stored_keys(forge) == [known]


async def test_no_stray_goes_while_a_restore_holds_it(forge: Forge, released: Released, tmp_path: Path) -> None:
    stray = f"releases/ab/ab{'0' * 30}"
    await forge.engine.storage.put(stray, b"stray")
    make_old(tmp_path, stray)
    async with forge.database.write() as session:
        await hold(session, reason="restored")
    found = await compare_release_files(forge.database, forge.engine.storage)
    assert (found.unknown, found.deleted) == (1, 0)


async def test_lost_and_cut_files_are_told(forge: Forge, released: Released) -> None:
    await upload(forge, released[1], "a.bin")
    [lost] = await stored_keys(forge)
    await upload(forge, released[1], "b.bin")
    [cut] = [key for key in await stored_keys(forge) if key != lost]
    await forge.engine.storage.delete(lost)
    await forge.engine.storage.put(cut, b"cut")
    found = await compare_release_files(forge.database, forge.engine.storage)
    assert (found.missing, set(found.missing_keys)) == (2, {lost, cut})
