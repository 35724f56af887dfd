"""The canary: a value everybody knows, sealed once with the installation's key. A program that cannot open it has
another key, and must stop before it seals anything with it."""

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from cairn.base.errors import Misconfigured
from cairn.base.secret_box import SecretBox, SecretUnreadable
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity.models import InstanceSecret

NAME = "canary"
_PLAIN = b"cairn"
_PLACE = {"table": "instance_secret", "column": "sealed", "row": NAME}


class WrongSecretKey(Misconfigured):
    """The secret key is not the one this installation's secrets were sealed with."""


async def require_secret_key(database: Database, box: SecretBox) -> None:
    """Return if the box has the installation's key; WrongSecretKey otherwise, with nothing changed.

    The first program of all leaves the canary, provided that it can open whatever was sealed before.
    """
    async with database.read() as session:
        # At most a handful of rows: host keys and the canary.
        rows = (await session.execute(select(InstanceSecret.name, InstanceSecret.sealed))).all()
    for name, sealed in rows:
        try:
            box.open(sealed, table="instance_secret", column="sealed", row=name)
        except SecretUnreadable as error:
            raise WrongSecretKey(
                f"The secret key is not the one of this installation: {error.message} Repositories are not affected. "
                "Put the key back (CAIRN_SECRET_KEY, or the file secret_key in the data folder); keys of before belong "
                "into CAIRN_SECRET_KEYS_OLD."
            ) from None
    if NAME not in {name for name, _ in rows}:
        await _leave(database, box)


async def _leave(database: Database, box: SecretBox) -> None:
    try:
        async with database.write() as session:
            sealed = box.seal(_PLAIN, **_PLACE)
            session.add(InstanceSecret(name=NAME, sealed=sealed, created_at=await database_now(session)))
    except IntegrityError:
        # Of two that start at once the other was first: with another key, this one is wrong.
        await require_secret_key(database, box)
