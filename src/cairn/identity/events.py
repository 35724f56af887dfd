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


class AccountEdited(Event, frozen=True):
    """An account's public profile or picture changed."""

    account_id: int


class AccountRenamed(Event, frozen=True):
    """An account has another name; the old one redirects."""

    account_id: int
    old_login: str
    new_login: str


class AccountDeleted(Event, frozen=True):
    """The person is gone; the account stays as a ghost without a name."""

    account_id: int


class EmailAdded(Event, frozen=True):
    """An account claims an address."""

    account_id: int
    email_id: int


class EmailVerified(Event, frozen=True):
    """The address was proved to be the account's."""

    account_id: int
    email_id: int


class EmailRemoved(Event, frozen=True):
    """An account gave up an address."""

    account_id: int
    email_id: int


class PrimaryEmailChanged(Event, frozen=True):
    """The account's mail goes to another of its addresses."""

    account_id: int
    email_id: int


class PasswordChanged(Event, frozen=True):
    """The account has another password; its sessions were ended."""

    account_id: int


class TokenCreated(Event, frozen=True):
    """A personal token exists."""

    account_id: int
    token_id: int
    name: str


class TokenRegenerated(Event, frozen=True):
    """A personal token has another secret and lifetime; the old secret is dead."""

    account_id: int
    token_id: int
    name: str


class TokenEdited(Event, frozen=True):
    """A personal token may do something else than before; ``changes`` has field name to [before, after], as text."""

    account_id: int
    token_id: int
    changes: dict[str, tuple[str, str]]


class TokenAccessRevoked(Event, frozen=True):
    """An owner of an organization took from a token what it reached there."""

    organization_id: int
    token_id: int
    actor_id: int | None


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


class SigningKeyAdded(Event, frozen=True):
    """Signatures by an SSH key count as the account's."""

    account_id: int
    key_id: int
    fingerprint: str


class SigningKeyDeleted(Event, frozen=True):
    """Signatures by an SSH key no longer count as the account's."""

    account_id: int
    key_id: int
    fingerprint: str


class OutgoingKeyMade(Event, frozen=True):
    """Cairn logs in to other servers for the account with this key from now on, and with no other."""

    account_id: int
    fingerprint: str


class OutgoingKeyDeleted(Event, frozen=True):
    """Cairn logs in to other servers for the account no more."""

    account_id: int
    fingerprint: str


class GpgKeyAdded(Event, frozen=True):
    """Signatures by a GPG key and its subkeys count as the account's."""

    account_id: int
    key_id: int
    fingerprint: str


class GpgKeyDeleted(Event, frozen=True):
    """Signatures by a GPG key no longer count as the account's."""

    account_id: int
    key_id: int
    fingerprint: str


class OrganizationCreated(Event, frozen=True):
    """An organization exists; who founded it owns it."""

    organization_id: int
    login: str
    actor_id: int | None


class OrganizationEdited(Event, frozen=True):
    """Profile or policies of an organization changed; ``changes`` has field name to [before, after], as text."""

    organization_id: int
    changes: dict[str, tuple[str, str]]
    actor_id: int | None


class OrganizationDeleted(Event, frozen=True):
    """An organization is gone, with its teams and memberships."""

    organization_id: int
    login: str
    actor_id: int | None


class OrganizationMemberChanged(Event, frozen=True):
    """Somebody's place in an organization changed; an empty text is no place."""

    organization_id: int
    account_id: int
    old_role: str
    new_role: str
    actor_id: int | None


class OrganizationInvited(Event, frozen=True):
    """Somebody is offered a place in an organization, or is offered another one than before.

    ``account_id`` is None where an address was invited; it stands in no event.
    """

    organization_id: int
    invitation_id: int
    account_id: int | None
    role: str
    actor_id: int | None


class OrganizationInvitationClosed(Event, frozen=True):
    """An invitation is over; ``outcome`` is ``accepted``, ``declined`` or ``cancelled``."""

    organization_id: int
    invitation_id: int
    account_id: int | None
    outcome: str
    actor_id: int | None


class TeamCreated(Event, frozen=True):
    """A team exists, empty or with who made it."""

    organization_id: int
    team_id: int
    slug: str
    actor_id: int | None


class TeamEdited(Event, frozen=True):
    """Name, privacy or place of a team changed; ``changes`` has field name to [before, after], as text."""

    organization_id: int
    team_id: int
    changes: dict[str, tuple[str, str]]
    actor_id: int | None


class TeamDeleted(Event, frozen=True):
    """A team is gone, and with it what it was granted."""

    organization_id: int
    team_id: int
    slug: str
    actor_id: int | None


class TeamMemberChanged(Event, frozen=True):
    """Somebody's place in a team changed; an empty text is no place."""

    organization_id: int
    team_id: int
    account_id: int
    old_role: str
    new_role: str
    actor_id: int | None
