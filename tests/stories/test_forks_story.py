"""G5, G6: what a fork shares with its parent opens nothing, whatever becomes of the parent."""

import os
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import select
from tests.factories.forge import Forge, Person, open_forge
from tests.factories.forked_stores import SECRET_REF, fork_store, objects_of, secret_object, sound
from tests.factories.forking import fork, heads, may_see, view_of
from tests.factories.git_repositories import fast_import, init
from tests.factories.pushes import MAIN, make_store, push, push_commit, refs_of
from tests.factories.seeds import chosen_seed
from tests.factories.small_pushes import SmallPusher
from tests.factories.work import do_what_is_due
from tests.stories.twelve_ways import PATH, Secret, fetches, operations, pages, pushes, require_closed, secret_of

from cairn.access.roles import Visibility
from cairn.git.collection import collect
from cairn.git.compaction import compact_once
from cairn.git.condemned_packs import delete_condemned
from cairn.git.engine import Engine
from cairn.git.forks import cut_base, make_own
from cairn.git.models import ManifestEntry, Pack, PackState
from cairn.git.types import ZERO_OID, Oid
from cairn.repositories.models import WorkKind
from cairn.repositories.network import work_of
from cairn.repositories.queries import RepositoryView

pytest_plugins = ["tests.factories.engines", "tests.factories.forge"]


class World:
    """ada/engine and ben's fork of it, with secrets on both sides."""

    def __init__(self, forge: Forge, ada: Person, ben: Person, parent: RepositoryView) -> None:
        self.forge, self.ada, self.ben, self.parent = forge, ada, ben, parent
        self.mine = parent
        self.parents_secrets: list[Secret] = []
        self.forks_secrets: list[Secret] = []

    async def secret(self, who: Person, repository: RepositoryView, name: str, *, branch: bytes) -> Secret:
        """Commit a secret file to a branch."""
        text = f"{name}: nobody may read this\n".encode()
        commit = await self.forge.commit(who, repository, {PATH: text}, name, branch=branch)
        return await secret_of(self.forge.engine, repository.store_id, name, commit, text)

    async def drop(self, repository: RepositoryView, branch: bytes) -> None:
        """Delete a branch."""
        oid = Oid((await heads(self.forge, repository))[branch.decode()])
        report = await push(self.forge.engine, repository.store_id, [(branch, oid, ZERO_OID)])
        assert report.is_ok

    async def fork_is_closed_and_whole(self, folder: Path) -> None:
        """Every secret of the parent is out of reach in the fork, and the fork is complete."""
        tried = await require_closed(self.forge, self.ben, self.mine, self.parents_secrets)
        assert tried > 60 * len(self.parents_secrets)
        await sound(self.forge.engine, self.mine.store_id, folder)


async def make_world(forge: Forge) -> World:
    """Return a world with a secret of each kind: dropped before the base was cut, dropped after it (so it lies in the
    fork's packs), on a hidden ref, pushed after the fork; and one that only the fork has."""
    ada, ben, cleo = [await forge.person(name) for name in ("ada", "ben", "cleo")]
    parent = await forge.repository(ada, "engine", files={"README.md": b"# Engine\n", "a": b"1\n" * 99})
    world = World(forge, ada, ben, parent)
    engine = forge.engine
    secrets = world.parents_secrets
    secrets.append(await world.secret(ada, parent, "dropped before", branch=b"refs/heads/before"))
    await world.drop(parent, b"refs/heads/before")
    hidden = b"hidden: nobody may read this\n"
    await secret_object(engine, parent.store_id, hidden.decode())
    commit = (await refs_of(engine, parent.store_id))[SECRET_REF]
    secrets.append(await secret_of(engine, parent.store_id, "hidden", commit, hidden))
    secrets.append(await world.secret(ada, parent, "dropped after", branch=b"refs/heads/after"))
    await fork(forge, cleo, parent)
    await world.drop(parent, b"refs/heads/after")
    world.mine = await fork(forge, ben, parent)
    secrets.append(await world.secret(ada, parent, "pushed later", branch=MAIN))
    world.forks_secrets.append(await world.secret(ben, world.mine, "the fork's own", branch=b"refs/heads/own"))
    return world


@pytest.mark.nightly
async def test_neither_side_opens_any_secret_of_the_other(forge: Forge, tmp_path: Path) -> None:
    world = await make_world(forge)
    await world.fork_is_closed_and_whole(tmp_path / "fork")
    await require_closed(forge, world.ada, world.parent, world.forks_secrets)


async def test_neither_side_opens_what_only_the_other_has(forge: Forge, tmp_path: Path) -> None:
    """G5, cut down to the secret that lies in the fork's own packs."""
    world = await make_world(forge)
    # The attack means something: this one does lie in a pack that the fork names.
    lying = {line.split()[0].decode() for line in await objects_of(forge.engine, world.mine.store_id)}
    by_name = {secret.name: secret for secret in world.parents_secrets}
    assert by_name["dropped after"].blob in lying
    assert not lying.intersection(
        by_name["hidden"].oids + by_name["pushed later"].oids + by_name["dropped before"].oids
    )
    world.parents_secrets = [by_name["dropped after"]]
    await world.fork_is_closed_and_whole(tmp_path / "fork")
    assert await require_closed(forge, world.ada, world.parent, world.forks_secrets) > 60
    await sound(forge.engine, world.parent.store_id, tmp_path / "parent")


async def test_the_ways_do_lead_to_what_is_open(forge: Forge) -> None:
    """The control: tried on what a reader may see, they find it, so the tests of this file can fail."""
    ada = await forge.person("ada")
    parent = await forge.repository(ada, "engine", files={"README.md": b"# Engine\n"})
    text = b"open to all\n"
    commit = await forge.commit(ada, parent, {PATH: text})
    opened = await secret_of(forge.engine, parent.store_id, "open", commit, text)
    for ways in (fetches, pushes):
        with pytest.raises(AssertionError):
            await ways(forge.engine, parent.store_id, opened)
    for lookings in (pages, operations):
        with pytest.raises(AssertionError):
            await lookings(forge, ada, parent, opened)


async def delete_parent(world: World) -> None:
    assert (await world.forge.api(world.ada).call("DELETE", "/repos/ada/engine")).status_code == 204


async def rename_parent(world: World) -> None:
    answer = await world.forge.api(world.ada).call("PATCH", "/repos/ada/engine", json={"name": "motor"})
    assert answer.status_code == 200


async def close_parent(world: World) -> None:
    answer = await world.forge.api(world.ada).call("PATCH", "/repos/ada/engine", json={"private": True})
    assert answer.status_code == 200


@pytest.mark.parametrize("change", [delete_parent, rename_parent, close_parent])
async def test_a_fork_is_complete_and_closed_whatever_becomes_of_the_parent(
    forge: Forge, tmp_path: Path, change: object
) -> None:
    world = await make_world(forge)
    world.parents_secrets = world.parents_secrets[2:3]  # the one that lies in the fork's own packs
    assert callable(change)
    await change(world)
    await world.fork_is_closed_and_whole(tmp_path / "at-once")
    await do_what_is_due(forge.engine)
    await age_condemned(forge.engine)
    await delete_condemned(forge.database, forge.engine.storage)
    await world.fork_is_closed_and_whole(tmp_path / "later")
    seen = await view_of(forge, world.ben, world.mine)
    is_moved = change is rename_parent
    assert seen.parent_name == ("ada/motor" if is_moved else "")
    assert seen.is_fork == is_moved
    if change is close_parent:
        assert seen.visibility is Visibility.PUBLIC
        shared = await named(forge.engine, world.parent.store_id)
        assert not shared & await named(forge.engine, world.mine.store_id)
        async with forge.database.read() as session:
            assert await work_of(session, world.parent.id, WorkKind.SEPARATE) is None
        assert not await may_see(forge, world.ben, world.parent)


async def named(engine: Engine, store: int) -> set[str]:
    async with engine.database.read() as session:
        found = await session.scalars(select(ManifestEntry.pack_id).where(ManifestEntry.store_id == store))
        return set(found)


async def age_condemned(engine: Engine) -> None:
    """Let six hours pass for packs that nobody names."""
    async with engine.database.write() as session:
        for pack in await session.scalars(select(Pack).where(Pack.state == PackState.CONDEMNED)):
            pack.condemned_at = pack.created_at.replace(year=2020)


async def random_steps(engine: Engine, folder: Path, seed: int, *, steps: int, check_every: int) -> None:
    """Push, force, delete, fork, cut, separate, compact, collect and sweep in any order; fsck what is there."""
    choices = Random(seed)
    stores = {(first := await make_store(engine)): SmallPusher(engine, first, Random(seed + 1))}
    await stores[first].push()
    for step in range(steps):
        store = choices.choice(sorted(stores))
        pusher = stores[store]
        match choices.choice(["push"] * 4 + ["force", "branch", "drop", "fork", "cut", "own", "compact", "collect",
                                             "sweep", "delete"]):  # fmt: skip
            case "push":
                await pusher.push()
            case "force":
                await pusher.push(is_forced=True)
            case "branch":
                await pusher.push(b"refs/heads/side-%d" % step)
            case "drop":
                side = [name for name in pusher.refs if name != MAIN]
                if side:
                    await pusher.delete(choices.choice(side))
            case "fork" if len(stores) < 6:
                await cut_base(engine, store)
                made = await fork_store(engine, store)
                stores[made] = SmallPusher(engine, made, Random(seed + made), dict(pusher.refs))
            case "cut":
                await cut_base(engine, store)
            case "own":
                await make_own(engine, store)
            case "compact":
                await compact_once(engine, store, packs_max=2)
            case "collect":
                await collect(engine, store)
            case "sweep":
                await age_condemned(engine)
                await delete_condemned(engine.database, engine.storage)
            case "delete" if len(stores) > 3:
                async with engine.database.write() as session:
                    await engine.delete_store(session, store)
                del stores[store]
        if step % check_every == check_every - 1 or step == steps - 1:
            for one, pushed in stores.items():
                assert await refs_of(engine, one) == pushed.refs, (seed, step)
                await sound(engine, one, folder / f"{step}-{one}")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_no_order_of_steps_loses_an_object(engine: Engine, tmp_path: Path) -> None:
    """G1 with forks, cut down."""
    await random_steps(engine, tmp_path, chosen_seed(), steps=40, check_every=40)


@pytest.mark.nightly
async def test_no_order_of_many_steps_loses_an_object(engine: Engine, tmp_path: Path) -> None:
    """G1 with forks."""
    await random_steps(engine, tmp_path, chosen_seed(), steps=800, check_every=20)


@pytest.mark.nightly
async def test_fifty_forks_of_a_hundred_megabytes_cost_little_more_than_one(
    sqlite_template: Path, tmp_path: Path
) -> None:
    """G7: the sum of the bucket, once what the base replaced is deleted; each fork has a push of its own."""
    async with open_forge(tmp_path / "forge", sqlite_template) as forge:
        ada = await forge.person("ada")
        parent = await forge.repository(ada, "engine")
        client = init(tmp_path / "client")
        fast_import(client, [(f"change {number}", {f"f{number}": os.urandom(10 << 20)}) for number in range(10)])
        tip = client.oid("main")
        report = await push(forge.engine, parent.store_id, [(MAIN, ZERO_OID, tip)], client.pack([tip]))
        assert report.is_ok
        one_copy = await bucket_bytes(forge.engine)
        assert one_copy > 100_000_000
        for number in range(50):
            person = await forge.person(f"person{number}")
            mine = await fork(forge, person, parent)
            client.git("checkout", "-q", "-f", tip)
            client.commit({f"own{number}": "own\n"}, "own")
            assert (await push_commit(forge.engine, mine.store_id, client, b"refs/heads/own")).is_ok
        await age_condemned(forge.engine)
        await delete_condemned(forge.database, forge.engine.storage)
        total = await bucket_bytes(forge.engine)
        print(f"one copy {one_copy:,} bytes, with 50 forks {total:,}: {total / one_copy:.3f}")
        assert total <= 1.2 * one_copy


async def bucket_bytes(engine: Engine) -> int:
    return sum([found.size async for found in engine.storage.list("packs/")])
