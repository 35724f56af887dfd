"""What ordinary pushes meet in a mirror, and what they set off where something follows."""

import pytest
from sqlalchemy import select
from tests.factories.forge import MAIN, Forge, Person
from tests.factories.git_http import GitServer
from tests.factories.importing import refs_of
from tests.factories.mirroring import empty_target, mirror_now

from cairn.base.ids import random_id
from cairn.git.quarantine import Quarantine
from cairn.git.ref_transaction import RefOutcome, RefUpdate
from cairn.git.types import ZERO_OID, Oid, RefName
from cairn.jobs.models import Job, JobState
from cairn.repositories.accept_push import make_within
from cairn.repositories.mirrors.edit import pause_mirror, remove_mirror
from cairn.repositories.mirrors.guard import SYNC_KIND
from cairn.repositories.mirrors.models import MirrorRefs
from cairn.repositories.queries import RepositoryView


async def land(
    forge: Forge, person: Person, repository: RepositoryView, name: RefName, old: str, new: str
) -> list[RefOutcome]:
    async def write(quarantine: Quarantine) -> list[RefUpdate]:
        return [RefUpdate(name, Oid(old), Oid(new))]

    staged = await forge.engine.stage(repository.store_id, write)
    within = make_within(person.actor, repository.id)
    return list(await forge.engine.land(staged, push_id=random_id(), actor="test", within=within))


async def test_a_mirror_takes_no_change_of_its_refs_until_it_is_none_any_more(
    forge: Forge, ada: Person, server: GitServer
) -> None:
    made = await forge.repository(ada, "engine")
    mirror = await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True)
    here = await refs_of(forge, made)
    trunk, old = here["refs/heads/trunk"], here["refs/heads/topic-0"]
    tries = [
        (b"refs/heads/topic-0", old, trunk),
        (b"refs/heads/new", ZERO_OID, trunk),
        (b"refs/tags/v1", trunk, ZERO_OID),
    ]
    for name, before, after in tries:
        [outcome] = await land(forge, ada, made, name, before, after)
        assert outcome.refusal == (
            f"this repository is a mirror of {server.url('r.git')}; change it there, it comes here by itself"
        )
    async with forge.database.write() as session:
        await pause_mirror(session, ada.actor, made.id, mirror.id)
    [outcome] = await land(forge, ada, made, b"refs/heads/paused", ZERO_OID, trunk)
    assert "is a mirror of" in outcome.refusal
    assert await refs_of(forge, made) == here
    async with forge.database.write() as session:
        await remove_mirror(session, ada.actor, made.id, mirror.id)
    [outcome] = await land(forge, ada, made, b"refs/heads/own", ZERO_OID, trunk)
    assert outcome.moved


async def test_every_door_of_the_web_says_the_same(forge: Forge, ada: Person, server: GitServer) -> None:
    made = await forge.repository(ada, "engine")
    await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True)
    here = await refs_of(forge, made)
    said = "this repository is a mirror of"
    ref = {"ref": "refs/heads/new", "sha": here["refs/heads/trunk"]}
    file = {"message": "m", "content": "aGk=", "branch": "trunk"}
    for method, path, body in (
        ("POST", "/repos/ada/engine/git/refs", ref),
        ("PUT", "/repos/ada/engine/contents/new.txt", file),
        ("DELETE", "/repos/ada/engine/git/refs/heads/topic-0", None),
    ):
        answer = await forge.api(ada).call(method, path, json=body)
        assert answer.status_code in {409, 422}, answer.text
        assert said in answer.text
    assert await refs_of(forge, made) == here


@pytest.mark.parametrize(("name", "is_free"), [(b"refs/heads/topic-9", False), (b"refs/heads/mine", True)])
async def test_refs_beside_the_pattern_are_ordinary(
    forge: Forge, ada: Person, server: GitServer, name: bytes, is_free: bool
) -> None:
    made = await forge.repository(ada, "engine", files={"a": b"1"})
    wanted = {"refs": MirrorRefs.PATTERN, "pattern": "topic-*"}
    await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True, **wanted)
    tip = (await refs_of(forge, made))[MAIN.decode()]
    [outcome] = await land(forge, ada, made, name, ZERO_OID, tip)
    assert outcome.moved is is_free


async def test_a_push_asks_for_followers_that_are_not_paused(forge: Forge, ada: Person, server: GitServer) -> None:
    empty_target(server.root)
    made = await forge.repository(ada, "engine", files={"a": b"1"})
    mirror = await mirror_now(forge, ada, made, server.url("copy.git"), is_pull=False)
    other = await forge.repository(ada, "other", files={"a": b"1"})
    await forge.commit(ada, other, {"a": b"2"})
    assert await waiting(forge) == []
    await forge.commit(ada, made, {"a": b"2"})
    assert await waiting(forge) == [{"mirror_id": mirror.id}]
    async with forge.database.write() as session:
        await pause_mirror(session, ada.actor, made.id, mirror.id)
        for job in await session.scalars(select(Job).where(Job.kind == SYNC_KIND, Job.state == JobState.WAITING)):
            await session.delete(job)
    await forge.commit(ada, made, {"a": b"3"})
    assert await waiting(forge) == []


async def waiting(forge: Forge) -> list[dict[str, object]]:
    async with forge.database.read() as session:
        found = select(Job.payload).where(Job.kind == SYNC_KIND, Job.state == JobState.WAITING)
        return list(await session.scalars(found))


async def test_pages_offer_no_change_that_would_be_refused(forge: Forge, ada: Person, server: GitServer) -> None:
    made = await forge.repository(ada, "engine")
    mirror = await mirror_now(forge, ada, made, server.url("r.git"), is_pull=True)
    offered = "/ada/engine/new/trunk"
    assert offered not in (await forge.browser(ada).get("/ada/engine")).text
    async with forge.database.write() as session:
        await remove_mirror(session, ada.actor, made.id, mirror.id)
    assert offered in (await forge.browser(ada).get("/ada/engine")).text
