"""``land``: compare and swap, all or nothing, name conflicts, redelivery and lost COMMIT answers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import InterfaceError
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.pushes import allow

from cairn.base.ids import random_id
from cairn.db.clock import database_now
from cairn.db.database import Database, DatabaseAway
from cairn.git import landing
from cairn.git.landing import PlanTooOld, Staged, land
from cairn.git.models import ManifestEntry, Push, Ref, RefLog, Store, Upload, UploadState
from cairn.git.pack_files import UploadedPack, UploadExpired
from cairn.git.ref_transaction import RefMoved, RefOutcome, RefUpdate, VerifyRef, folders_of
from cairn.git.store_state import StoreGone
from cairn.git.types import ZERO_OID, Oid, RefName

A, B, C = (Oid(digit * 40) for digit in "abc")
MAIN = b"refs/heads/main"


def oid(number: int) -> Oid:
    """Return an id of no object."""
    return Oid(f"{number:040x}")


@pytest.fixture
async def store(any_database: Database) -> int:
    async with any_database.write() as session:
        made = Store(head_target=MAIN, created_at=await database_now(session))
        session.add(made)
        await session.flush()
        return made.id


async def plan(database: Database, store: int, *updates: RefUpdate, **options: object) -> Staged:
    async with database.read() as session:
        now = await database_now(session)
    return Staged(**{"store_id": store, "updates": updates, "checked_at": now, **options})  # type: ignore[arg-type]  # a test's shorthand


async def move(
    database: Database, store: int, *updates: RefUpdate, within: landing.Within = allow, **options: object
) -> dict[RefName, str]:
    """Land updates and return the refusals, empty for what moved."""
    staged = await plan(database, store, *updates, **options)
    outcomes = await land(database, staged, push_id=random_id(), actor="tester", within=within)
    assert [outcome.name for outcome in outcomes] == [update.name for update in updates]
    return {outcome.name: outcome.refusal for outcome in outcomes}


async def refs(database: Database, store: int) -> dict[RefName, Oid]:
    async with database.read() as session:
        rows = await session.execute(select(Ref.name, Ref.oid).where(Ref.store_id == store))
        return {bytes(name): Oid(value) for name, value in rows}


async def test_updates_land_with_log_and_versions(any_database: Database, store: int) -> None:
    assert await move(any_database, store, RefUpdate(MAIN, ZERO_OID, A)) == {MAIN: ""}
    tag = b"refs/tags/v1"
    moved = await move(any_database, store, RefUpdate(MAIN, A, B), RefUpdate(tag, ZERO_OID, C, peeled=B))
    assert set(moved.values()) == {""}
    assert await refs(any_database, store) == {MAIN: B, tag: C}
    assert await move(any_database, store, RefUpdate(tag, C, ZERO_OID)) == {tag: ""}
    async with any_database.read() as session:
        row = (await session.execute(select(Store).where(Store.id == store))).scalar_one()
        assert (row.ref_version, row.tags_version, row.manifest_version) == (3, 2, 0)
        log = await session.execute(
            select(RefLog.ref_version, RefLog.position, RefLog.old_oid, RefLog.new_oid)
            .where(RefLog.store_id == store)
            .order_by(RefLog.ref_version, RefLog.position)
        )
        assert [tuple(line) for line in log] == [
            (1, 0, ZERO_OID, A), (2, 0, A, B), (2, 1, ZERO_OID, C), (3, 0, C, ZERO_OID),
        ]  # fmt: skip


async def test_a_stale_old_value_is_refused(any_database: Database, store: int) -> None:
    await move(any_database, store, RefUpdate(MAIN, ZERO_OID, A))
    for stale in (RefUpdate(MAIN, B, C), RefUpdate(MAIN, ZERO_OID, C), RefUpdate(MAIN, B, ZERO_OID)):
        assert "stale info" in (await move(any_database, store, stale))[MAIN]
    assert await refs(any_database, store) == {MAIN: A}


async def test_an_atomic_plan_moves_all_or_nothing(any_database: Database, store: int) -> None:
    """D4: ten refs, one of them stale."""
    names = [b"refs/heads/b%d" % number for number in range(10)]
    await move(any_database, store, RefUpdate(names[7], ZERO_OID, A))
    updates = [RefUpdate(name, ZERO_OID, B) for name in names]
    refused = await move(any_database, store, *updates, is_atomic=True)
    assert all(refused.values())
    assert "stale" in refused[names[7]]
    assert await refs(any_database, store) == {names[7]: A}
    updates[7] = RefUpdate(names[7], A, B)
    assert not any((await move(any_database, store, *updates, is_atomic=True)).values())
    assert await refs(any_database, store) == dict.fromkeys(names, B)


async def test_an_atomic_plan_refused_by_the_rules_changes_nothing_they_did(any_database: Database, store: int) -> None:
    async def refuse(session: AsyncSession, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
        await session.execute(update(Store).where(Store.id == store).values(head_target=b"refs/heads/changed"))
        return {MAIN: "protected"}

    other = b"refs/heads/other"
    updates = (RefUpdate(MAIN, ZERO_OID, A), RefUpdate(other, ZERO_OID, A))
    refused = await move(any_database, store, *updates, within=refuse, is_atomic=True)
    assert refused[MAIN] == "protected"
    assert refused[other]
    async with any_database.read() as session:
        assert (await session.execute(select(Store.head_target).where(Store.id == store))).scalar_one() == MAIN
    assert await refs(any_database, store) == {}


@pytest.mark.parametrize("is_reversed", [False, True])
async def test_a_name_and_a_name_below_it_exclude_each_other(
    any_database: Database, store: int, *, is_reversed: bool
) -> None:
    """C2: one after the other, and both in one push."""
    pair = [b"refs/heads/a", b"refs/heads/a/b"]
    first, second = reversed(pair) if is_reversed else pair
    assert not (await move(any_database, store, RefUpdate(first, ZERO_OID, A)))[first]
    assert "name conflict" in (await move(any_database, store, RefUpdate(second, ZERO_OID, A)))[second]
    await move(any_database, store, RefUpdate(first, A, ZERO_OID))
    both = await move(any_database, store, *(RefUpdate(name, ZERO_OID, A) for name in (first, second)))
    assert both[first] == ""
    assert "name conflict" in both[second]


async def test_a_deletion_makes_room_in_the_same_push(any_database: Database, store: int) -> None:
    folder, below = b"refs/heads/a", b"refs/heads/a/b"
    await move(any_database, store, RefUpdate(folder, ZERO_OID, A))
    moved = await move(any_database, store, RefUpdate(folder, A, ZERO_OID), RefUpdate(below, ZERO_OID, A))
    assert not any(moved.values())
    assert await refs(any_database, store) == {below: A}


async def test_a_deletion_that_the_rules_refuse_makes_no_room(any_database: Database, store: int) -> None:
    """Without this, ``a`` and ``a/b`` would stand side by side and no client could fetch both."""
    folder, below, other = b"refs/heads/a", b"refs/heads/a/b", b"refs/heads/other"
    await move(any_database, store, RefUpdate(folder, ZERO_OID, A))
    asked: list[list[RefName]] = []

    async def protect(session: AsyncSession, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
        asked.append([change.name for change in updates])
        return {folder: "protected"} if folder in asked[-1] else {}

    updates = (RefUpdate(folder, A, ZERO_OID), RefUpdate(below, ZERO_OID, A), RefUpdate(other, ZERO_OID, A))
    refused = await move(any_database, store, *updates, within=protect)
    assert refused[folder] == "protected"
    assert "name conflict" in refused[below]
    assert refused[other] == ""
    assert await refs(any_database, store) == {folder: A, other: A}
    assert asked[-1] == [other]  # what is emitted for the others concerns only what moves


async def test_names_are_bytes_on_every_database(any_database: Database, store: int) -> None:
    """C6: pairs that a text collation would join, bytes that are no text, 1,000 of them."""
    names = [
        b"refs/heads/Main", b"refs/heads/main", "refs/heads/caf\u00e9".encode(), "refs/heads/cafe\u0301".encode(),
        b"refs/heads/x", b"refs/heads/x\xa0", b"refs/heads/\xff\xfe", b"refs/heads/\x80", b"refs/heads/ss",
        "refs/heads/\u00df".encode(), b"refs/heads/" + b"y" * 989, b"refs/heads/" + b"y" * 988, b"refs/heads/it's",
    ]  # fmt: skip
    updates = [RefUpdate(name, ZERO_OID, oid(number)) for number, name in enumerate(names, start=1)]
    assert not any((await move(any_database, store, *updates)).values())
    assert await refs(any_database, store) == {change.name: change.new for change in updates}
    back = [RefUpdate(change.name, change.new, ZERO_OID) for change in updates[::2]]
    assert not any((await move(any_database, store, *back)).values())
    assert await refs(any_database, store) == {change.name: change.new for change in updates[1::2]}
    async with any_database.read() as session:
        logged = set(await session.scalars(select(RefLog.name).where(RefLog.store_id == store)))
        assert {bytes(name) for name in logged} == set(names)


async def test_ten_thousand_refs_land_within_the_bound(any_database: Database, store: int) -> None:
    names = [b"refs/heads/%05d" % number for number in range(10_000)]
    async with asyncio.timeout(60):
        created = await move(any_database, store, *(RefUpdate(name, ZERO_OID, A) for name in names))
        moved = await move(any_database, store, *(RefUpdate(name, A, B) for name in names))
        gone = await move(any_database, store, *(RefUpdate(name, B, ZERO_OID) for name in names))
    assert not any([*created.values(), *moved.values(), *gone.values()])
    assert await refs(any_database, store) == {}


async def test_a_pinned_ref_that_moved_refuses_the_plan(any_database: Database, store: int) -> None:
    other = b"refs/heads/other"
    await move(any_database, store, RefUpdate(MAIN, ZERO_OID, A))
    change = RefUpdate(other, ZERO_OID, A)
    with pytest.raises(RefMoved, match="refs/heads/main"):
        await move(any_database, store, change, verify=(VerifyRef(store, MAIN, B),))
    absent = VerifyRef(store, b"refs/heads/absent", ZERO_OID)
    assert not (await move(any_database, store, change, verify=(VerifyRef(store, MAIN, A), absent)))[other]


async def test_a_plan_older_than_an_hour_is_refused(any_database: Database, store: int) -> None:
    async with any_database.read() as session:
        long_ago = await database_now(session, plus=-timedelta(minutes=61))
    with pytest.raises(PlanTooOld):
        await move(any_database, store, RefUpdate(MAIN, ZERO_OID, A), checked_at=long_ago)


async def test_a_store_that_is_gone_is_not_found(any_database: Database, store: int) -> None:
    with pytest.raises(StoreGone):
        await move(any_database, store + 1000, RefUpdate(MAIN, ZERO_OID, A))


async def test_a_push_id_lands_once(any_database: Database, store: int) -> None:
    """A job publishes with its own id: delivered again, it gets the first result and changes nothing."""
    push_id, calls = random_id(), 0

    async def count(session: AsyncSession, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
        nonlocal calls
        calls += 1
        return {}

    for updates in ((RefUpdate(MAIN, ZERO_OID, A), RefUpdate(b"refs/heads/\xff", B, C)), ()):
        push_id = random_id()
        staged = await plan(any_database, store, *updates)
        first = await land(any_database, staged, push_id=push_id, actor="job", within=count)
        assert await land(any_database, staged, push_id=push_id, actor="job", within=count) == first
    assert calls == 1
    assert await refs(any_database, store) == {MAIN: A}


async def test_an_expired_upload_refuses_the_refs_with_it(any_database: Database, store: int) -> None:
    """G3's database half: the sweeper expires the row or the push closes it, never both."""
    pack = UploadedPack(random_id(), "packs/x", 1, 1, 1, "0" * 64, "0" * 64)
    async with any_database.write() as session:
        expires_at = await database_now(session)
        session.add(
            Upload(store_id=store, id=pack.id, keys=["packs/x.pack"], state=UploadState.EXPIRED, expires_at=expires_at)
        )
    with pytest.raises(UploadExpired):
        await move(any_database, store, RefUpdate(MAIN, ZERO_OID, A), pack=pack)
    async with any_database.write() as session:
        await session.execute(update(Upload).where(Upload.id == pack.id).values(state=UploadState.OPEN))
    assert not (await move(any_database, store, RefUpdate(MAIN, ZERO_OID, A), pack=pack))[MAIN]
    async with any_database.read() as session:
        row = (await session.execute(select(Upload).where(Upload.id == pack.id))).scalar_one()
        assert row.state == UploadState.CLOSED
        entries = await session.scalars(select(ManifestEntry.pack_id).where(ManifestEntry.store_id == store))
        assert list(entries) == [pack.id]


async def test_a_pack_that_only_refused_refs_wanted_is_not_entered(any_database: Database, store: int) -> None:
    await move(any_database, store, RefUpdate(MAIN, ZERO_OID, A))
    pack = UploadedPack(random_id(), "packs/x", 1, 1, 1, "0" * 64, "0" * 64)
    updates = (RefUpdate(MAIN, A, ZERO_OID), RefUpdate(b"refs/heads/new", B, C))
    refused = await move(any_database, store, *updates, pack=pack)
    assert refused[MAIN] == ""
    async with any_database.read() as session:
        assert not list(await session.scalars(select(ManifestEntry.pack_id).where(ManifestEntry.store_id == store)))


async def test_of_many_writers_of_one_ref_one_wins_each_round(any_database: Database, store: int) -> None:
    current, rounds, writers = ZERO_OID, 5, 4
    for round_number in range(rounds):
        news = [oid(1 + round_number * writers + number) for number in range(writers)]
        results = await asyncio.gather(*(move(any_database, store, RefUpdate(MAIN, current, new)) for new in news))
        winners = [new for new, result in zip(news, results, strict=True) if not result[MAIN]]
        assert len(winners) == 1
        current = winners[0]
    assert await refs(any_database, store) == {MAIN: current}
    async with any_database.read() as session:
        assert await session.scalar(select(func.count()).where(RefLog.store_id == store)) == rounds


async def test_of_a_and_a_below_it_one_wins_each_round(any_database: Database, store: int) -> None:
    """C2: both are created at the same time; the row of the store keeps them apart."""
    for number in range(5):
        pair = (b"refs/heads/r%d" % number, b"refs/heads/r%d/below" % number)
        results = await asyncio.gather(*(move(any_database, store, RefUpdate(name, ZERO_OID, A)) for name in pair))
        assert sorted(not refusal for result in results for refusal in result.values()) == [False, True]


async def test_rules_that_fail_undo_everything(any_database: Database, store: int) -> None:
    async def fail(session: AsyncSession, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
        raise FileNotFoundError("a defect of the caller")

    with pytest.raises(FileNotFoundError):
        await move(any_database, store, RefUpdate(MAIN, ZERO_OID, A), within=fail)
    assert await refs(any_database, store) == {}


@pytest.fixture
def lost_commits(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Lose the answer of the next COMMIT: after it was done (True), or before (False)."""
    real: Callable[[AsyncSession], Awaitable[None]] = AsyncSession.commit
    plans: list[bool] = []

    async def commit(session: AsyncSession) -> None:
        if not plans:
            await real(session)
            return
        if plans.pop(0):
            await real(session)
        raise InterfaceError("COMMIT", None, Exception("connection lost"))

    monkeypatch.setattr(AsyncSession, "commit", commit)
    return plans.append


@pytest.mark.parametrize("is_done", [True, False])
async def test_a_lost_commit_answer_is_resolved_by_the_push_id(
    any_database: Database, store: int, lost_commits: Callable[[bool], None], *, is_done: bool
) -> None:
    staged = await plan(any_database, store, RefUpdate(MAIN, ZERO_OID, A))
    push_id = random_id()
    lost_commits(is_done)
    if is_done:
        outcomes = await land(any_database, staged, push_id=push_id, actor="tester", within=allow)
        assert outcomes == [RefOutcome(MAIN, ZERO_OID, A)]
        assert await refs(any_database, store) == {MAIN: A}
        return
    with pytest.raises(DatabaseAway, match="nothing was changed"):
        await land(any_database, staged, push_id=push_id, actor="tester", within=allow)
    assert await refs(any_database, store) == {}
    # The tombstone stands for the attempt that never happened; a retry of the same job takes its place, and lands once.
    for _ in range(2):
        outcomes = await land(any_database, staged, push_id=push_id, actor="tester", within=allow)
        assert outcomes == [RefOutcome(MAIN, ZERO_OID, A)]
    assert await refs(any_database, store) == {MAIN: A}
    async with any_database.read() as session:
        assert await session.scalar(select(func.count()).where(Push.store_id == store)) == 1


def test_the_folders_of_a_name_are_what_a_file_system_would_make() -> None:
    assert folders_of(b"refs/heads/a/b/c") == [b"refs/heads", b"refs/heads/a", b"refs/heads/a/b"]
