"""How large an object may be, and how much a repository and an owner may have; 0 in a setting is no limit.

``require_room`` runs twice: when a client announces what it is about to send, so that it hears at once, and in the
transaction that adds the object, where it counts.
"""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.errors import TooLarge
from cairn.base.settings import Settings
from cairn.lfs.authorization import REPOSITORY
from cairn.lfs.models import LfsUsage
from cairn.lfs.objects import Usage, usage_of
from cairn.storage.storage import OBJECT_BYTES_MAX


class ObjectTooLarge(TooLarge):
    """An object is larger than the installation takes."""

    def __init__(self, bytes_max: int, *, is_setting: bool) -> None:
        where = " (CAIRN_MAX_LFS_OBJECT_BYTES)" if is_setting else ""
        super().__init__(f"an object may have at most {bytes_max:,} bytes here{where}")


class QuotaExceeded(TooLarge):
    """The repository, or everything of its owner, would have more bytes of objects than allowed."""


def object_bytes_max(settings: Settings) -> int:
    """Return how many bytes one object may have."""
    return min(settings.max_lfs_object_bytes or OBJECT_BYTES_MAX, OBJECT_BYTES_MAX)


def require_size(settings: Settings, size: int) -> None:
    """Return if an object of so many bytes is taken here; else ObjectTooLarge."""
    if size > object_bytes_max(settings):
        is_setting = object_bytes_max(settings) == settings.max_lfs_object_bytes
        raise ObjectTooLarge(object_bytes_max(settings), is_setting=is_setting)


async def room_of(session: AsyncSession, settings: Settings, *, repository_id: int, owner_id: int) -> "Room":
    """Return how much may still be added to a repository."""
    of_repository, of_owner = settings.max_lfs_repository_bytes, settings.max_lfs_owner_bytes
    has = (await usage_of(session, repository_id)).object_bytes if of_repository else 0
    owner_has = (await _usage_of_owner(session, owner_id)).object_bytes if of_owner else 0
    return Room(of_repository, has, of_owner, owner_has)


class Room:
    """What is left of both quotas; ``take`` uses it up."""

    def __init__(self, of_repository: int, has: int, of_owner: int, owner_has: int) -> None:
        self._of_repository, self._has = of_repository, has
        self._of_owner, self._owner_has = of_owner, owner_has

    def take(self, size: int) -> None:
        """Use so many bytes of it; QuotaExceeded, which names limit and setting, if they are not left."""
        if self._of_repository and self._has + size > self._of_repository:
            raise QuotaExceeded(
                f"this repository has {self._has:,} of the {self._of_repository:,} bytes that LFS objects of one "
                f"repository may have (CAIRN_MAX_LFS_REPOSITORY_BYTES); {size:,} more do not fit"
            )
        if self._of_owner and self._owner_has + size > self._of_owner:
            raise QuotaExceeded(
                f"the owner's repositories have {self._owner_has:,} of the {self._of_owner:,} bytes that LFS objects "
                f"of one owner may have (CAIRN_MAX_LFS_OWNER_BYTES); {size:,} more do not fit"
            )
        self._has += size
        self._owner_has += size


async def _usage_of_owner(session: AsyncSession, owner_id: int) -> Usage:
    # ix_repository_owner_id_name_key, primary key of lfs_usage.
    objects, object_bytes = (
        await session.execute(
            select(func.coalesce(func.sum(LfsUsage.objects), 0), func.coalesce(func.sum(LfsUsage.object_bytes), 0))
            .join(REPOSITORY, REPOSITORY.c.id == LfsUsage.repository_id)
            .where(REPOSITORY.c.owner_id == owner_id)
        )
    ).one()
    return Usage(int(objects), int(object_bytes))
