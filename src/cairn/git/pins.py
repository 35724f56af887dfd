"""Pins: while one stands, no pack that was condemned after it was set is deleted from the object store.

A backup sets one before it reads the database, so that every pack its snapshot names can still be copied hours later;
and it leaves one standing for a while afterwards, so that the older database alone can be put back beside the newer
bucket (RELIABILITY 1.3 E, 1.6). The bytes of a kept backup lie in the backup's own target and need no pin.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, CursorResult, delete, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from cairn.base.errors import Conflict
from cairn.base.ids import random_id
from cairn.db.clock import database_now, now
from cairn.db.database import Database
from cairn.git.models import Pin

LOOK_BACK = timedelta(hours=1)
"""A pin reaches back so far: a transaction that was open when the pin was set notes the time at which it condemned,
not the later one at which it committed. Far longer than any transaction, far shorter than condemned packs are kept."""


class PinLost(Conflict):
    """The pin expired before it was renewed: packs it was to spare may be gone."""


async def set_pin(database: Database, purpose: str, *, lifetime: timedelta) -> str:
    """Commit a pin and return its id: what is live now stays in the object store for ``lifetime``, or until renewed."""
    pin_id = random_id()
    async with database.write() as session:
        moment = await database_now(session)
        await session.execute(
            insert(Pin).values(id=pin_id, purpose=purpose[:255], since=moment - LOOK_BACK, expires_at=moment + lifetime)
        )
    return pin_id


async def renew_pin(database: Database, pin_id: str, *, lifetime: timedelta) -> None:
    """Make the pin last ``lifetime`` from now; PinLost if it had expired."""
    async with database.write() as session:
        moment = await database_now(session)
        renewed = await session.execute(
            update(Pin).where(Pin.id == pin_id, Pin.expires_at > moment).values(expires_at=moment + lifetime)
        )
        assert isinstance(renewed, CursorResult)
    if renewed.rowcount != 1:
        raise PinLost("the pin on the packs expired while it was needed; begin again")


async def release_pin(database: Database, pin_id: str) -> None:
    """Let the packs go that only this pin spared; nothing happens for a pin that is gone."""
    async with database.write() as session:
        await session.execute(delete(Pin).where(Pin.id == pin_id))


async def drop_expired_pins(session: AsyncSession) -> None:
    """Delete the pins that have expired; whether a row is deleted or only past its time makes no difference."""
    await session.execute(delete(Pin).where(Pin.expires_at <= await database_now(session)))


def spared_by_a_pin(condemned_at: InstrumentedAttribute[datetime | None]) -> ColumnElement[bool]:
    """Return the condition under which a row that was condemned at that time may not be deleted yet."""
    return exists().where(Pin.expires_at > now(), Pin.since <= condemned_at)


async def oldest_pin(session: AsyncSession) -> datetime | None:
    """Return the time from which condemned packs are spared by the oldest pin that stands; None without one."""
    return await session.scalar(select(func.min(Pin.since)).where(Pin.expires_at > now()))
