"""A backup becomes the same installation again, in an empty place and nowhere else."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text
from tests.factories.accounts import make_account
from tests.factories.backups import Site, all_rows, empty_place, restored
from tests.factories.pushes import make_store, verdict
from tests.factories.small_pushes import SmallPusher

from cairn.db.database import open_database
from cairn.db.migrate import RestoreUnfinished, head, require_current, upgrade
from cairn.git import fail_points
from cairn.git.fail_points import FailPointError, Step
from cairn.git.models import BucketComparison, Store, Upload, UploadState
from cairn.identity.models import Account, Session
from cairn.ops.backup.restore import BackupIncomplete, BackupTooNew, Choices, NotEmpty, SecretKeyMissing

pytest_plugins = ["tests.factories.backups"]


async def _pushed(site: Site) -> SmallPusher:
    pusher = SmallPusher(site.engine, await make_store(site.engine))
    await pusher.push_many(3)
    await pusher.push(b"refs/heads/side")
    return pusher


async def test_what_was_pushed_is_there_again_and_can_be_pushed_to(site: Site, tmp_path: Path) -> None:
    pusher = await _pushed(site)
    manifest = await site.back_up()
    async with restored(site.target, manifest.id, empty_place(tmp_path / "new")) as there:
        assert await verdict(there.engine, pusher.store, tmp_path / "first") == pusher.refs
        again = SmallPusher(there.engine, pusher.store, refs=dict(pusher.refs))
        again.choices.seed(2)
        await again.push()
        assert await verdict(there.engine, pusher.store, tmp_path / "second") == again.refs
        async with there.engine.database.read() as session:
            hold = await session.get(BucketComparison, 1)
        assert hold is not None
        assert hold.held_at is not None
        assert manifest.id in hold.hold_reason
