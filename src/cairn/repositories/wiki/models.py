"""Where renamed wiki pages went; what else a wiki has stands in its repository's row."""

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from cairn.db.base import MYSQL_TABLE, Base, HexId, UtcDateTime, binary

PAGE_BYTES_MAX = 1000
"""So long may the path of a page be that is made or renamed here; a push may bring longer ones."""


class WikiPageRename(Base):
    """A page that was renamed on the web: who asks for the old one is sent to the new one."""

    __tablename__ = "wiki_page_rename"
    __table_args__ = (MYSQL_TABLE,)

    repository_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("repository.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    old_key: Mapped[str] = mapped_column(HexId, primary_key=True)
    """A digest of the old page's name without case (``renames.key_of``): keys are short in every database."""
    page: Mapped[bytes] = mapped_column(binary(1024))
    """What the page was called then; it may have moved on, and have a row of its own."""
    at: Mapped[datetime] = mapped_column(UtcDateTime)
