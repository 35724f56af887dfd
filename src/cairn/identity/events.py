"""Facts about accounts and their credentials."""

from cairn.events.types import Event


class AccountCreated(Event, frozen=True):
    """An owner name and its account exist."""

    account_id: int
    login: str


class AccountSuspensionChanged(Event, frozen=True):
    """An account was suspended, or let back in."""

    account_id: int
    login: str
    is_suspended: bool


class PasswordChanged(Event, frozen=True):
    """The account has another password; its sessions were ended."""

    account_id: int


class TokenCreated(Event, frozen=True):
    """A personal token exists."""

    account_id: int
    token_id: int
    name: str


class TokenRevoked(Event, frozen=True):
    """A personal token is gone."""

    account_id: int
    token_id: int
    name: str


class SshKeyAdded(Event, frozen=True):
    """A public key signs the account in."""

    account_id: int
    key_id: int
    fingerprint: str


class SshKeyDeleted(Event, frozen=True):
    """A public key no longer signs the account in."""

    account_id: int
    key_id: int
    fingerprint: str
