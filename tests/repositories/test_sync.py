"""Syncing a fork: by rows and not by bytes, forward or by a merge, or a word on what to do."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.engine import Engine as AnyDatabase
from tests.factories.forge import Forge, Person
from tests.factories.forked_stores import sound
from tests.factories.forking import fork, heads, view_of

from cairn.access.roles import Role, Visibility
from cairn.base.errors import Forbidden
from cairn.git import fail_points
from cairn.git.collection import collect
from cairn.git.engine import Engine
from cairn.git.fail_points import FailPointError, Step
from cairn.git.forks import BaseMoved, make_own
from cairn.git.history import Objects, is_ancestor
from cairn.git.models import ManifestEntry, Pack
from cairn.repositories.queries import RepositoryView
from cairn.repositories.sync import (
    NoFork,
    SyncConflict,
    Synced,
    SyncKind,
    SyncState,
    UpstreamBranchMissing,
    read_sync_state,
    sync_fork,
)

MAIN = "refs/heads/main"


async def make(forge: Forge) -> tuple[Person, Person, RepositoryView, RepositoryView]:
    """Return ada, ben, ada's repository and ben's fork of it."""
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "engine", files={"a": b"1\n" * 30, "b": b"2\n"})
    return ada, ben, parent, await fork(forge, ben, parent)


async def sync(forge: Forge, person: Person, repository: RepositoryView, branch: str = "main") -> Synced:
    seen = await view_of(forge, person, repository)
    return await sync_fork(forge.database, forge.engine, person.actor, seen, branch)


async def state(forge: Forge, person: Person, repository: RepositoryView) -> SyncState | None:
    return await read_sync_state(
        forge.database, forge.engine, person.actor, await view_of(forge, person, repository), "main"
    )


async def own_bytes(forge: Forge, repository: RepositoryView) -> int:
    """Return the bytes of the packs that were made for the repository's own store."""
    async with forge.database.read() as session:
        found = await session.scalar(
            select(func.coalesce(func.sum(Pack.pack_bytes), 0)).where(Pack.store_id == repository.store_id)
        )
    return int(found or 0)


async def test_a_fork_that_is_behind_is_forwarded_without_a_byte_of_its_own(forge: Forge, tmp_path: Path) -> None:
    ada, ben, parent, mine = await make(forge)
    assert await state(forge, ben, mine) == SyncState("ada/engine", "main", 0, 0)
    newest = [await forge.commit(ada, parent, {"c": str(n).encode()}) for n in range(3)][-1]
    assert await state(forge, ben, mine) == SyncState("ada/engine", "main", 0, 3)
    assert await sync(forge, ben, mine) == Synced(SyncKind.FAST_FORWARD, "ada:main")
    assert (await heads(forge, mine))[MAIN] == newest
    assert await own_bytes(forge, mine) == 0
    assert await state(forge, ben, mine) == SyncState("ada/engine", "main", 0, 0)
    assert (await sync(forge, ben, mine)).kind is SyncKind.NONE
    await sound(forge.engine, mine.store_id, tmp_path / "fork")


async def test_both_sides_are_merged_and_only_the_merge_is_new(forge: Forge, tmp_path: Path) -> None:
    ada, ben, parent, mine = await make(forge)
    theirs = await forge.commit(ada, parent, {"a": b"theirs\n" + b"1\n" * 30, "big": bytes(range(256)) * 400})
    ours = await forge.commit(ben, mine, {"b": b"ours\n"})
    before = await own_bytes(forge, mine)
    assert await state(forge, ben, mine) == SyncState("ada/engine", "main", 1, 1)
    assert (await sync(forge, ben, mine)).kind is SyncKind.MERGE
    merged = (await heads(forge, mine))[MAIN]
    async with forge.engine.view(await forge.engine.state(mine.store_id)) as view:
        for side in (theirs, ours):
            assert await is_ancestor(forge.engine.runner, Objects(view.path), ancestor=side, descendant=merged)  # type: ignore[arg-type]
    assert await own_bytes(forge, mine) - before < 1000
    assert await state(forge, ben, mine) == SyncState("ada/engine", "main", 2, 0)
    assert (await sync(forge, ben, mine)).kind is SyncKind.NONE
    await sound(forge.engine, mine.store_id, tmp_path / "fork")


async def test_a_conflict_changes_nothing_and_says_what_to_do(forge: Forge) -> None:
    ada, ben, parent, mine = await make(forge)
    await forge.commit(ada, parent, {"b": b"theirs\n"})
    ours = await forge.commit(ben, mine, {"b": b"ours\n"})
    with pytest.raises(SyncConflict, match=r"Both sides changed b\. Fetch main from ada/engine, merge it"):
        await sync(forge, ben, mine)
    assert (await heads(forge, mine))[MAIN] == ours


async def test_a_branch_the_fork_lacks_is_created(forge: Forge) -> None:
    ada, ben, parent, mine = await make(forge)
    side = await forge.commit(ada, parent, {"side": b"s"}, branch=b"refs/heads/side")
    assert (await sync(forge, ben, mine, "side")).kind is SyncKind.FAST_FORWARD
    assert (await heads(forge, mine))["refs/heads/side"] == side


async def test_a_fork_that_is_separated_and_collected_meanwhile_gets_no_branch_without_its_objects(
    forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada, ben, parent, mine = await make(forge)
    await forge.commit(ada, parent, {"c": b"theirs\n"})
    before, land = await heads(forge, mine), Engine.land

    async def separate_first(engine: Engine, *arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(Engine, "land", land)
        assert await make_own(engine, mine.store_id)
        assert (await collect(engine, mine.store_id)).dropped
        return await engine.land(*arguments, **options)

    monkeypatch.setattr(Engine, "land", separate_first)
    with pytest.raises(BaseMoved):
        await sync(forge, ben, mine)
    assert await heads(forge, mine) == before
    assert (await sync(forge, ben, mine)).kind is SyncKind.FAST_FORWARD
    await sound(forge.engine, mine.store_id, tmp_path / "fork")


async def test_what_cannot_be_synced_says_why(forge: Forge) -> None:
    ada, ben, parent, mine = await make(forge)
    with pytest.raises(UpstreamBranchMissing, match="Branch 'nowhere' not found in ada/engine"):
        await sync(forge, ben, mine, "nowhere")
    with pytest.raises(NoFork):
        await sync(forge, ada, parent)
    assert await state(forge, ada, parent) is None
    cleo = await forge.person("cleo")
    with pytest.raises(Forbidden):
        await sync(forge, cleo, mine)


async def test_who_cannot_read_the_parent_syncs_nothing(forge: Forge) -> None:
    """A fork's collaborator who lost the parent: neither the state nor a sync tells anything of it."""
    ada, ben = await forge.person("ada"), await forge.person("ben")
    parent = await forge.repository(ada, "secret", visibility=Visibility.PRIVATE, files={"a": b"1"})
    await forge.grant(parent, ben, Role.READ)
    mine = await fork(forge, ben, parent)
    cleo = await forge.person("cleo")
    await forge.grant(mine, cleo, Role.WRITE)
    await forge.commit(ada, parent, {"later": b"2"})
    seen = await view_of(forge, cleo, mine)
    assert seen.parent_name == ""
    assert await state(forge, cleo, mine) is None
    with pytest.raises(NoFork):
        await sync(forge, cleo, mine)
    assert (await sync(forge, ben, mine)).kind is SyncKind.FAST_FORWARD


async def test_a_sync_that_was_interrupted_leaves_old_or_new(forge: Forge, tmp_path: Path) -> None:
    ada, ben, parent, mine = await make(forge)
    for step in (Step.BASE_BEFORE_COMMIT, Step.BASE_AFTER_COMMIT, Step.FORK_SHARED, Step.BEFORE_COMMIT):
        newest = await forge.commit(ada, parent, {"step": step.value.encode()})
        before = (await heads(forge, mine))[MAIN]
        fail_points.configure([f"{step.value}=error"])
        try:
            with pytest.raises(FailPointError):
                await sync(forge, ben, mine)
        finally:
            fail_points.configure([])
        assert (await heads(forge, mine))[MAIN] == before
        await sound(forge.engine, mine.store_id, tmp_path / f"{step.value}-1")
        await sync(forge, ben, mine)
        assert (await heads(forge, mine))[MAIN] == newest
    await sound(forge.engine, mine.store_id, tmp_path / "after")


async def test_later_syncs_name_increments_not_copies(forge: Forge) -> None:
    ada, ben, parent, mine = await make(forge)
    for number in range(3):
        await forge.commit(ada, parent, {"n": str(number).encode()})
        await sync(forge, ben, mine)
    async with forge.database.read() as session:
        named = await session.scalars(select(ManifestEntry).where(ManifestEntry.store_id == mine.store_id))
        assert {entry.pack_store_id for entry in named} == {parent.store_id}


async def test_a_transaction_that_the_database_ends_while_packs_are_named_is_tried_again(forge: Forge) -> None:
    ada, ben, parent, mine = await make(forge)
    newest = await forge.commit(ada, parent, {"c": b"3\n"})
    struck: list[str] = []

    def strike(_cursor: object, statement: str, parameters: object, _context: object) -> None:
        numbers = re.findall(r"\b\d+\b", repr(parameters))
        if not struck and "INSERT INTO git_manifest" in statement and str(mine.store_id) in numbers:
            struck.append(statement)
            raise sqlite3.OperationalError("database is locked")

    event.listen(AnyDatabase, "do_execute", strike)
    try:
        assert (await sync(forge, ben, mine)).kind is SyncKind.FAST_FORWARD
    finally:
        event.remove(AnyDatabase, "do_execute", strike)
    assert struck
    assert (await heads(forge, mine))[MAIN] == newest
