"""The engine's tables: stores, refs, the ref log, packs, manifests, uploads and pushes.

The store id stands first in every key, so that hash partitions later change DDL and not code. A row here is the only
thing that makes an object in the bucket exist.
"""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import JSON, BigInteger, ForeignKeyConstraint, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from cairn.db.base import MYSQL_TABLE, NUMBERED_TABLE, OID, Base, BigId, HashHex, HexId, UtcDateTime, binary

REF_NAME_BYTES_MAX = 1000


class Store(Base):
    """One object database with its refs; ``manifest_version`` keys views, the two after it cached answers."""

    __tablename__ = "git_store"
    __table_args__ = (
        Index("ix_git_store_collect_after", "collect_after"),
        Index("ix_git_store_pack_bytes_id", "pack_bytes", "id"),
        NUMBERED_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    object_format: Mapped[str] = mapped_column(String(8), default="sha1")
    head_target: Mapped[bytes] = mapped_column(binary(REF_NAME_BYTES_MAX))
    """The full name of the branch HEAD points to, born or not."""
    ref_version: Mapped[int] = mapped_column(BigInteger, default=0)
    manifest_version: Mapped[int] = mapped_column(BigInteger, default=0)
    tags_version: Mapped[int] = mapped_column(BigInteger, default=0)
    cache_epoch: Mapped[int] = mapped_column(BigInteger, default=0)
    collect_after: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When objects may have lost their last root; None for a store that has nothing to collect."""
    pack_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    """The bytes of the packs that its manifest names: whoever changes the manifest changes it, under the same lock."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Ref(Base):
    """One ref; only ``cairn.git.ref_transaction`` writes this table."""

    __tablename__ = "git_ref"
    __table_args__ = (Index("ix_git_ref_store_id_oid", "store_id", "oid"), MYSQL_TABLE)

    store_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    name: Mapped[bytes] = mapped_column(binary(REF_NAME_BYTES_MAX), primary_key=True)
    oid: Mapped[str] = mapped_column(OID)
    peeled: Mapped[str | None] = mapped_column(OID)
    """What an annotated tag finally points to; None for everything else."""


class RefLog(Base):
    """Every change of a ref, kept at least as long as collection honours old values (14 days and 2 hours)."""

    __tablename__ = "git_ref_log"
    __table_args__ = (
        Index("ix_git_ref_log_store_id_at", "store_id", "at"),
        Index("ix_git_ref_log_store_id_is_rewind_at", "store_id", "is_rewind", "at"),
        MYSQL_TABLE,
    )

    store_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    ref_version: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    """Order within the one transaction that made ``ref_version``."""
    name: Mapped[bytes] = mapped_column(binary(REF_NAME_BYTES_MAX))
    old_oid: Mapped[str] = mapped_column(OID)
    new_oid: Mapped[str] = mapped_column(OID)
    push_id: Mapped[str] = mapped_column(HexId)
    actor: Mapped[str] = mapped_column(String(255))
    is_rewind: Mapped[bool] = mapped_column(default=True)
    """Unless the new value was seen to reach the old one: only then need the old value be no root of its own."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class PackState(StrEnum):
    """Life of a pack: a manifest may only name a live one; bytes go only after ``deleting``."""

    LIVE = "live"
    CONDEMNED = "condemned"
    DELETING = "deleting"


class Pack(Base):
    """An immutable pack and its index in the object store, under keys that are never used twice."""

    __tablename__ = "git_pack"
    __table_args__ = (Index("ix_git_pack_state_created_at", "state", "created_at"), MYSQL_TABLE)

    store_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    """The store the pack was made for; forks may name it in manifests of their own."""
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    key: Mapped[str] = mapped_column(String(255))
    """Storage key without ending; ``.pack`` and ``.idx`` follow it."""
    pack_bytes: Mapped[int] = mapped_column(BigInteger)
    index_bytes: Mapped[int] = mapped_column(BigInteger)
    objects: Mapped[int] = mapped_column(BigInteger)
    pack_sha256: Mapped[str] = mapped_column(HashHex)
    index_sha256: Mapped[str] = mapped_column(HashHex)
    state: Mapped[PackState] = mapped_column(String(16), default=PackState.LIVE)
    condemned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class ManifestKind(StrEnum):
    """Why a manifest names a pack."""

    PUSH = "push"
    COMPACTED = "compacted"
    BASE = "base"


class ManifestEntry(Base):
    """A store has a pack exactly when a row here says so."""

    __tablename__ = "git_manifest"
    __table_args__ = (
        ForeignKeyConstraint(["pack_store_id", "pack_id"], ["git_pack.store_id", "git_pack.id"]),
        Index("ix_git_manifest_pack_store_id_pack_id", "pack_store_id", "pack_id"),
        MYSQL_TABLE,
    )

    store_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    pack_store_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    pack_id: Mapped[str] = mapped_column(HexId, primary_key=True)
    kind: Mapped[ManifestKind] = mapped_column(String(16))


class BaseTip(Base):
    """An object that the store's base packs hold with everything it reaches; see ``cairn.git.forks``."""

    __tablename__ = "git_base_tip"
    __table_args__ = (MYSQL_TABLE,)

    store_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    oid: Mapped[str] = mapped_column(OID, primary_key=True)


class UploadState(StrEnum):
    """An upload ends once: the ref transaction closes it or the sweeper expires it, never both."""

    OPEN = "open"
    CLOSED = "closed"
    EXPIRED = "expired"


class Upload(Base):
    """Keys that a push is writing; what an expired row names may be deleted."""

    __tablename__ = "git_upload"
    __table_args__ = (Index("ix_git_upload_state_expires_at", "state", "expires_at"), MYSQL_TABLE)

    store_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    keys: Mapped[list[str]] = mapped_column(JSON)
    state: Mapped[UploadState] = mapped_column(String(16), default=UploadState.OPEN)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Push(Base):
    """The outcome of one ref transaction, by which an unknown COMMIT is resolved and a redelivered job lands once."""

    __tablename__ = "git_push"
    __table_args__ = (Index("ix_git_push_store_id_at", "store_id", "at"), MYSQL_TABLE)

    store_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    result: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    """One entry a ref: ``name`` (latin-1 text of the bytes), ``old``, ``new``, ``refusal`` (empty if it moved)."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class UndoPack(Base):
    """What a collection dropped, outside every manifest: kept for an operator who restores it, then deleted."""

    __tablename__ = "git_undo_pack"
    __table_args__ = (Index("ix_git_undo_pack_expires_at", "expires_at"), MYSQL_TABLE)

    store_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    key: Mapped[str] = mapped_column(String(255))
    """Storage key without ending, as in ``git_pack``."""
    pack_bytes: Mapped[int] = mapped_column(BigInteger)
    index_bytes: Mapped[int] = mapped_column(BigInteger)
    objects: Mapped[int] = mapped_column(BigInteger)
    pack_sha256: Mapped[str] = mapped_column(HashHex)
    index_sha256: Mapped[str] = mapped_column(HashHex)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)


class PurgedObject(Base):
    """An object that an administrator had purged from a store: no push may bring it again, no backup restore it."""

    __tablename__ = "git_purged_object"
    __table_args__ = (MYSQL_TABLE,)

    store_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    oid: Mapped[str] = mapped_column(OID, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class PurgedRoot(Base):
    """An old ref value that reached a purged object: it is no root any more, for nobody can follow it."""

    __tablename__ = "git_purged_root"
    __table_args__ = (MYSQL_TABLE,)

    store_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    oid: Mapped[str] = mapped_column(OID, primary_key=True)


class PurgedPack(Base):
    """A pack that held a purged object: nodes delete their copies, a backup must not bring it back.

    ``key`` is the storage key without ending. Its bytes are deleted by whoever purges, at once; ``is_deleted`` says
    that they are gone.
    """

    __tablename__ = "git_purged_pack"
    __table_args__ = (Index("ix_git_purged_pack_at", "at"), MYSQL_TABLE)

    store_id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    pack_id: Mapped[str] = mapped_column(HexId, primary_key=True)
    key: Mapped[str] = mapped_column(String(255))
    is_deleted: Mapped[bool] = mapped_column(default=False)
    at: Mapped[datetime] = mapped_column(UtcDateTime)


class BucketComparison(Base):
    """The one row (id 1) about comparing bucket and tables: what the last one found, and whether it may delete."""

    __tablename__ = "git_bucket_comparison"
    __table_args__ = (MYSQL_TABLE,)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    compared_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    missing: Mapped[int] = mapped_column(BigInteger, default=0)
    """Keys that a table names and the bucket did not have."""
    unknown: Mapped[int] = mapped_column(BigInteger, default=0)
    """Keys older than two days that no table names, deleted or not."""
    held_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    hold_reason: Mapped[str] = mapped_column(String(255), default="")


class Pin(Base):
    """A promise not to delete the bytes of packs that are condemned from ``since`` on, until ``expires_at``.

    Rows expire so that whoever died with one does not hold packs for ever; see ``cairn.git.pins``.
    """

    __tablename__ = "git_pin"
    __table_args__ = (MYSQL_TABLE,)

    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    purpose: Mapped[str] = mapped_column(String(255))
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
