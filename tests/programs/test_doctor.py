"""``cairnd doctor`` as an operator runs it: the real command beside a real store."""

import asyncio
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.audit.log_support import seal, tamper
from tests.factories.accounts import actor_of
from tests.factories.authentication import PASSWORD
from tests.factories.lfs import send_object
from tests.factories.small_pushes import SmallPusher

from cairn.access.roles import Visibility
from cairn.audit.models import AuditEntry
from cairn.audit.verification import read_heads
from cairn.base.actor import Actor, ActorKind
from cairn.base.settings import Settings
from cairn.db.database import open_database
from cairn.git.engine import open_engine
from cairn.git.manifest import read_manifest
from cairn.git.models import Upload, UploadState
from cairn.identity.queries import find_account
from cairn.repositories.create import NewRepository, create_repository
from cairn.repositories.queries import find_repository
from cairn.storage.storage import open_storage


class Site:
    """One account, one repository with one pack; ``key`` is the pack's in the object store."""

    def __init__(self, url: str, folder: Path) -> None:
        self.settings = Settings(data_dir=folder / "data", database_url=url)
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")} | {
            "CAIRN_DATABASE_URL": url,
            "CAIRN_DATA_DIR": str(folder / "data"),
        }
        self.run("admin", "create-user", "ada", "--email", "ada@x.test", "--password", PASSWORD)
        self.store, self.key = asyncio.run(self._fill())

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a ``cairnd`` command."""
        return subprocess.run(
            [sys.executable, "-m", "cairn.programs.cairnd", *arguments],
            env=self.environ, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    async def _fill(self) -> tuple[int, str]:
        database = open_database(self.settings.effective_database_url, pool_size=2)
        try:
            async with open_engine(self.settings, database, open_storage(self.settings)) as engine:
                async with database.read() as session:
                    account = await find_account(session, "ada")
                assert account is not None
                actor = Actor(ActorKind.USER, account_id=account.id, login=account.login)
                wanted = NewRepository(name="Notes", visibility=Visibility.PUBLIC)
                made = await create_repository(database, engine, actor, wanted)
                await SmallPusher(engine, made.store_id).push()
                _, [pack] = await read_manifest(database, made.store_id)
                return made.store_id, pack.key
        finally:
            await database.close()

    @property
    def bucket(self) -> Path:
        """The folder that is the object store."""
        return self.settings.data_dir / "storage" / "objects"


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Site:
    return Site(database_url, tmp_path)


def test_a_healthy_site_is_well_and_damage_is_told_with_exit_code_1(site: Site) -> None:
    well = site.run("doctor")
    assert (well.returncode, well.stdout, well.stderr) == (0, "1 examined, 0 with findings.\n", "")
    (site.bucket / f"{site.key}.pack").unlink()
    for arguments in ((), ("ada/notes",)):
        ill = site.run("doctor", *arguments)
        assert ill.returncode == 1
        first, last = ill.stdout.splitlines()
        name = arguments[0] if arguments else "ada/Notes"
        assert first.startswith(f"{name}: {site.key}.pack is missing from the object store; restore this key")
        assert last == "1 examined, 1 with findings."


def test_a_repository_that_does_not_exist_is_one_sentence(site: Site) -> None:
    for name in ("ada/absent", "nobody/notes", "notes"):
        done = site.run("doctor", name)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"cairnd doctor: There is no repository {name!r}; name it as OWNER/NAME.\n"


def test_mending_deletes_only_what_expired_uploads_left(site: Site) -> None:
    stranger, late = f"packs/{site.store}/ab/stranger.pack", f"packs/{site.store}/ab/late.pack"
    for key in (stranger, late):
        (site.bucket / key).parent.mkdir(parents=True, exist_ok=True)
        (site.bucket / key).write_bytes(b"PACK")
    asyncio.run(_announce_long_ago(site, late))
    told = site.run("doctor")
    assert told.returncode == 1
    assert "was not swept; does a worker run? (--mend puts this right)" in told.stdout
    assert (site.bucket / late).exists()
    mended = site.run("doctor", "--mend")
    assert mended.returncode == 1
    assert [line.split(" (")[0] for line in mended.stdout.splitlines()] == [
        f"ada/Notes: No row knows {stranger}",
        "1 examined, 1 with findings.",
    ]
    assert not (site.bucket / late).exists()
    (site.bucket / stranger).unlink()
    assert site.run("doctor").returncode == 0


async def _announce_long_ago(site: Site, key: str) -> None:
    database = open_database(site.settings.effective_database_url, pool_size=1)
    try:
        expired_at = await database.now() - timedelta(hours=2)
        async with database.write() as session:
            session.add(
                Upload(store_id=site.store, id="a" * 32, keys=[key], state=UploadState.OPEN, expires_at=expired_at)
            )
    finally:
        await database.close()


def test_a_changed_audit_entry_is_named(site: Site) -> None:
    """Somebody with the database's password rewrites history: who looks at the chain sees which entry."""
    head = asyncio.run(_seal_audit_log(site))
    well = site.run("doctor")
    assert (well.returncode, well.stdout) == (
        0, f"1 examined, 0 with findings.\nThe installation's audit log ends with seal 1, {head}\n",
    )  # fmt: skip
    entry = asyncio.run(_blame_somebody_else(site))
    ill = site.run("doctor")
    assert ill.returncode == 1
    told = ill.stdout.splitlines()[1]
    assert told == f"The installation's audit log: entry {entry} was changed after seal 1 was set on it."
    assert site.run("doctor", "ada/notes").returncode == 0  # asked about one repository, it looks at no other thing


async def _seal_audit_log(site: Site) -> str:
    database = open_database(site.settings.effective_database_url, pool_size=1)
    try:
        await seal(database)
        [head] = await read_heads(database)
        return head.sha256
    finally:
        await database.close()


async def _blame_somebody_else(site: Site) -> int:
    database = open_database(site.settings.effective_database_url, pool_size=1)
    try:
        await tamper(database, "UPDATE audit_entry SET actor = 'bob' WHERE action = 'repository.create'")
        async with database.read() as session:
            return (await session.scalars(select(AuditEntry.id).where(AuditEntry.actor == "bob"))).one()
    finally:
        await database.close()


def test_json_is_one_object_with_everything(site: Site) -> None:
    well = json.loads(site.run("doctor", "--json").stdout)
    assert (well["examined"], well["findings"]) == (1, [])
    (site.bucket / f"{site.key}.pack").unlink()
    ill = site.run("doctor", "ada/notes", "--json")
    assert ill.returncode == 1
    [finding] = json.loads(ill.stdout)["findings"]
    assert finding["name"] == "ada/notes"
    assert finding["sentence"].startswith(f"{site.key}.pack is missing")
    assert finding["is_mendable"] is False


def test_large_objects_are_examined_and_read_if_asked(site: Site) -> None:
    data = b"one large object"
    key = asyncio.run(_send_object(site, data))
    well = site.run("doctor", "--deep")
    assert (well.returncode, well.stdout) == (0, "1 examined, 0 with findings.\n")
    (site.bucket / key).write_bytes(data.upper())
    assert site.run("doctor").returncode == 0
    read = site.run("doctor", "ada/Notes", "--deep")
    assert (read.returncode, f"{key} has other bytes than its SHA-256 says" in read.stdout) == (1, True)
    (site.bucket / key).unlink()
    assert f"{key} is missing from the object store" in site.run("doctor").stdout


async def _send_object(site: Site, data: bytes) -> str:
    """Send an object to ada/Notes and return its key."""
    database = open_database(site.settings.effective_database_url, pool_size=2)
    try:
        async with open_engine(site.settings, database, open_storage(site.settings)) as engine:
            async with database.read() as session:
                account = await find_account(session, "ada")
                assert account is not None
                repository = await find_repository(session, actor_of(account), "ada", "Notes")
            return (await send_object(engine, actor_of(account), repository.id, data)).key
    finally:
        await database.close()
