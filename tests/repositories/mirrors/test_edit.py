"""Making, changing and ending mirrors: who may, what is refused, and where a password never goes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer
from tests.factories.importing import open_reaching_forge, refs_of
from tests.factories.mirroring import mirror_of, sync_due
from tests.factories.work import do_what_is_due

from cairn.access.roles import Role
from cairn.base.actor import ANONYMOUS
from cairn.base.errors import Forbidden, Invalid, NotFound, Unauthenticated
from cairn.egress.door import AddressRefused
from cairn.repositories.create import NewRepository
from cairn.repositories.imports.credentials import Credentials, open_credentials
from cairn.repositories.imports.start import NotEmpty, Wanted, import_new, retry_import, start_import
from cairn.repositories.mirrors.edit import (
    INTERVALS,
    MirrorExists,
    MirrorIdle,
    MirrorMissing,
    MirrorsOff,
    WantedMirror,
    change_mirror,
    find_pull_mirror,
    intervals,
    list_mirrors,
    make_mirror,
    pause_mirror,
    read_mirror,
    remove_mirror,
    resume_mirror,
    sync_now,
    usual_interval,
)
from cairn.repositories.mirrors.models import PUSH_MIRRORS_MAX, TABLE, Mirror, MirrorRefs, MirrorState
from cairn.repositories.queries import RepositoryView

URL = "http://127.0.0.1:9/r.git"


@pytest.fixture
async def made(forge: Forge, ada: Person) -> RepositoryView:
    return await forge.repository(ada, "engine")


async def make(
    forge: Forge, person: Person, made: RepositoryView, url: str = URL, *, is_pull: bool = True, **options: Any
) -> Mirror:
    wanted = WantedMirror(url=url, **options)
    async with forge.database.write() as session:
        return await make_mirror(session, forge.engine.settings, person.actor, made.id, wanted, is_pull=is_pull)


def credentials_of(forge: Forge, mirror: Mirror) -> Credentials:
    return open_credentials(forge.engine.settings, TABLE, mirror.id, mirror.sealed)


async def test_only_administrators_have_to_do_with_mirrors(forge: Forge, ada: Person, made: RepositoryView) -> None:
    mirror = await make(forge, ada, made)
    maintainer, stranger = await forge.person("mia"), await forge.person("eve")
    await forge.grant(made, maintainer, Role.MAINTAIN)
    settings, wanted = forge.engine.settings, WantedMirror(url=URL)
    for actor in (maintainer.actor, stranger.actor, ANONYMOUS):
        with pytest.raises((Forbidden, NotFound, Unauthenticated)):
            async with forge.database.write() as session:
                await make_mirror(session, settings, actor, made.id, wanted, is_pull=False)
        for act in (pause_mirror, remove_mirror):
            with pytest.raises((Forbidden, NotFound, Unauthenticated)):
                async with forge.database.write() as session:
                    await act(session, actor, made.id, mirror.id)
        for also in (sync_now, resume_mirror):
            with pytest.raises((Forbidden, NotFound, Unauthenticated)):
                async with forge.database.write() as session:
                    await also(session, settings, actor, made.id, mirror.id)
        with pytest.raises((Forbidden, NotFound, Unauthenticated)):
            async with forge.database.write() as session:
                await change_mirror(session, settings, actor, made.id, mirror.id, wanted)
    assert (await mirror_of(forge, mirror.id)).state is MirrorState.ACTIVE


async def test_a_repository_follows_one_and_is_followed_by_a_few(
    forge: Forge, ada: Person, made: RepositoryView
) -> None:
    first = await make(forge, ada, made)
    with pytest.raises(MirrorExists):
        await make(forge, ada, made, "http://127.0.0.1:9/other.git")
    with pytest.raises(MirrorExists):
        await make(forge, ada, made, is_pull=False)
    followers = [await make(forge, ada, made, f"{URL}-{n}", is_pull=False) for n in range(PUSH_MIRRORS_MAX)]
    with pytest.raises(MirrorExists, match=str(PUSH_MIRRORS_MAX)):
        await make(forge, ada, made, f"{URL}-more", is_pull=False)
    with pytest.raises(MirrorExists):
        await make(forge, ada, made, f"{URL}-0", is_pull=False)
    async with forge.database.write() as session:
        await remove_mirror(session, ada.actor, made.id, followers[1].id)
    again = await make(forge, ada, made, f"{URL}-more", is_pull=False)
    async with forge.database.read() as session:
        found = await list_mirrors(session, made.id)
        assert (await find_pull_mirror(session, made.id)) in found
        with pytest.raises(MirrorMissing):
            await read_mirror(session, made.id, followers[1].id)
    assert [one.id for one in found] == [
        first.id, followers[0].id, again.id, *(one.id for one in followers[2:])
    ]  # fmt: skip


async def test_another_address_never_gets_the_password_of_the_first(
    forge: Forge, ada: Person, made: RepositoryView
) -> None:
    """The attack: an administrator who does not know the password points the mirror to a server of their own."""
    mirror = await make(forge, ada, made, credentials=Credentials("bot", "s3cret"))
    eve = await forge.person("eve")
    await forge.grant(made, eve, Role.ADMIN)
    settings = forge.engine.settings

    async def change(person: Person, **options: object) -> Mirror:
        wanted = WantedMirror(**{"url": URL, **options})  # type: ignore[arg-type]
        async with forge.database.write() as session:
            return await change_mirror(session, settings, person.actor, made.id, mirror.id, wanted)

    kept = await change(eve, interval_minutes=180)
    assert (credentials_of(forge, kept), kept.account_id) == (Credentials("bot", "s3cret"), eve.account.id)
    moved = await change(eve, url="http://127.0.0.1:9/eve.git")
    assert (moved.sealed, credentials_of(forge, moved)) == (None, Credentials())
    back = await change(eve)
    assert back.sealed is None
    given = await change(ada, credentials=Credentials("bot", "new"))
    assert credentials_of(forge, given) == Credentials("bot", "new")
    assert (await change(ada, credentials=Credentials())).sealed is None


@pytest.mark.parametrize(
    "url",
    [
        "ssh://host.example/r.git",
        "ssh://git:word@host.example/r.git",
        "host.example:team/r.git",
        "git+ssh://host.example/r",
    ],
)
async def test_what_is_no_address_for_ssh_is_refused(forge: Forge, ada: Person, made: RepositoryView, url: str) -> None:
    with pytest.raises(AddressRefused):
        await make(forge, ada, made, url)


async def test_a_password_for_ssh_is_refused_rather_than_ignored(
    forge: Forge, ada: Person, made: RepositoryView
) -> None:
    with pytest.raises(Invalid, match="no user and password"):
        await make(forge, ada, made, "git@host.example:r.git", credentials=Credentials("ada", "s3cret"))


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("file:///etc", {}),
        ("http://user:pass@127.0.0.1/r.git", {}),
        (URL, {"interval_minutes": 7}),
        (URL, {"interval_minutes": 0}),
        (URL, {"refs": MirrorRefs.PATTERN, "pattern": ""}),
    ],
)
async def test_what_makes_no_sense_is_refused(
    forge: Forge, ada: Person, made: RepositoryView, url: str, options: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        await make(forge, ada, made, url, **options)
    async with forge.database.read() as session:
        assert await list_mirrors(session, made.id) == []


async def test_a_paused_mirror_is_not_synced_and_resumes_at_once(
    forge: Forge, ada: Person, made: RepositoryView, server: GitServer
) -> None:
    mirror = await make(forge, ada, made, server.url("r.git"))
    settings = forge.engine.settings
    async with forge.database.write() as session:
        await pause_mirror(session, ada.actor, made.id, mirror.id)
        with pytest.raises(MirrorIdle):
            await sync_now(session, settings, ada.actor, made.id, mirror.id)
    await sync_due(forge)
    assert server.requests == []
    async with forge.database.write() as session:
        await resume_mirror(session, settings, ada.actor, made.id, mirror.id)
    await do_what_is_due(forge.engine)
    assert (await mirror_of(forge, mirror.id)).synced_at is not None


async def test_saving_starts_what_stopped_by_itself_and_not_what_somebody_paused(
    forge: Forge, ada: Person, made: RepositoryView, server: GitServer
) -> None:
    mirror, settings = await make(forge, ada, made, server.url("r.git")), forge.engine.settings
    for state, after in ((MirrorState.PAUSED, MirrorState.PAUSED), (MirrorState.FAILED, MirrorState.ACTIVE)):
        async with forge.database.write() as session:
            await session.execute(update(Mirror).values(state=state, failures=10, failure="The server is away."))
        async with forge.database.write() as session:
            wanted = WantedMirror(url=mirror.url)
            saved = await change_mirror(session, settings, ada.actor, made.id, mirror.id, wanted)
            assert (saved.state, saved.failures, saved.failure) == (after, 0, "")
    await sync_due(forge)
    assert (await mirror_of(forge, mirror.id)).synced_at is not None


async def test_an_import_that_is_to_be_kept_in_step_is_a_mirror(forge: Forge, ada: Person, server: GitServer) -> None:
    server.credentials = "bot:s3cret"
    wanted = Wanted(url=server.url("r.git"), credentials=Credentials("bot", "s3cret"))
    new = NewRepository(name="kept")
    made = await import_new(forge.database, forge.engine, ada.actor, new, wanted, follows=True)
    await sync_due(forge)  # the import comes first
    async with forge.database.read() as session:
        mirror = await find_pull_mirror(session, made.id)
    assert mirror is not None
    assert mirror.synced_at is None
    await sync_due(forge)
    mirror = await mirror_of(forge, mirror.id)
    assert (mirror.failure, mirror.synced_at is None, mirror.moved_count) == ("", False, 0)
    assert len(await refs_of(forge, made)) == 4
    facts = (await forge.api(ada).get("/repos/ada/kept")).json()
    assert facts["mirror_url"] == server.url("r.git")
    with pytest.raises(NotEmpty, match="is a mirror of"):
        async with forge.database.write() as session:
            await start_import(session, forge.engine.settings, ada.actor, made.id, Wanted(url=URL))
    async with forge.database.write() as session:
        await remove_mirror(session, ada.actor, made.id, mirror.id)
    assert (await forge.api(ada).get("/repos/ada/kept")).json()["mirror_url"] is None


async def test_an_import_of_something_else_keeps_a_mirror_waiting(
    forge: Forge, ada: Person, made: RepositoryView
) -> None:
    """The attack: an import lands where pushes to a mirror are refused, so it must be of the mirror's own source."""
    async with forge.database.write() as session:
        await start_import(session, forge.engine.settings, ada.actor, made.id, Wanted(url=f"{URL}-other"))
    with pytest.raises(MirrorExists, match="import"):
        await make(forge, ada, made)
    await make(forge, ada, made, f"{URL}-other")


async def test_credentials_given_to_an_import_anew_serve_its_mirror_too(
    forge: Forge, ada: Person, server: GitServer
) -> None:
    server.credentials = "bot:right"
    wanted = Wanted(url=server.url("r.git"), credentials=Credentials("bot", "wrong"))
    new = NewRepository(name="kept")
    made = await import_new(forge.database, forge.engine, ada.actor, new, wanted, follows=True)
    await do_what_is_due(forge.engine)
    async with forge.database.write() as session:
        right = Credentials("bot", "right")
        await retry_import(session, forge.engine.settings, ada.actor, made.id, right)
    await do_what_is_due(forge.engine)
    await sync_due(forge)
    async with forge.database.read() as session:
        mirror = await find_pull_mirror(session, made.id)
    assert mirror is not None
    assert (mirror.failure, credentials_of(forge, mirror)) == ("", right)


@pytest.fixture
async def closed(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Forge]:
    async with open_reaching_forge(tmp_path / "closed", sqlite_template, mirrors="off") as opened:
        yield opened


async def test_switched_off_nothing_is_made_and_what_is_there_can_be_ended(closed: Forge) -> None:
    ada = await closed.person("ada")
    made = await closed.repository(ada, "engine")
    with pytest.raises(MirrorsOff):
        await make(closed, ada, made)
    new = NewRepository(name="kept")
    with pytest.raises(MirrorsOff):
        await import_new(closed.database, closed.engine, ada.actor, new, Wanted(url=URL), follows=True)
    assert (await closed.api(ada).get("/repos/ada/kept")).status_code == 404
    await sync_due(closed)


async def test_the_operator_says_how_often_at_most(tmp_path: Path, sqlite_template: Path) -> None:
    async with open_reaching_forge(tmp_path / "slow", sqlite_template, mirror_minutes_min=90) as slow:
        assert intervals(slow.engine.settings) == [180, 480, 1440, 10080]
        assert usual_interval(slow.engine.settings) == 180
        ada = await slow.person("ada")
        made = await slow.repository(ada, "engine")
        with pytest.raises(Invalid):
            await make(slow, ada, made, interval_minutes=60)
    assert INTERVALS[0] == 10


async def test_a_forked_or_copied_mirror_is_none(
    forge: Forge, ada: Person, made: RepositoryView, server: GitServer
) -> None:
    await make(forge, ada, made, server.url("r.git"))
    await sync_due(forge)
    ben = await forge.person("ben")
    answer = await forge.api(ben).call("POST", "/repos/ada/engine/forks", json={})
    assert answer.status_code == 202
    await do_what_is_due(forge.engine)
    facts = (await forge.api(ben).get("/repos/ben/engine")).json()
    assert (facts["fork"], facts["mirror_url"]) == (True, None)
