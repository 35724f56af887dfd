"""Host keys: made once, sealed, the same for all nodes."""

import asyncio

import pytest
from sqlalchemy import select

from cairn.base.secret_box import SecretBox, SecretUnreadable
from cairn.db.database import Database
from cairn.identity.host_keys import ALGORITHMS, load_or_create_host_keys
from cairn.identity.models import InstanceSecret

BOX = SecretBox(["k" * 32])


async def test_host_keys_are_made_once_and_kept_sealed(database: Database) -> None:
    first = await load_or_create_host_keys(database, BOX)
    again = await load_or_create_host_keys(database, BOX)
    assert [key.get_algorithm() for key in first] == list(ALGORITHMS)
    assert [key.get_fingerprint() for key in first] == [key.get_fingerprint() for key in again]
    async with database.read() as session:
        sealed = list(await session.scalars(select(InstanceSecret.sealed)))
    assert len(sealed) == len(ALGORITHMS)
    assert not any(b"OPENSSH" in one for one in sealed)


async def test_nodes_that_start_at_once_use_the_same_keys(database: Database) -> None:
    """Two nodes with different host keys look like an attack to every client."""
    nodes = await asyncio.gather(*(load_or_create_host_keys(database, BOX) for _ in range(3)))
    assert len({tuple(key.get_fingerprint() for key in keys) for keys in nodes}) == 1


async def test_another_secret_key_is_refused_instead_of_making_new_host_keys(database: Database) -> None:
    await load_or_create_host_keys(database, BOX)
    with pytest.raises(SecretUnreadable):
        await load_or_create_host_keys(database, SecretBox(["x" * 32]))
