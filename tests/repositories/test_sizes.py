"""The size of a repository, by the API and for administrators, has its wiki in it."""

from tests.factories.forge import Forge
from tests.repositories.wiki.support import commit_files_to_wiki, reload

from cairn.base.actor import SYSTEM
from cairn.git.store_sizes import read_sizes
from cairn.ops.admin_queries import list_by_size
from cairn.repositories.sizes import repository_sizes

NOISE = bytes(range(256)) * 4
LARGE = b"".join(bytes([a, b, a ^ b]) for a in range(0, 256, 2) for b in range(256))


async def test_a_wiki_counts_with_its_repository(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"a": NOISE})
    other = await forge.repository(ada, "other", files={"a": NOISE})
    before = (await forge.api(ada).get("/repos/ada/engine")).json()["size"]
    await commit_files_to_wiki(forge, ada, repository, {b"Home.md": b"Hello", b"large.bin": LARGE})
    repository = await reload(forge, ada, repository)
    assert repository.wiki_store_id is not None
    async with forge.database.read() as session:
        stores = await read_sizes(session, [repository.store_id, repository.wiki_store_id, other.store_id])
        sizes = await repository_sizes(session, [repository, other])
        listed = {one.name: (one.size_bytes, one.wiki_bytes) for one in await list_by_size(session, SYSTEM)}
    wiki_bytes = stores[repository.wiki_store_id]
    assert wiki_bytes > 1024
    assert sizes == {repository.id: stores[repository.store_id] + wiki_bytes, other.id: stores[other.store_id]}
    assert listed == {"engine": (stores[repository.store_id], wiki_bytes), "other": (stores[other.store_id], 0)}
    shown = (await forge.api(ada).get("/repos/ada/engine")).json()["size"]
    assert shown == -(-sizes[repository.id] // 1024) > before
