"""Who logs in where: the user and password that were given, or the key of the account in whose name it happens."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.egress.ssh import LoginRefused, SshLogin
from cairn.egress.ssh_address import is_ssh, parse_ssh
from cairn.identity.outgoing_keys import (
    AccountHosts,
    OutgoingKeyRow,
    find_known_host,
    find_outgoing_key,
    open_outgoing_key,
)
from cairn.repositories.imports.credentials import Credentials
from cairn.repositories.imports.source import Login


async def load_login(database: Database, settings: Settings, actor: Actor, url: str, credentials: Credentials) -> Login:
    """Return what the server at ``url`` is shown. Errors: LoginRefused if that is a key and there is none."""
    if not is_ssh(url):
        return Login(credentials.authorization)
    assert actor.account_id is not None, "it happens in the name of somebody"
    async with database.read() as session:
        key = await open_outgoing_key(session, settings, actor.account_id)
    if key is None:
        raise LoginRefused(
            f"{actor.label} has no key for other servers: make one in Settings > Keys, and add it there."
        )
    return Login(ssh=SshLogin(key, AccountHosts(database, actor)))


def require_fitting(url: str, credentials: Credentials) -> None:
    """Return unless a user and password are given for an address that takes none. Errors: Invalid."""
    if is_ssh(url) and credentials.authorization:
        message = "An SSH address takes no user and password: your key for other servers logs in."
        raise Invalid(message, FieldProblem("password", "invalid", message, "Import"))


@dataclass(frozen=True, slots=True)
class SshFacts:
    """What people see of a way over SSH: the key that logs in (None: not made) and the host's fingerprint, or empty."""

    key: OutgoingKeyRow | None
    host_key: str

    def json(self) -> dict[str, str | None]:
        """Return both for the API."""
        return {
            "public_key": self.key.text if self.key else None,
            "fingerprint": self.key.fingerprint if self.key else None,
            "host_key": self.host_key or None,
        }


async def read_ssh_facts(session: AsyncSession, account_id: int, url: str) -> SshFacts | None:
    """Return how the server at ``url`` is reached in an account's name; None if not over SSH. The caller authorized."""
    if not is_ssh(url):
        return None
    address = parse_ssh(url)
    host = await find_known_host(session, account_id, address.host, address.port)
    return SshFacts(await find_outgoing_key(session, account_id), host.fingerprint if host else "")
