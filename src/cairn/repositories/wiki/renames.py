"""Where renamed pages are: written when a page is renamed on the web, asked when a page is not found."""

import hashlib

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.db.clock import database_now
from cairn.repositories.wiki.models import WikiPageRename
from cairn.repositories.wiki.page_names import key_of

RENAMES_MAX = 1000
"""So many old names a wiki keeps; the oldest go first."""


async def note_rename(session: AsyncSession, repository_id: int, *, old: bytes, new: bytes) -> None:
    """Who asks for ``old`` is sent to ``new`` from now on; nobody who asks for ``new`` is sent anywhere."""
    keys = [_digest(old), _digest(new)]
    # Primary key of wiki_page_rename.
    await session.execute(
        delete(WikiPageRename).where(WikiPageRename.repository_id == repository_id, WikiPageRename.old_key.in_(keys))
    )
    if keys[0] == keys[1]:
        return
    of_wiki = WikiPageRename.repository_id == repository_id
    count = await session.scalar(select(func.count()).where(of_wiki)) or 0
    if count >= RENAMES_MAX:
        oldest = select(WikiPageRename.old_key).where(of_wiki).order_by(WikiPageRename.at)
        gone = (await session.scalars(oldest.limit(count - RENAMES_MAX + 1))).all()
        await session.execute(delete(WikiPageRename).where(of_wiki, WikiPageRename.old_key.in_(gone)))
    moment = await database_now(session)
    session.add(WikiPageRename(repository_id=repository_id, old_key=keys[0], page=new, at=moment))
    await session.flush()


async def find_renamed(session: AsyncSession, repository_id: int, name: bytes) -> bytes | None:
    """Return what a page that was called so was renamed to, None if nobody renamed one."""
    # Primary key of wiki_page_rename.
    found = await session.scalar(
        select(WikiPageRename.page).where(
            WikiPageRename.repository_id == repository_id, WikiPageRename.old_key == _digest(name)
        )
    )
    return None if found is None else bytes(found)


def _digest(name: bytes) -> str:
    return hashlib.blake2b(key_of(name), digest_size=16).hexdigest()
