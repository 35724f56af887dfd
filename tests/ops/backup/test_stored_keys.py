"""A backup copies what the rows of its snapshot name."""

from tests.factories.accounts import make_account
from tests.factories.backups import Site
from tests.factories.pushes import make_store
from tests.factories.small_pushes import SmallPusher

from cairn.ops.backup.stored_keys import given_up, is_pinned, stored_keys
from cairn.programs.schema import metadata

pytest_plugins = ["tests.factories.backups"]


async def test_packs_come_with_size_and_checksum_and_pictures_by_their_names(site: Site) -> None:
    pusher = SmallPusher(site.engine, await make_store(site.engine))
    await pusher.push_many(2)
    async with site.engine.database.write() as session:
        (await make_account(session, "ada")).avatar_id = "a" * 32
        await make_account(session, "without")
    bucket = {found.key: found.size async for found in site.engine.storage.list("packs")}
    async with site.engine.database.snapshot() as connection:
        keys = [item async for page in stored_keys(connection, metadata()) for item in page]
        packs = {item.key: item.size for item in keys if is_pinned(item.key)}
        pictures = [item.key for item in keys if not is_pinned(item.key)]
        assert packs == bucket
        assert all(len(item.sha256 or "") == 64 for item in keys if is_pinned(item.key))
        assert pictures
        assert all(key.startswith(f"avatars/{'a' * 32}/") for key in pictures)
        assert await given_up(connection, metadata(), [pictures[0], "avatars/gone/1.webp"]) == {"avatars/gone/1.webp"}
