"""Repositories, the names they have had, and the work that goes on with them."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, Boolean, ForeignKey, Index, String, UniqueConstraint, event, false, text, true
from sqlalchemy.orm import Mapped, mapped_column

from cairn.access.roles import Visibility
from cairn.access.visible import RepositoryColumns
from cairn.db.base import MYSQL_TABLE, NUMBERED_TABLE, OID, Base, BigId, EnumText, HexId, UtcDateTime, binary
from cairn.git.models import REF_NAME_BYTES_MAX

NAME_LENGTH_MAX = 100
TOPIC_LENGTH_MAX = 50
LANGUAGE_LENGTH_MAX = 50
LICENSE_LENGTH_MAX = 50
_SEARCH_TEXT_LENGTH_MAX = 2300
_IS_FORK, _HAS_SOURCE = text("parent_id IS NOT NULL"), text("source_id IS NOT NULL")
_HAD_PARENT = text("former_parent_id IS NOT NULL")
_HAS_WIKI_STORE = text("wiki_store_id IS NOT NULL")


class Repository(Base):
    """A repository: a name under an owner, who may see it, and the engine's store that holds its git data."""

    __tablename__ = "repository"
    __table_args__ = (
        UniqueConstraint("owner_id", "name_key"),
        Index("ix_repository_visibility_pushed_at", "visibility", "pushed_at"),
        Index("ix_repository_visibility_stars_count", "visibility", "stars_count"),
        # Most repositories are no forks: an index full of NULLs would look useless to a planner.
        Index("ix_repository_parent_id", "parent_id", sqlite_where=_IS_FORK, postgresql_where=_IS_FORK),
        Index("ix_repository_source_id", "source_id", sqlite_where=_HAS_SOURCE, postgresql_where=_HAS_SOURCE),
        Index(
            "ix_repository_former_parent_id",
            "former_parent_id",
            sqlite_where=_HAD_PARENT,
            postgresql_where=_HAD_PARENT,
        ),
        Index(
            "ix_repository_wiki_store_id",
            "wiki_store_id",
            unique=True,
            sqlite_where=_HAS_WIKI_STORE,
            postgresql_where=_HAS_WIKI_STORE,
        ),
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
    parent_id: Mapped[int | None] = mapped_column(BigInteger)
    """The repository this one was forked from; None for a root. No foreign key: who deletes a parent lets its forks
    go first (``network.leave_network``)."""
    source_id: Mapped[int | None] = mapped_column(BigInteger)
    """The root of the network of forks; None for a root."""
    former_parent_id: Mapped[int | None] = mapped_column(BigInteger)
    """What this one was forked from until that was deleted or narrowed: both may still hold the same objects."""
    is_withheld: Mapped[bool] = mapped_column(Boolean, default=False)
    """A fork whose owner may no longer read the private parent: nobody but a site administrator sees it."""
    has_wiki: Mapped[bool] = mapped_column(Boolean, default=True, server_default=true())
    """False where the wiki is switched off: then it is absent by every door, and kept."""
    is_wiki_open: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    """Of a public repository everybody who is signed in may edit the wiki, not only who may push."""
    wiki_store_id: Mapped[int | None] = mapped_column(BigInteger)
    """The engine's store of the wiki; None until it has its first page or push (``wiki.stores``)."""
    has_lfs_in_archives: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    """Archives have large objects in them, not their pointers."""
    allows_lost_lfs: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    """Pushes may bring pointers whose large objects are not here: what they named may be lost for good."""
    is_deleted: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    """Absent for everybody until it is restored or erased; ``life.models.RepositoryDeletion`` says until when. Its
    ``name_key`` is one that nobody can ask for, so that its name is free."""
    mirror_url: Mapped[str] = mapped_column(String(2000), default="", server_default="")
    """What it follows as a mirror, without credentials; empty for others."""
    is_mirror: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    """Every branch and tag comes from there, so nobody changes any here; ``mirrors.edit`` alone changes these two."""
    is_template: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    """New repositories may begin with its files; see ``life.templates``."""
    template_id: Mapped[int | None] = mapped_column(BigInteger)
    """The repository whose files this one began with; there may be none of that number any more."""
    license: Mapped[str] = mapped_column(String(LICENSE_LENGTH_MAX), default="", server_default="")
    """What its licence was recognised as, by SPDX's name; ``NOASSERTION`` for one nobody knows, empty without any."""
    stars_count: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    watchers_count: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """Who wants to hear of everything here; ``life.stars`` and ``life.watching`` alone change these two."""
    language: Mapped[str | None] = mapped_column(String(LANGUAGE_LENGTH_MAX))
    """The language most of the default branch is written in, once it is counted; see ``languages``."""
    topics: Mapped[str] = mapped_column(String(1100), default="", server_default="")
    """Its topics in order, a blank before and after each; ``RepositoryTopic`` is the way from a topic to these."""
    search_text: Mapped[str] = mapped_column(String(_SEARCH_TEXT_LENGTH_MAX), default="", server_default="")
    """Name, description and topics in lower case, a line each: what searches look at. Follows them by itself."""


def search_text_of(name: str, description: str, topics: str) -> str:
    """Return what searches look at."""
    return f"{name}\n{description}\n{topics}".lower()[:_SEARCH_TEXT_LENGTH_MAX]


@event.listens_for(Repository, "before_insert")
@event.listens_for(Repository, "before_update")
def _keep_search_text(mapper: Any, connection: Any, repository: Repository) -> None:  # noqa: ANN401 (SQLAlchemy's own)
    repository.search_text = search_text_of(repository.name, repository.description or "", repository.topics or "")


class BranchRename(Base):
    """A branch that was renamed: who asks for the old name is sent on; ``branch_renames`` alone writes these."""

    __tablename__ = "repository_branch_rename"
    __table_args__ = (MYSQL_TABLE,)

    repository_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    old_key: Mapped[str] = mapped_column(HexId, primary_key=True)
    """A digest of the old name: keys are short in every database."""
    branch: Mapped[bytes] = mapped_column(binary(REF_NAME_BYTES_MAX))
    """What it was called then, without ``refs/heads/``; it may have moved on, and have a row of its own."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class RepositoryTopic(Base):
    """A topic of a repository; ``topics.set_topics`` alone writes it, with the column of the same meaning."""

    __tablename__ = "repository_topic"
    __table_args__ = (Index("ix_repository_topic_topic_repository_id", "topic", "repository_id"), MYSQL_TABLE)

    repository_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    topic: Mapped[str] = mapped_column(String(TOPIC_LENGTH_MAX), primary_key=True)


class RepositoryLanguages(Base):
    """What a tree of a repository's default branch is written in."""

    __tablename__ = "repository_languages"
    __table_args__ = (MYSQL_TABLE,)

    repository_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    tree_oid: Mapped[str] = mapped_column(OID)
    """The tree that was counted: the same tree need not be counted again."""
    sizes: Mapped[dict[str, int]] = mapped_column(JSON)
    """Bytes by language."""
    is_complete: Mapped[bool] = mapped_column(Boolean)
    """False where the tree has more files than are looked at."""
    counted_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RepositoryRename(Base):
    """A place a repository left; requests for it are redirected until something else takes it."""

    __tablename__ = "repository_rename"
    __table_args__ = (MYSQL_TABLE,)

    owner_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name_key: Mapped[str] = mapped_column(String(NAME_LENGTH_MAX), primary_key=True)
    repository_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("repository.id", ondelete="CASCADE"))


class RepositoryTransfer(Base):
    """A repository offered to a person who has not answered yet; answering deletes the row. One for each repository."""

    __tablename__ = "repository_transfer"
    __table_args__ = (
        # Everything somebody is offered.
        Index("ix_repository_transfer_new_owner_id", "new_owner_id"),
        Index("ix_repository_transfer_expires_at", "expires_at"),
        MYSQL_TABLE,
    )

    repository_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    new_owner_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("account.id", ondelete="CASCADE"))
    new_name: Mapped[str] = mapped_column(String(NAME_LENGTH_MAX), default="")
    """What it is to be called there; empty for the name it has when it moves."""
    asked_by_id: Mapped[int] = mapped_column(BigInteger)
    """Who must still be allowed to give it away when it is accepted."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class WorkKind(StrEnum):
    """What a worker does with a repository while people wait for it."""

    FILL = "fill"
    """A fork gets its parent's branches and tags."""
    SEPARATE = "separate"
    """A repository gets packs of its own, shared with no fork and no parent."""


class WorkStep(StrEnum):
    """How far it is, in the order of the steps."""

    WAITING = "waiting"
    PACKING = "packing"
    STORING = "storing"
    FAILED = "failed"


class RepositoryWork(Base):
    """Work under way; the row goes in the transaction that ends it. ``failure`` says why it cannot be done."""

    __tablename__ = "repository_work"
    __table_args__ = (MYSQL_TABLE,)

    repository_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    kind: Mapped[WorkKind] = mapped_column(EnumText(WorkKind, 16), primary_key=True)
    step: Mapped[WorkStep] = mapped_column(EnumText(WorkStep, 16), default=WorkStep.WAITING)
    failure: Mapped[str] = mapped_column(String(500), default="")
    default_branch_only: Mapped[bool] = mapped_column(Boolean, default=False)
    push_id: Mapped[str] = mapped_column(HexId)
    """Under which it lands, whoever does it and how often: it lands once."""
    actor_id: Mapped[int | None] = mapped_column(BigInteger)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)


def access_columns(table: type[Repository]) -> RepositoryColumns:
    """Return what ``access.visible()`` reads of the table or of an alias of it."""
    return RepositoryColumns(
        table.id, table.owner_id, table.visibility, table.is_archived, table.is_withheld, table.is_deleted
    )


ACCESS_COLUMNS = access_columns(Repository)
"""What ``access.visible()`` reads of this table."""
