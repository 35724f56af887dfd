"""How large repositories are: their code's packs and their wiki's."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.git.store_sizes import read_sizes
from cairn.repositories.queries import RepositoryView


async def repository_sizes(session: AsyncSession, repositories: Sequence[RepositoryView]) -> dict[int, int]:
    """Return the bytes of each repository's packs by its id, the wiki's among them; one statement."""
    stores = {
        one.id: [store for store in (one.store_id, one.wiki_store_id) if store is not None] for one in repositories
    }
    sizes = await read_sizes(session, [store for own in stores.values() for store in own])
    return {number: sum(sizes[store] for store in own) for number, own in stores.items()}
