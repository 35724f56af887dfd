"""Everything that gives a role: grants to people and teams, memberships of organizations and teams."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, Integer, String, UniqueConstraint, column, table
from sqlalchemy.orm import Mapped, mapped_column

from cairn.access.roles import BasePermission, OrganizationRole, Role, TeamPrivacy, TeamRole
from cairn.db.base import MYSQL_TABLE, NUMBERED_TABLE, Base, BigId, EnumText, UtcDateTime

TEAM_NAME_LENGTH_MAX = 100

REPOSITORY = table("repository", column("id", BigInteger), column("owner_id", BigInteger))
"""The two columns of the repository table that grants hang on; its model stands above this package."""


class Grant(Base):
    """A collaborator's role. The owner needs no grant: owning is the admin role."""

    __tablename__ = "access_grant"
    __table_args__ = (
        # visible() joins from the account's side.
        Index("ix_access_grant_account_id_repository_id", "account_id", "repository_id"),
        MYSQL_TABLE,
    )

    repository_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    account_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    role: Mapped[Role] = mapped_column(EnumText(Role, 16))
    granted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    granted_by_id: Mapped[int | None] = mapped_column(BigInteger)


class Organization(Base):
    """What an account of the kind organization has besides its name: the policies for its members."""

    __tablename__ = "organization"
    __table_args__ = (MYSQL_TABLE,)

    account_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    base_permission: Mapped[BasePermission] = mapped_column(EnumText(BasePermission, 16), default=BasePermission.READ)
    members_can_create_repositories: Mapped[bool] = mapped_column(Boolean, default=True)
    members_can_create_teams: Mapped[bool] = mapped_column(Boolean, default=True)
    token_lifetime_max_days: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    """Tokens made for the organization live at most this long; 0 sets no bound."""


class OrganizationMember(Base):
    """Somebody's place in an organization; ``is_public`` shows it on both profiles."""

    __tablename__ = "organization_member"
    __table_args__ = (Index("ix_organization_member_account_id_organization_id", "account_id", "organization_id"),
                      MYSQL_TABLE)  # fmt: skip

    organization_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("organization.account_id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    account_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    role: Mapped[OrganizationRole] = mapped_column(EnumText(OrganizationRole, 16))
    is_public: Mapped[bool] = mapped_column(Boolean, default=False)
    joined_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Team(Base):
    """Some members of an organization; one with a parent has what the parent is granted, too."""

    __tablename__ = "team"
    __table_args__ = (
        UniqueConstraint("organization_id", "slug"),
        Index("ix_team_parent_id", "parent_id"),
        NUMBERED_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    organization_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("organization.account_id", ondelete="CASCADE"))
    slug: Mapped[str] = mapped_column(String(TEAM_NAME_LENGTH_MAX))
    """The name as addresses carry it: lower case, hyphens between words."""
    name: Mapped[str] = mapped_column(String(TEAM_NAME_LENGTH_MAX))
    description: Mapped[str] = mapped_column(String(500), default="")
    privacy: Mapped[TeamPrivacy] = mapped_column(EnumText(TeamPrivacy, 16), default=TeamPrivacy.CLOSED)
    parent_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("team.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class TeamAncestor(Base):
    """A team and one team above it, however far; each team stands above itself, so that one join finds all."""

    __tablename__ = "team_ancestor"
    __table_args__ = (Index("ix_team_ancestor_ancestor_id_team_id", "ancestor_id", "team_id"), MYSQL_TABLE)

    team_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("team.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    ancestor_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("team.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )


class TeamMember(Base):
    """Somebody's place in a team; only members of its organization have one."""

    __tablename__ = "team_member"
    __table_args__ = (Index("ix_team_member_account_id_team_id", "account_id", "team_id"), MYSQL_TABLE)

    team_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("team.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    account_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    role: Mapped[TeamRole] = mapped_column(EnumText(TeamRole, 16))
    joined_at: Mapped[datetime] = mapped_column(UtcDateTime)


class TeamGrant(Base):
    """The role that a team's members, those of its child teams included, have on a repository."""

    __tablename__ = "team_grant"
    __table_args__ = (Index("ix_team_grant_team_id_repository_id", "team_id", "repository_id"), MYSQL_TABLE)

    repository_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    team_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("team.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    role: Mapped[Role] = mapped_column(EnumText(Role, 16))
    granted_at: Mapped[datetime] = mapped_column(UtcDateTime)
    granted_by_id: Mapped[int | None] = mapped_column(BigInteger)
