"""A program with another key stops before it can do harm, and says what to do."""

import pytest
from sqlalchemy import func, select

from cairn.base.secret_box import SecretBox
from cairn.db.database import Database
from cairn.identity.host_keys import load_or_create_host_keys
from cairn.identity.key_canary import WrongSecretKey, require_secret_key
from cairn.identity.models import InstanceSecret

RIGHT, WRONG = SecretBox(["r" * 32]), SecretBox(["w" * 32])


async def _count(database: Database) -> int:
    async with database.read() as session:
        return await session.scalar(select(func.count()).select_from(InstanceSecret)) or 0


async def test_the_first_start_leaves_a_canary_and_the_same_key_passes(database: Database) -> None:
    for _ in range(2):
        await require_secret_key(database, RIGHT)
    assert await _count(database) == 1


async def test_another_key_is_refused_by_name_and_nothing_changes(database: Database) -> None:
    await require_secret_key(database, RIGHT)
    with pytest.raises(WrongSecretKey, match=r"CAIRN_SECRET_KEY.*Repositories are not affected"):
        await require_secret_key(database, WRONG)
    assert await _count(database) == 1
    await require_secret_key(database, SecretBox(["w" * 32, "r" * 32]))  # both: a rotation goes on


async def test_what_was_sealed_before_there_was_a_canary_counts(database: Database) -> None:
    """An installation from before must not accept whatever key comes first."""
    await load_or_create_host_keys(database, RIGHT)
    with pytest.raises(WrongSecretKey):
        await require_secret_key(database, WRONG)
    assert await _count(database) == 3
    await require_secret_key(database, RIGHT)
