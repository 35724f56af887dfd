"""The tables of releases: what is published under a tag, its files, and the bytes of those in the object store."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import Mapped, mapped_column

from cairn.db.base import MYSQL_TABLE, NUMBERED_TABLE, Base, BigId, EnumText, HashHex, HexId, UtcDateTime, binary
from cairn.git.models import REF_NAME_BYTES_MAX

NAME_LENGTH_MAX = 255
NOTES_LENGTH_MAX = 125_000
"""Characters, as GitHub has it."""
SEARCH_LENGTH_MAX = 600


class Release(Base):
    """What was published, or is to be, under a tag."""

    __tablename__ = "repository_release"
    __table_args__ = (
        # What is published has its tag alone; drafts may share one, and have no ``published_tag``.
        UniqueConstraint("repository_id", "published_tag"),
        Index("ix_repository_release_repository_id_created_at", "repository_id", "created_at"),
        Index("ix_repository_release_author_id", "author_id"),
        NUMBERED_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    repository_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("repository.id", ondelete="CASCADE"))
    tag: Mapped[bytes] = mapped_column(binary(REF_NAME_BYTES_MAX))
    """Without ``refs/tags/``; of a draft it need not exist."""
    published_tag: Mapped[bytes | None] = mapped_column(binary(REF_NAME_BYTES_MAX))
    target: Mapped[str] = mapped_column(String(NAME_LENGTH_MAX))
    """The branch or commit where the tag is made if there is none when this is published; empty: the default branch."""
    name: Mapped[str] = mapped_column(String(NAME_LENGTH_MAX))
    notes: Mapped[str] = mapped_column(Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"))
    search_text: Mapped[str] = mapped_column(String(SEARCH_LENGTH_MAX))
    """Tag and name in lower case."""
    is_prerelease: Mapped[bool] = mapped_column(default=False)
    may_be_latest: Mapped[bool] = mapped_column(default=True)
    is_latest: Mapped[bool] = mapped_column(default=False)
    """At most one of a repository; whoever changes it holds the repository's lock."""
    author_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("account.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    """When the tagged commit was made, as GitHub has it; of a draft when it was written."""
    published_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)

    @property
    def is_draft(self) -> bool:
        """True while only those see it who may push."""
        return self.published_at is None


class FileState(StrEnum):
    """Life of a file's bytes; there is no way back."""

    OPEN = "open"
    """Announced: somebody writes them. Past its time it is as good as deleting."""
    LIVE = "live"
    CONDEMNED = "condemned"
    DELETING = "deleting"


class ReleaseFile(Base):
    """A key of the object store: written before its bytes, deleted after them, whatever becomes of the repository."""

    __tablename__ = "release_file"
    __table_args__ = (
        UniqueConstraint("announced_key"),
        Index("ix_release_file_state_since", "state", "since"),
        MYSQL_TABLE,
    )

    repository_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """No foreign key: the bytes must be found again when the repository is gone."""
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    announced_key: Mapped[str] = mapped_column(String(255))
    key: Mapped[str | None] = mapped_column(String(255))
    """The same while the object must be there: from when it is whole until it is being deleted."""
    size: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str | None] = mapped_column(HashHex)
    state: Mapped[FileState] = mapped_column(EnumText(FileState, 16), default=FileState.OPEN)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it came to this state; while it is open, when that must end."""


class ReleaseAsset(Base):
    """A file of a release."""

    __tablename__ = "release_asset"
    __table_args__ = (
        UniqueConstraint("release_id", "name"),
        UniqueConstraint("repository_id", "file_id"),
        Index("ix_release_asset_uploader_id", "uploader_id"),
        NUMBERED_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    repository_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("repository.id", ondelete="CASCADE"))
    release_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("repository_release.id", ondelete="CASCADE"))
    file_id: Mapped[str] = mapped_column(HexId)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH_MAX))
    label: Mapped[str] = mapped_column(String(NAME_LENGTH_MAX), default="")
    content_type: Mapped[str] = mapped_column(String(NAME_LENGTH_MAX))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(HashHex)
    uploader_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("account.id", ondelete="SET NULL"))
    download_count: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
