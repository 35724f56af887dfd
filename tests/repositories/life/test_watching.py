"""Watching: the levels, who counts, who may, and the lists."""

import pytest
from tests.factories.accounts import actor_of, make_account
from tests.factories.repositories import make_repository

from cairn.access.roles import Visibility
from cairn.base.actor import ANONYMOUS
from cairn.base.errors import Invalid, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.repositories.life import watching
from cairn.repositories.life.models import WatchLevel, WatchSubject
from cairn.repositories.life.watching import (
    TooManyWatched,
    forget_watches,
    list_watched,
    list_watchers,
    read_watch,
    set_watch,
)
from cairn.repositories.queries import find_repository_by_id


async def test_levels_and_who_counts_as_a_watcher(database: Database) -> None:
    async with database.write() as session:
        alice, bob = await make_account(session, "alice"), await make_account(session, "bob")
        made = await make_repository(session, alice)
    counts: list[tuple[str, int]] = []
    steps = [
        (WatchLevel.ALL, ()),
        (WatchLevel.CUSTOM, (WatchSubject.RELEASES, WatchSubject.ISSUES)),
        (WatchLevel.IGNORE, ()),
        (WatchLevel.PARTICIPATING, ()),
        (WatchLevel.PARTICIPATING, ()),
    ]
    for level, subjects in steps:
        async with database.write() as session:
            await set_watch(session, actor_of(bob), made.id, level, subjects)
        async with database.read() as session:
            found = await find_repository_by_id(session, actor_of(bob), made.id)
            row = await read_watch(session, actor_of(bob), made.id)
            assert found.watch_level is level
            counts.append(("" if row is None else row.subjects, found.watchers_count))
            watchers = await list_watchers(session, found, page=1, per_page=10)
            assert len(watchers) == found.watchers_count
    assert counts == [("", 1), ("issues releases", 1), ("", 0), ("", 0), ("", 0)]


async def test_what_is_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async with database.write() as session:
        alice, bob = await make_account(session, "alice"), await make_account(session, "bob")
        made = await make_repository(session, alice)
        hidden = await make_repository(session, alice, visibility=Visibility.PRIVATE)
    for actor, repository, level, error in (
        (ANONYMOUS, made, WatchLevel.ALL, Unauthenticated),
        (actor_of(bob), hidden, WatchLevel.ALL, NotFound),
        (actor_of(bob), made, WatchLevel.CUSTOM, Invalid),
    ):
        with pytest.raises(error):
            async with database.write() as session:
                await set_watch(session, actor, repository.id, level)
    monkeypatch.setattr(watching, "WATCHED_MAX", 0)
    with pytest.raises(TooManyWatched):
        async with database.write() as session:
            await set_watch(session, actor_of(bob), made.id, WatchLevel.ALL)


async def test_lists_show_what_their_reader_may_see_and_end_with_the_account(database: Database) -> None:
    async with database.write() as session:
        alice = await make_account(session, "alice")
        open_ = await make_repository(session, alice)
        hidden = await make_repository(session, alice, visibility=Visibility.PRIVATE)
        quiet = await make_repository(session, alice)
        for one, level in ((open_, WatchLevel.ALL), (hidden, WatchLevel.ALL), (quiet, WatchLevel.IGNORE)):
            await set_watch(session, actor_of(alice), one.id, level)
    async with database.read() as session:
        own = await list_watched(session, actor_of(alice), alice.id, page=1, per_page=10)
        others = await list_watched(session, ANONYMOUS, alice.id, page=1, per_page=10)
    assert {one.id for one in own} == {open_.id, hidden.id}
    assert [one.id for one in others] == [open_.id]
    async with database.write() as session:
        assert await forget_watches(session, alice.id, limit=10) == 3
    async with database.read() as session:
        assert (await find_repository_by_id(session, ANONYMOUS, open_.id)).watchers_count == 0
