"""``cairnd backup`` as an operator runs it: the real command, from a full installation into an empty one."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.factories.authentication import PASSWORD
from tests.factories.small_pushes import SmallPusher

from cairn.access.roles import Visibility
from cairn.base.actor import Actor, ActorKind
from cairn.base.settings import Settings
from cairn.db.database import open_database
from cairn.git.engine import open_engine
from cairn.identity.queries import find_account
from cairn.repositories.create import NewRepository, create_repository
from cairn.storage.storage import open_storage


class Site:
    """An installation in a folder of its own; ``backups`` is where all of them keep backups."""

    def __init__(self, folder: Path, backups: Path) -> None:
        self.data = folder
        self.environ = {name: value for name, value in os.environ.items() if not name.startswith("CAIRN_")} | {
            "CAIRN_DATA_DIR": str(folder),
            "CAIRN_BACKUP_URL": f"file://{backups}",
            "CAIRN_SECRET_KEY": "s" * 32,
        }

    def run(self, *arguments: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run a ``cairnd`` command."""
        return subprocess.run(
            [sys.executable, "-m", "cairn.programs.cairnd", *arguments],
            env=self.environ | settings, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip

    def fill(self) -> None:
        """Give it an account and a repository with two packs."""
        assert self.run("migrate").returncode == 0
        done = self.run("admin", "create-user", "ada", "--email", "ada@x.test", "--password", PASSWORD)
        assert done.returncode == 0, done.stderr
        asyncio.run(self._push())

    async def _push(self) -> None:
        settings = Settings(data_dir=self.data)
        database = open_database(settings.effective_database_url, pool_size=2)
        try:
            async with open_engine(settings, database, open_storage(settings)) as engine:
                async with database.read() as session:
                    account = await find_account(session, "ada")
                assert account is not None
                actor = Actor(ActorKind.USER, account_id=account.id, login=account.login)
                wanted = NewRepository(name="notes", visibility=Visibility.PUBLIC)
                made = await create_repository(database, engine, actor, wanted)
                await SmallPusher(engine, made.store_id).push_many(2)
        finally:
            await database.close()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    found = Site(tmp_path / "data", tmp_path / "backups")
    found.fill()
    return found


def test_a_backup_becomes_another_installation_and_only_an_empty_one(site: Site, tmp_path: Path) -> None:
    made = site.run("backup", "create")
    assert (made.returncode, made.stderr) == (0, "")
    assert "4 objects" in made.stdout
    new = Site(tmp_path / "new", tmp_path / "backups")
    restored = new.run("backup", "restore")
    assert restored.returncode == 0, restored.stderr
    assert restored.stdout.startswith(f"Restored {made.stdout.split(':')[0]}, the state of ")
    assert "ada" in new.run("admin", "list-users").stdout
    twice = new.run("backup", "restore")
    assert twice.returncode == 1
    assert "The database has 1 accounts and 1 stores" in twice.stderr


@pytest.mark.nightly
def test_an_operator_makes_checks_drills_and_restores_a_backup(site: Site, tmp_path: Path) -> None:
    made = site.run("backup", "create")
    assert (made.returncode, made.stderr) == (0, "")
    name = made.stdout.split(":")[0]
    assert "4 objects" in made.stdout
    again = site.run("backup", "create")
    assert "0 of them copied now (0 bytes)" in again.stdout
    verified = site.run("backup", "verify", name)
    assert (verified.returncode, verified.stdout.split(" (")[0]) == (0, f"{name}: 4 objects read")
    drilled = site.run("backup", "drill")
    assert drilled.returncode == 0, drilled.stderr
    assert drilled.stdout.endswith("restored; 1 examined, 0 findings.\n")
    listed = site.run("backup", "list").stdout.splitlines()
    assert [line.split("\t")[0] for line in listed] == [again.stdout.split(":")[0], name]
    assert "drill well" in listed[0]
    assert "no drill" in listed[1]
    pruned = site.run("backup", "prune")
    assert pruned.stdout.startswith("0 backups, 0 remnants and 0 copies")

    new = Site(tmp_path / "new", tmp_path / "backups")
    restored = new.run("backup", "restore", name)
    assert restored.returncode == 0, restored.stderr
    assert restored.stdout.startswith(f"Restored {name}, the state of ")
    examined = new.run("doctor").stdout
    assert "1 examined, 0 with findings" in examined
    assert f"restored {name}" in examined, "the hold is told"


@pytest.mark.nightly
def test_what_is_wrong_is_one_sentence_and_an_exit_code(site: Site, tmp_path: Path) -> None:
    nowhere = site.run("backup", "create", CAIRN_BACKUP_URL="")
    assert (nowhere.returncode, nowhere.stderr.startswith("cairnd backup: CAIRN_BACKUP_URL is not set")) == (2, True)
    inside = site.run("backup", "create", "--to", f"file://{site.data / 'storage' / 'backups'}")
    assert inside.returncode == 2
    assert "--to names a place inside the live object store" in inside.stderr
    none = site.run("backup", "verify")
    assert (none.returncode, none.stdout) == (1, "")
    assert "There is no complete backup in" in none.stderr
    assert site.run("backup", "create").returncode == 0
    [key, *_] = (tmp_path / "backups" / "objects" / "copies").rglob("*.pack")
    key.write_bytes(b"PACK")
    told = site.run("backup", "verify")
    assert told.returncode == 1
    assert f"{key.name} is missing or damaged." in told.stdout
    mended = site.run("backup", "verify", "--mend")
    assert mended.returncode == 0
    assert "1 of 1 copies were made again" in mended.stdout
