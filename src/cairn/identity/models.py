"""Accounts and their credentials. A secret is never stored: tokens and sessions as SHA-256, passwords as argon2id."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from cairn.access.roles import OrganizationRole, TeamRole
from cairn.db.base import MYSQL_TABLE, NUMBERED_TABLE, SEALED, Base, BigId, EnumText, HashHex, HexId, UtcDateTime

LOGIN_LENGTH_MAX = 39


class AccountKind(StrEnum):
    """Who stands behind an owner name."""

    USER = "user"
    ORGANIZATION = "organization"


class Account(Base):
    """An owner name and who stands behind it."""

    __tablename__ = "account"
    __table_args__ = (NUMBERED_TABLE,)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    login: Mapped[str] = mapped_column(String(LOGIN_LENGTH_MAX))
    login_key: Mapped[str] = mapped_column(String(LOGIN_LENGTH_MAX), unique=True)
    """The login in lower case: names are unique without case."""
    kind: Mapped[AccountKind] = mapped_column(EnumText(AccountKind, 16), default=AccountKind.USER)
    name: Mapped[str] = mapped_column(String(255), default="")
    bio: Mapped[str] = mapped_column(String(500), default="")
    website: Mapped[str] = mapped_column(String(255), default="")
    company: Mapped[str] = mapped_column(String(255), default="")
    location: Mapped[str] = mapped_column(String(255), default="")
    pronouns: Mapped[str] = mapped_column(String(40), default="")
    public_email: Mapped[str] = mapped_column(String(254), default="")
    """One of the account's verified addresses, for everybody to see; empty shows none."""
    keeps_email_private: Mapped[bool] = mapped_column(Boolean, default=False)
    """Commits that Cairn makes for the account carry its noreply address."""
    avatar_id: Mapped[str | None] = mapped_column(HexId)
    """Names the uploaded picture's objects; None shows the picture that grows from the name."""
    renamed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the running period of counted changes of name began."""
    rename_count: Mapped[int] = mapped_column(Integer, default=0)
    password_hash: Mapped[str | None] = mapped_column(String(255))
    is_site_admin: Mapped[bool] = mapped_column(Boolean, default=False)
    suspended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """A deleted account stays as a nameless row, so that what it wrote still has an author."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AccountEmail(Base):
    """An address of an account; ``email_key`` is its lower-case form, unique in the installation."""

    __tablename__ = "account_email"
    __table_args__ = (Index("ix_account_email_account_id", "account_id"), NUMBERED_TABLE)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("account.id", ondelete="CASCADE"))
    email: Mapped[str] = mapped_column(String(254))
    email_key: Mapped[str] = mapped_column(String(254), unique=True)
    is_primary: Mapped[bool] = mapped_column(Boolean, default=False)
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class AccountRename(Base):
    """A name an account gave up; requests for it are redirected until somebody else takes it."""

    __tablename__ = "account_rename"
    __table_args__ = (MYSQL_TABLE,)

    login_key: Mapped[str] = mapped_column(String(LOGIN_LENGTH_MAX), primary_key=True)
    account_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("account.id", ondelete="CASCADE"))


class ReservedLogin(Base):
    """A name nobody may take now, kept as a hash: it was given up lately, or its account was deleted."""

    __tablename__ = "reserved_login"
    __table_args__ = (MYSQL_TABLE,)

    login_sha256: Mapped[str] = mapped_column(HashHex, primary_key=True)
    """Of the name in lower case."""
    account_id: Mapped[int | None] = mapped_column(BigInteger)
    """Who gave it up and may take it back; None where nobody may."""
    until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """None: for ever."""


class Session(Base):
    """A signed-in browser, found by the hash of its cookie."""

    __tablename__ = "account_session"
    __table_args__ = (Index("ix_account_session_account_id", "account_id"), MYSQL_TABLE)

    cookie_sha256: Mapped[str] = mapped_column(HashHex, primary_key=True)
    account_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("account.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    address: Mapped[str] = mapped_column(String(64))
    user_agent: Mapped[str] = mapped_column(String(255))
    proved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When the person last proved to be the account's owner; dangerous changes want it to be lately."""


class Token(Base):
    """A personal token, found by its hash; shown once when it is made."""

    __tablename__ = "account_token"
    __table_args__ = (
        Index("ix_account_token_account_id", "account_id"),
        # An organization's owners see the tokens that are for it.
        Index("ix_account_token_owner_id", "owner_id"),
        NUMBERED_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("account.id", ondelete="CASCADE"))
    token_sha256: Mapped[str] = mapped_column(HashHex, unique=True)
    name: Mapped[str] = mapped_column(String(255))
    last_characters: Mapped[str] = mapped_column(String(8))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    repository_ids: Mapped[list[int] | None] = mapped_column(JSON(none_as_null=True))
    """None: every repository the owner reaches."""
    owner_id: Mapped[int | None] = mapped_column(BigInteger)
    """Whose things a fine-grained token is for, the person's or an organization's; None for a classic one."""
    permissions: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    """Names and levels as chosen, ``{"contents": "write"}``; None for a classic token, which has scopes."""
    access_revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When an owner of the organization took from the token what it reaches there; it then reads what is public."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SshKey(Base):
    """A public key that signs its account in over SSH, or opens one repository (a deploy key); found by fingerprint.

    Both kinds share the table, so that a fingerprint means one thing. Exactly one of account and repository is set.
    """

    __tablename__ = "account_ssh_key"
    __table_args__ = (
        Index("ix_account_ssh_key_account_id", "account_id"),
        Index("ix_account_ssh_key_repository_id", "repository_id"),
        NUMBERED_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("account.id", ondelete="CASCADE"))
    repository_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("repository.id", ondelete="CASCADE"))
    can_write: Mapped[bool] = mapped_column(Boolean, default=False)
    """Whether a deploy key may push."""
    fingerprint: Mapped[str] = mapped_column(String(80), unique=True)
    """``SHA256:`` and 43 base64 characters, as ssh-keygen prints it."""
    algorithm: Mapped[str] = mapped_column(String(64))
    public_key: Mapped[str] = mapped_column(String(4096))
    """Algorithm and base64 blob, without comment."""
    title: Mapped[str] = mapped_column(String(255))
    created_by_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_address: Mapped[str] = mapped_column(String(64), default="", server_default="")
    """From where; empty if it was never used, or the door did not tell."""


class SigningKey(Base):
    """A public SSH key whose signatures under commits and tags are its account's; it signs nobody in.

    Not unique over accounts: whoever adds somebody else's key must not keep its owner from adding it. A signature
    counts for the account whose address the commit carries.
    """

    __tablename__ = "account_signing_key"
    __table_args__ = (
        UniqueConstraint("account_id", "fingerprint"),
        Index("ix_account_signing_key_fingerprint", "fingerprint"),
        NUMBERED_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("account.id", ondelete="CASCADE"))
    fingerprint: Mapped[str] = mapped_column(String(80))
    algorithm: Mapped[str] = mapped_column(String(64))
    public_key: Mapped[str] = mapped_column(String(4096))
    """Algorithm and base64 blob, without comment."""
    title: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class OutgoingKey(Base):
    """The key with which Cairn logs in to other servers for an account: imports and mirrors over SSH."""

    __tablename__ = "account_outgoing_key"
    __table_args__ = (MYSQL_TABLE,)

    account_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    sealed: Mapped[bytes] = mapped_column(LargeBinary(65535), info=SEALED)
    """The private key, sealed for this row."""
    fingerprint: Mapped[str] = mapped_column(String(80))
    public_key: Mapped[str] = mapped_column(String(4096))
    """Algorithm, base64 blob and comment: the line that other servers take."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class KnownHost(Base):
    """The host key that another server showed an account at first: it is that from then on."""

    __tablename__ = "account_known_host"
    __table_args__ = (UniqueConstraint("account_id", "place"), NUMBERED_TABLE)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("account.id", ondelete="CASCADE"))
    place: Mapped[str] = mapped_column(String(260))
    """Host and port."""
    fingerprint: Mapped[str] = mapped_column(String(80))
    public_key: Mapped[str] = mapped_column(String(4096))
    """Algorithm and base64 blob."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class GpgKey(Base):
    """A public OpenPGP key, or a subkey of one: each has a row, so that a signature's issuer is found in an index.

    What is said here of validity is for people and for naming a reason; whether a signature holds, the certificate in
    the primary key's row decides. Not unique over accounts, as with signing keys.
    """

    __tablename__ = "account_gpg_key"
    __table_args__ = (
        UniqueConstraint("account_id", "fingerprint"),
        Index("ix_account_gpg_key_fingerprint", "fingerprint"),
        Index("ix_account_gpg_key_key_id", "key_id"),
        Index("ix_account_gpg_key_primary_id", "primary_id"),
        NUMBERED_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    account_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("account.id", ondelete="CASCADE"))
    primary_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("account_gpg_key.id", ondelete="CASCADE"))
    """The row of the key that this is a subkey of; None for a primary key."""
    fingerprint: Mapped[str] = mapped_column(String(64))
    """In lower-case hex: 40 digits, of newer kinds 64."""
    key_id: Mapped[str] = mapped_column(String(16))
    """The 16 digits by which old signatures name their key: not unique by nature."""
    title: Mapped[str] = mapped_column(String(255), default="")
    certificate: Mapped[bytes | None] = mapped_column(LargeBinary(65535))
    """The whole key with its subkeys, in binary; a subkey has none of its own."""
    public_key: Mapped[str] = mapped_column(Text)
    """This key's packet alone, in base64."""
    emails: Mapped[list[str]] = mapped_column(JSON)
    """The addresses the key names; none of a subkey."""
    can_sign: Mapped[bool] = mapped_column(Boolean)
    can_certify: Mapped[bool] = mapped_column(Boolean)
    can_encrypt_comms: Mapped[bool] = mapped_column(Boolean)
    can_encrypt_storage: Mapped[bool] = mapped_column(Boolean)
    is_revoked: Mapped[bool] = mapped_column(Boolean)
    made_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the key was generated, as it says itself."""
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it was added here."""


class LinkPurpose(StrEnum):
    """What a one-time link does."""

    FIRST_ADMINISTRATOR = "first_administrator"
    INVITATION = "invitation"
    VERIFY_EMAIL = "verify_email"
    RESET_PASSWORD = "reset_password"  # noqa: S105 (a purpose)
    ORGANIZATION_INVITATION = "organization_invitation"


class OneTimeLink(Base):
    """A link that works once until it expires, found by the hash of its secret."""

    __tablename__ = "one_time_link"
    __table_args__ = (
        Index("ix_one_time_link_account_id", "account_id"),
        Index("ix_one_time_link_invitation_id", "invitation_id"),
        MYSQL_TABLE,
    )

    secret_sha256: Mapped[str] = mapped_column(HashHex, primary_key=True)
    purpose: Mapped[LinkPurpose] = mapped_column(EnumText(LinkPurpose, 32))
    account_id: Mapped[int | None] = mapped_column(BigInteger)
    """Whose link it is, where that matters."""
    email: Mapped[str] = mapped_column(String(254), default="")
    """The address it was sent to, where that matters."""
    invitation_id: Mapped[int | None] = mapped_column(
        BigInteger, ForeignKey("organization_invitation.id", ondelete="CASCADE")
    )
    """The invitation it was sent with; it goes when that does."""
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class OrganizationInvitation(Base):
    """A place in an organization offered to a person, or to whoever proves an address; answering it deletes the row.

    One that nobody answered in time stays for a while, so that owners see it.
    """

    __tablename__ = "organization_invitation"
    __table_args__ = (
        UniqueConstraint("organization_id", "invitee_key"),
        # Everything somebody is invited to.
        Index("ix_organization_invitation_invitee_key", "invitee_key"),
        Index("ix_organization_invitation_expires_at", "expires_at"),
        Index("ix_organization_invitation_account_id", "account_id"),
        NUMBERED_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    organization_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("organization.account_id", ondelete="CASCADE"))
    account_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("account.id", ondelete="CASCADE"))
    """The person, if one was named."""
    email: Mapped[str] = mapped_column(String(254), default="")
    """The address, if one was given instead."""
    invitee_key: Mapped[str] = mapped_column(String(270))
    """``account:7`` or ``email:`` and the address in lower case: each is invited once."""
    role: Mapped[OrganizationRole] = mapped_column(EnumText(OrganizationRole, 16))
    invited_by_id: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class OrganizationInvitationTeam(Base):
    """A team that whoever accepts an invitation joins, too."""

    __tablename__ = "organization_invitation_team"
    __table_args__ = (
        Index("ix_organization_invitation_team_team_id", "team_id"),
        MYSQL_TABLE,
    )

    invitation_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("organization_invitation.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    team_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("team.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    role: Mapped[TeamRole] = mapped_column(EnumText(TeamRole, 16))


class InstanceSecret(Base):
    """A secret of the installation (SSH host keys), sealed with the secret key."""

    __tablename__ = "instance_secret"
    __table_args__ = (MYSQL_TABLE,)

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary(65535), info=SEALED)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SiteSetting(Base):
    """Something administrators change while the installation runs; the value is JSON."""

    __tablename__ = "site_setting"
    __table_args__ = (MYSQL_TABLE,)

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
