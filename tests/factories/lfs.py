"""Large objects without a door: repositories as rows, a folder as the object store, somebody who may do everything."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import actor_of, make_account
from tests.factories.repositories import make_repository

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.identity.models import Account
from cairn.lfs.authorization import Authorize
from cairn.lfs.objects import StoredObject
from cairn.lfs.uploads import Incoming, receive_object
from cairn.storage.storage import Storage, open_storage


def let(actor: Actor) -> Authorize:
    """Return an authorization that lets an actor do everything."""

    async def require(session: AsyncSession, action: Action) -> Actor:
        return actor

    return require


async def pieces(
    data: bytes, *, size: int = 1000, before_end: Callable[[], None] | None = None
) -> AsyncIterator[bytes]:
    """Yield data in pieces, as a request's body comes."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
    if before_end is not None:
        before_end()


async def send_object(engine: Engine, actor: Actor, repository_id: int, data: bytes) -> StoredObject:
    """Send bytes as an object of a repository."""
    incoming = Incoming(repository_id=repository_id, oid=sha256(data).hexdigest(), size=len(data))
    return await receive_object(
        engine.database, engine.storage, engine.settings, incoming, pieces(data), authorize=let(actor)
    )


@dataclass(slots=True)
class LfsPlace:
    """Two repositories of one owner, and where their objects lie."""

    database: Database
    storage: Storage
    settings: Settings
    owner: Account
    first: int
    second: int

    @property
    def actor(self) -> Actor:
        """The owner."""
        return actor_of(self.owner)

    def limit(self, **settings: int) -> None:
        """Set quotas."""
        self.settings = msgspec.structs.replace(self.settings, **settings)

    async def send(
        self,
        data: bytes,
        *,
        to: int | None = None,
        oid: str | None = None,
        size: int | None = None,
        authorize: Authorize | None = None,
    ) -> StoredObject:
        """Send bytes as an object of a repository (the first), truthfully unless told otherwise."""
        incoming = Incoming(
            repository_id=self.first if to is None else to,
            oid=sha256(data).hexdigest() if oid is None else oid,
            size=len(data) if size is None else size,
        )
        allowed = authorize or let(self.actor)
        return await receive_object(
            self.database, self.storage, self.settings, incoming, pieces(data), authorize=allowed
        )

    async def keys(self) -> Sequence[str]:
        """Return what the object store has."""
        return [entry.key async for entry in self.storage.list("lfs")]


@pytest.fixture
async def lfs_place(any_database: Database, tmp_path: Path) -> LfsPlace:
    """Two empty repositories on each kind of database."""
    settings = Settings(data_dir=tmp_path)
    async with any_database.write() as session:
        owner = await make_account(session, "ada")
        first, second = [(await make_repository(session, owner)).id for _ in range(2)]
    return LfsPlace(any_database, open_storage(settings), settings, owner, first, second)
