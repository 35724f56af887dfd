"""The SSH door's host keys: made once for the installation, kept sealed in the database, the same on every node."""

import asyncio

import asyncssh
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from cairn.base.secret_box import SecretBox
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity.models import InstanceSecret

ALGORITHMS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")
"""ed25519 for everybody, the others for clients that cannot."""
_RSA_BITS = 3072


async def load_or_create_host_keys(database: Database, box: SecretBox) -> list[asyncssh.SSHKey]:
    """Return the installation's host keys, the preferred first, making those that are missing.

    Of two nodes that start at once one writes each key and both use that one. Errors: SecretBox's, when the secret key
    is not the one they were sealed with.
    """
    return [await _load_or_create(database, box, algorithm) for algorithm in ALGORITHMS]


async def _load_or_create(database: Database, box: SecretBox, algorithm: str) -> asyncssh.SSHKey:
    name = f"ssh_host_key:{algorithm}"
    sealed = await _read(database, name)
    if sealed is None:
        fresh = await asyncio.to_thread(_generate, algorithm)
        try:
            async with database.write() as session:
                session.add(
                    InstanceSecret(
                        name=name,
                        sealed=box.seal(fresh, table="instance_secret", column="sealed", row=name),
                        created_at=await database_now(session),
                    )
                )
        except IntegrityError:
            pass  # Another node was first; its key is the installation's.
        sealed = await _read(database, name)
        assert sealed is not None, "instance secrets are never deleted"
    return asyncssh.import_private_key(box.open(sealed, table="instance_secret", column="sealed", row=name))


async def _read(database: Database, name: str) -> bytes | None:
    async with database.read() as session:
        return (await session.scalars(select(InstanceSecret.sealed).where(InstanceSecret.name == name))).one_or_none()


def _generate(algorithm: str) -> bytes:
    options = {"key_size": _RSA_BITS} if algorithm == "ssh-rsa" else {}
    return asyncssh.generate_private_key(algorithm, comment="cairn", **options).export_private_key("openssh")
