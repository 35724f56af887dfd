"""A change whose pointers name large objects that are not here is refused, by every way to change a ref."""

import base64
from datetime import timedelta
from hashlib import sha256

import pytest
from sqlalchemy import select
from tests.factories.forge import MAIN, Forge, Person
from tests.factories.passing_time import let_pass
from tests.lfs.test_collection import FORTNIGHT, pointer, send

from cairn.base.ids import random_id
from cairn.git.quarantine import Quarantine
from cairn.git.ref_transaction import RefOutcome, RefUpdate
from cairn.git.types import ZERO_OID, Oid, Signature
from cairn.git.writing import File, commit_files
from cairn.lfs.collection import collect_objects
from cairn.lfs.models import LfsObject
from cairn.lfs.objects import Usage
from cairn.repositories.accept_push import make_within
from cairn.repositories.queries import RepositoryView
from cairn.repositories.rules import examine
from cairn.repositories.rules.judge import Verdict
from cairn.repositories.rules.lost_objects import TOLD_MAX, lost_lines
from cairn.repositories.update import RepositoryChange, update_repository

ONE, TWO = b"one large object", b"another"


@pytest.fixture
async def ada(forge: Forge) -> Person:
    return await forge.person("ada")


@pytest.fixture
async def engine(forge: Forge, ada: Person) -> RepositoryView:
    """Her repository, with one commit that has no pointers."""
    return await forge.repository(ada, "engine", files={"README.md": b"# Engine"})


async def change(
    forge: Forge,
    person: Person,
    repository: RepositoryView,
    branches: dict[bytes, dict[str, bytes]],
    verdicts: list[Verdict] | None = None,
) -> dict[bytes, RefOutcome]:
    """Commit files to some branches in one stroke, each begun where main is, and return what came of each."""
    main = await forge.engine.refs.find(repository.store_id, MAIN)
    author = Signature("Ada", "ada@example.test", await forge.database.now())

    async def write(quarantine: Quarantine) -> list[RefUpdate]:
        updates = []
        for branch, files in branches.items():
            here = await forge.engine.refs.find(repository.store_id, branch)
            base = here or main
            made = await commit_files(
                quarantine,
                parents=[base.oid] if base else [],
                changes={path.encode(): File(data) for path, data in files.items()},
                author=author,
                committer=author,
                message="Change",
            )
            updates.append(RefUpdate(branch, here.oid if here else ZERO_OID, made))
        return updates

    state = await forge.engine.state(repository.store_id)
    staged = await forge.engine.stager.stage_written(state, write, is_atomic=False)
    tell = None if verdicts is None else verdicts.append
    within = make_within(person.actor, repository.id, tell=tell)
    outcomes = await forge.engine.land(staged, push_id=random_id(), actor="test", within=within)
    return {outcome.name: outcome for outcome in outcomes}


async def refusal(forge: Forge, person: Person, repository: RepositoryView, files: dict[str, bytes]) -> str:
    """Commit files to main and return why that was refused; empty if it was not."""
    return (await change(forge, person, repository, {MAIN: files}))[MAIN].refusal


async def test_what_is_missing_is_named_with_what_to_do(forge: Forge, ada: Person, engine: RepositoryView) -> None:
    said = await refusal(forge, ada, engine, {"art/cover.psd": pointer(ONE), "b.txt": b"text" * 50})
    assert said == (
        f"Git LFS objects are not here: art/cover.psd ({sha256(ONE).hexdigest()}, 16 bytes); "
        "send them first: git lfs push --all <remote>"
    )
    await send(forge, engine, ada, ONE)
    assert await refusal(forge, ada, engine, {"art/cover.psd": pointer(ONE)}) == ""


async def test_only_the_refs_that_name_it_are_refused(forge: Forge, ada: Person, engine: RepositoryView) -> None:
    await send(forge, engine, ada, ONE)
    verdicts: list[Verdict] = []
    good, bad = b"refs/heads/good", b"refs/heads/bad"
    many = {f"{number}.bin": pointer(bytes([number])) for number in range(TOLD_MAX + 3)}
    found = await change(forge, ada, engine, {good: {"one.bin": pointer(ONE)}, bad: many}, verdicts)
    assert (found[good].refusal, "and 10 more" in found[bad].refusal) == ("", True)
    lines = lost_lines(verdicts[-1].lost_objects)
    assert lines[1] == "refs/heads/bad is refused: its files point to Git LFS objects that are not here:"
    assert len(lines) == TOLD_MAX + 4
    assert lines[-2:] == ["  and 3 more", "  Send them first: git lfs push --all <remote>"]


async def test_an_object_of_another_repository_does_not_count(
    forge: Forge, ada: Person, engine: RepositoryView
) -> None:
    """Attack: learn from a push whether somebody else has an object."""
    grace = await forge.person("grace")
    hers = await forge.repository(grace, "hers")
    await send(forge, hers, grace, ONE)
    assert "not here" in await refusal(forge, ada, engine, {"one.bin": pointer(ONE)})


async def test_a_pointer_with_another_size_is_refused(forge: Forge, ada: Person, engine: RepositoryView) -> None:
    await send(forge, engine, ada, ONE)
    wrong = pointer(ONE).replace(b"size 16", b"size 17")
    assert "17 bytes, where the object has 16" in await refusal(forge, ada, engine, {"one.bin": wrong})


async def test_what_was_there_before_may_name_what_it_likes(forge: Forge, ada: Person, engine: RepositoryView) -> None:
    await forge.commit(ada, engine, {"old.bin": pointer(TWO)}, may_lack_objects=True)
    assert await refusal(forge, ada, engine, {"moved/old.bin": pointer(TWO), "README.md": b"# New"}) == ""
    assert "new.bin" in await refusal(forge, ada, engine, {"new.bin": pointer(ONE)})
    side = b"refs/heads/side"
    assert (await change(forge, ada, engine, {side: {"again.bin": pointer(TWO)}}))[side].refusal == ""


async def test_what_looks_like_a_pointer_and_is_none_passes(forge: Forge, ada: Person, engine: RepositoryView) -> None:
    others = {"a": pointer(ONE)[:-1], "b": pointer(ONE) + b"x" * 2000, "c": pointer(b"")}
    assert await refusal(forge, ada, engine, others) == ""


async def test_many_small_files_are_looked_through(forge: Forge, ada: Person, engine: RepositoryView) -> None:
    files = {f"many/{number}": f"{number}".ljust(200).encode() for number in range(700)}
    assert "z.bin" in await refusal(forge, ada, engine, files | {"z.bin": pointer(ONE)})
    assert await refusal(forge, ada, engine, files) == ""


async def test_a_repository_may_take_what_is_lost(forge: Forge, ada: Person, engine: RepositoryView) -> None:
    async with forge.database.write() as session:
        await update_repository(session, forge.engine, ada.actor, engine.id, RepositoryChange(allows_lost_lfs=True))
    assert await refusal(forge, ada, engine, {"one.bin": pointer(ONE)}) == ""


async def test_what_a_push_under_way_names_is_not_collected(forge: Forge, ada: Person, engine: RepositoryView) -> None:
    """The object is here, unnamed and old, when the push is examined: it stays until the push has landed."""
    oid = await send(forge, engine, ada, ONE)
    await let_pass(forge.database, FORTNIGHT)
    author = Signature("Ada", "ada@example.test", await forge.database.now())
    main = await forge.engine.refs.find(engine.store_id, MAIN)
    assert main is not None

    async def write(quarantine: Quarantine) -> list[RefUpdate]:
        made: Oid = await commit_files(
            quarantine,
            parents=[main.oid],
            changes={b"one.bin": File(pointer(ONE))},
            author=author,
            committer=author,
            message="Name it",
        )
        return [RefUpdate(MAIN, main.oid, made)]

    staged = await forge.engine.stage(engine.store_id, write)
    assert await collect_objects(forge.engine, engine.id) == Usage()
    outcomes = await forge.engine.land(
        staged, push_id=random_id(), actor="test", within=make_within(ada.actor, engine.id)
    )
    assert [outcome.refusal for outcome in outcomes] == [""]
    await let_pass(forge.database, FORTNIGHT + timedelta(days=7))
    assert await collect_objects(forge.engine, engine.id) == Usage()
    async with forge.database.read() as session:
        assert list(await session.scalars(select(LfsObject.oid))) == [oid]


async def test_what_cannot_be_looked_through_in_time_is_refused(
    forge: Forge, ada: Person, engine: RepositoryView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examine, "EXAMINE_SECONDS", 0.0)
    monkeypatch.setattr(examine, "SMALL_FILES_PER_SECOND", 10**9)
    assert "takes more than 0 s" in await refusal(forge, ada, engine, {"small.txt": b"x" * 200})
    assert await refusal(forge, ada, engine, {"large.txt": b"x" * 2000}) == ""


async def test_pages_and_api_say_it_too(forge: Forge, ada: Person, engine: RepositoryView) -> None:
    body = {"message": "Add", "content": base64.b64encode(pointer(ONE)).decode()}
    answer = await forge.api(ada).call("PUT", "/repos/ada/engine/contents/art/cover.psd", json=body)
    assert answer.status_code == 422
    assert "art/cover.psd" in answer.json()["message"]
    page = "/ada/engine/new/main"
    typed = {"path": "cover.psd", "content": pointer(TWO).decode(), "message": "Add"}
    shown = await forge.browser(ada).submit(page, typed, page=page)
    assert "Git LFS objects are not here: cover.psd" in shown.text
    assert sha256(TWO).hexdigest() in shown.text
