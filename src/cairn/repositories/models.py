"""Repositories and the names they have had."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cairn.access.decide import RepositoryColumns
from cairn.access.roles import Visibility
from cairn.db.base import MYSQL_TABLE, NUMBERED_TABLE, Base, BigId, EnumText, UtcDateTime

NAME_LENGTH_MAX = 100


class Repository(Base):
    """A repository: a name under an owner, who may see it, and the engine's store that holds its git data."""

    __tablename__ = "repository"
    __table_args__ = (
        UniqueConstraint("owner_id", "name_key"),
        Index("ix_repository_visibility_pushed_at", "visibility", "pushed_at"),
        NUMBERED_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    owner_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("account.id"))
    name: Mapped[str] = mapped_column(String(NAME_LENGTH_MAX))
    name_key: Mapped[str] = mapped_column(String(NAME_LENGTH_MAX))
    """The name in lower case: names are unique without case."""
    store_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("git_store.id"), unique=True)
    visibility: Mapped[Visibility] = mapped_column(EnumText(Visibility, 16))
    description: Mapped[str] = mapped_column(String(1000), default="")
    homepage: Mapped[str] = mapped_column(String(1000), default="")
    is_archived: Mapped[bool] = mapped_column(Boolean, default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    pushed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RepositoryRename(Base):
    """A place a repository left; requests for it are redirected until something else takes it."""

    __tablename__ = "repository_rename"
    __table_args__ = (MYSQL_TABLE,)

    owner_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name_key: Mapped[str] = mapped_column(String(NAME_LENGTH_MAX), primary_key=True)
    repository_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("repository.id", ondelete="CASCADE"))


ACCESS_COLUMNS = RepositoryColumns(Repository.id, Repository.owner_id, Repository.visibility, Repository.is_archived)
"""What ``access.visible()`` reads of this table."""
