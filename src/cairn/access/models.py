"""Grants: which account has which role on which repository."""

from datetime import datetime

from sqlalchemy import BigInteger, Index
from sqlalchemy.orm import Mapped, mapped_column

from cairn.access.roles import Role
from cairn.db.base import MYSQL_TABLE, Base, EnumText, UtcDateTime


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
