"""Opening a view of a store: from the node's cache if its version is there, else by reading the manifest."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pygit2

from cairn.base.errors import Unavailable
from cairn.db.database import Database
from cairn.git.indexes import read_indexes
from cairn.git.manifest import read_manifest
from cairn.git.node_cache import NodeCache, View, ViewMissing
from cairn.git.runner import GitFailed
from cairn.git.store_state import StoreState

_SIZES_KEPT = 10_000


class ViewMended(Unavailable):
    """A reader failed because this node's copy of a pack was damaged; it is right again."""

    def __init__(self) -> None:
        super().__init__("This node's copy of the repository was damaged and has been replaced; try again.")


class Views:
    """Views by store state. A store whose manifest moved on meanwhile gives the newer view: it holds everything."""

    def __init__(self, database: Database, cache: NodeCache) -> None:
        self._database = database
        self._cache = cache
        self._sizes: OrderedDict[tuple[int, int], int] = OrderedDict()

    @asynccontextmanager
    async def open(self, state: StoreState) -> AsyncIterator[View]:
        """Yield a view with every object of the state, kept until the block ends.

        ViewMended takes the place of git's error in the block if a damaged copy was the cause.
        """
        opened = self._cache.view(state.id, state.manifest_version, None)
        try:
            view = await opened.__aenter__()
        except ViewMissing:
            version, packs = await read_manifest(self._database, state.id)
            indexes = await read_indexes(self._database, state.id, [pack.id for pack in packs])
            opened = self._cache.view(state.id, version, packs, indexes=indexes)
            view = await opened.__aenter__()
        try:
            yield view
        except (GitFailed, pygit2.GitError) as error:
            if await self._cache.suspect(view):
                raise ViewMended from error
            raise
        finally:
            await opened.__aexit__(None, None, None)

    async def bytes_of(self, state: StoreState) -> int:
        """Return the bytes of all packs of the state, without fetching any."""
        key = (state.id, state.manifest_version)
        if key not in self._sizes:
            _, packs = await read_manifest(self._database, state.id)
            self._sizes[key] = sum(pack.pack_bytes for pack in packs)
            if len(self._sizes) > _SIZES_KEPT:
                self._sizes.popitem(last=False)
        return self._sizes[key]
