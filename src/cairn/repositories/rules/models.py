"""Rulesets and what they found."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from cairn.db.base import NUMBERED_TABLE, OID, Base, BigId, EnumText, UtcDateTime, binary
from cairn.repositories.rules.types import Enforcement, RuleTarget, SuiteResult

NAME_LENGTH_MAX = 100
REF_BYTES_MAX = 1000


class RulesetRow(Base):
    """A ruleset of one repository, or of everything an account owns: one of the two ids is set."""

    __tablename__ = "ruleset"
    __table_args__ = (
        UniqueConstraint("repository_id", "name"),
        UniqueConstraint("owner_id", "name"),
        NUMBERED_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    repository_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("repository.id", ondelete="CASCADE"))
    owner_id: Mapped[int | None] = mapped_column(BigInteger, ForeignKey("account.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(NAME_LENGTH_MAX))
    target: Mapped[RuleTarget] = mapped_column(EnumText(RuleTarget, 16))
    enforcement: Mapped[Enforcement] = mapped_column(EnumText(Enforcement, 16))
    conditions: Mapped[dict[str, Any]] = mapped_column(JSON)
    bypass_actors: Mapped[list[Any]] = mapped_column(JSON)
    rules: Mapped[list[Any]] = mapped_column(JSON)
    version: Mapped[int] = mapped_column(Integer)
    """Raised by each change: what was examined under another version counts no more."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class RuleSuite(Base):
    """One change of a ref that some ruleset had something against: refused, let through by bypass, or only noted."""

    __tablename__ = "rule_suite"
    __table_args__ = (
        # The lists of a repository, and what is oldest of it.
        Index("ix_rule_suite_repository_id_id", "repository_id", "id"),
        Index("ix_rule_suite_at", "at"),
        NUMBERED_TABLE,
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    repository_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("repository.id", ondelete="CASCADE"))
    actor_id: Mapped[int | None] = mapped_column(BigInteger)
    actor: Mapped[str] = mapped_column(String(255))
    ref: Mapped[bytes] = mapped_column(binary(REF_BYTES_MAX))
    old_oid: Mapped[str] = mapped_column(OID)
    new_oid: Mapped[str] = mapped_column(OID)
    result: Mapped[SuiteResult] = mapped_column(EnumText(SuiteResult, 16))
    """What became of it by the rulesets in force."""
    evaluation: Mapped[SuiteResult] = mapped_column(EnumText(SuiteResult, 16))
    """What would have become of it if those on trial were in force too."""
    findings: Mapped[list[Any]] = mapped_column(JSON)
    at: Mapped[datetime] = mapped_column(UtcDateTime)
