"""``cairnd admin`` for purges, restores and the bucket, as an operator runs it: the real command, a real store."""

import asyncio
from datetime import timedelta
from random import Random

import pytest
from tests.factories.passing_time import let_pass
from tests.factories.small_pushes import SmallPusher
from tests.programs.test_doctor import Site, site

from cairn.base.actor import SYSTEM
from cairn.db.database import open_database
from cairn.git.bucket_comparison import hold
from cairn.git.collection import collect
from cairn.git.engine import open_engine
from cairn.git.ref_queries import ROOTS_KEPT
from cairn.git.types import Oid
from cairn.repositories.delete import delete_repository
from cairn.repositories.queries import find_repository
from cairn.storage.storage import open_storage

__all__ = ["site"]


async def lose_commits(site: Site, *, is_collected: bool) -> Oid:
    """Force a branch away from a commit; return the commit."""
    database = open_database(site.settings.effective_database_url, pool_size=2)
    try:
        async with open_engine(site.settings, database, open_storage(site.settings)) as engine:
            pusher = SmallPusher(engine, site.store, choices=Random(2))  # other commits than the site's first
            lost = await pusher.push(b"refs/heads/side")
            await pusher.push(b"refs/heads/side", is_forced=True)
            if is_collected:
                await let_pass(database, ROOTS_KEPT + timedelta(minutes=1))
                assert (await collect(engine, site.store)).dropped == 3
            return lost
    finally:
        await database.close()


async def set_hold(site: Site) -> None:
    database = open_database(site.settings.effective_database_url, pool_size=2)
    try:
        async with database.write() as session:
            await hold(session, reason="restored from an older backup")
    finally:
        await database.close()


def test_a_purge_removes_and_says_what_to_do_next(site: Site) -> None:
    lost = asyncio.run(lose_commits(site, is_collected=False))
    done = site.run("admin", "purge", "ada/notes", lost)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert done.stdout.startswith("Purged 1 from 1 stores: 1 packs written anew")
    assert "change the secret" in done.stdout
    assert site.run("doctor", "ada/notes").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("ada/notes", "main"), "'main' is not an object id"),
        (("notes", "1" * 40), "'notes' is no repository"),
        (("ada/absent", "1" * 40), "There is no repository ada/absent."),
    ],
    ids=["no id", "no owner", "absent"],
)
def test_a_wrong_purge_is_one_sentence(site: Site, arguments: tuple[str, ...], sentence: str) -> None:
    refused = site.run("admin", "purge", *arguments)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"cairnd admin: {sentence}")
    assert refused.stderr.count("\n") == 1


def test_what_was_dropped_is_listed_and_restored(site: Site) -> None:
    lost = asyncio.run(lose_commits(site, is_collected=True))
    listed = site.run("admin", "undo-packs", "ada/notes")
    assert listed.returncode == 0
    assert "\t3 objects\t" in listed.stdout
    restored = site.run("admin", "restore-objects", "ada/notes", lost, "--branch", "back")
    assert (restored.returncode, restored.stdout) == (0, f"refs/heads/back is at {lost}.\n"), restored.stderr
    again = site.run("admin", "restore-objects", "ada/notes", lost, "--branch", "back")
    assert again.returncode == 1
    assert "'back' was not created" in again.stderr


async def delete_notes(site: Site) -> int:
    database = open_database(site.settings.effective_database_url, pool_size=2)
    try:
        async with open_engine(site.settings, database, open_storage(site.settings)) as engine:
            async with database.write() as session:
                made = await find_repository(session, SYSTEM, "ada", "notes")
                await delete_repository(session, engine, SYSTEM, made.id)
            return made.id
    finally:
        await database.close()


def test_a_deleted_repository_is_listed_and_comes_back(site: Site) -> None:
    assert site.run("admin", "deleted-repositories").stdout == ""
    number = asyncio.run(delete_notes(site))
    [line] = site.run("admin", "deleted-repositories").stdout.splitlines()
    assert line.split("\t")[:2] == [str(number), "ada/Notes"]
    nobody = site.run("admin", "restore-repository", str(number), "--owner", "nobody")
    assert (nobody.returncode, nobody.stderr) == (1, "cairnd admin: There is no account 'nobody'.\n")
    done = site.run("admin", "restore-repository", str(number), "--name", "papers")
    assert (done.returncode, done.stdout) == (0, "Restored ada/papers.\n"), done.stderr
    again = site.run("admin", "restore-repository", str(number))
    assert (again.returncode, again.stderr) == (1, "cairnd admin: Not Found\n")
    assert site.run("doctor", "ada/papers").returncode == 0


def test_the_bucket_is_compared_and_its_hold_released(site: Site) -> None:
    well = site.run("admin", "compare-bucket")
    assert (well.returncode, well.stdout) == (0, "0 missing; 0 unknown for two days, 0 of them deleted.\n"), well.stderr
    (site.bucket / f"{site.key}.pack").unlink()
    ill = site.run("admin", "compare-bucket")
    assert ill.returncode == 1
    assert ill.stdout.splitlines()[0] == f"missing: {site.key}.pack"
    asyncio.run(set_hold(site))
    told = site.run("doctor")
    assert told.returncode == 1
    assert "The object store: the last comparison missed 1 files" in told.stdout
    assert "(restored from an older backup)" in told.stdout
    assert site.run("admin", "release-bucket").stdout == "Released.\n"
    assert site.run("admin", "release-bucket").stdout == "It was not held.\n"
