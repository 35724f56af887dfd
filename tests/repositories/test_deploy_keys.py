"""Deploy keys open one repository through git's door, and are nobody's way to anything else."""

import asyncssh
import pytest
from sqlalchemy import select, update
from tests.factories.actors import make_cast
from tests.factories.authentication import make_authentication
from tests.factories.outcomes import act, outcome

from cairn.access.actions import Action
from cairn.audit.models import AuditEntry
from cairn.base.actor import Actor, ActorKind
from cairn.base.errors import CairnError, Forbidden, NotFound
from cairn.db.database import Database
from cairn.identity.authenticate import BadCredentials, refresh_actor
from cairn.identity.credentials import KeyCredential
from cairn.identity.models import SshKey
from cairn.identity.ssh_keys import SshKeyInvalid, add_key
from cairn.repositories import deploy_keys as module
from cairn.repositories.deploy_keys import add_deploy_key, delete_deploy_key, list_deploy_keys, read_deploy_key
from cairn.repositories.git_access import GitDoor
from cairn.repositories.models import Repository

READ, PUSH = Action.REPOSITORY_READ, Action.REPOSITORY_PUSH


def public_key() -> str:
    return asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()


async def test_who_may_see_and_change_deploy_keys(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        made = await add_deploy_key(session, cast.actors["owner"], cast.repository.id, title="", text=public_key())
    may = {"owner", "administrator", "site administrator", "system"}
    hidden = {"anonymous", "stranger", "member", "suspended", "narrow token", "token for another repository",
              "deploy key for another repository", "fine-grained token for another owner"}  # fmt: skip
    text = public_key()
    for name, actor in cast.actors.items():
        wanted: type[CairnError] | None = None if name in may else NotFound if name in hidden else Forbidden
        for tried in (
            act(add_deploy_key, actor, cast.repository.id, title="t", text=text),
            act(list_deploy_keys, actor, cast.repository.id),
            act(read_deploy_key, actor, cast.repository.id, made.id),
            act(delete_deploy_key, actor, cast.repository.id, made.id),
        ):
            assert await outcome(database, tried) is wanted, name


async def test_a_deploy_key_opens_its_repository_until_it_is_deleted(any_database: Database) -> None:
    async with any_database.write() as session:
        cast = await make_cast(session)
        owner, repository_id = cast.actors["owner"], cast.repository.id
        reading = await add_deploy_key(session, owner, repository_id, title="ci", text=public_key())
        writing = await add_deploy_key(session, owner, repository_id, title="cd", text=public_key(), can_write=True)
    parts = make_authentication(any_database)
    door = GitDoor(any_database, parts.authenticator)

    async def answer(fingerprint: str, name: str, action: Action) -> type[CairnError] | Actor:
        try:
            return (await door.resolve("guild", name, KeyCredential(fingerprint), action=action)).actor
        except CairnError as error:
            return type(error)

    for key, push in ((reading, Forbidden), (writing, None)):
        actor = await answer(key.fingerprint, "engine", READ)
        assert isinstance(actor, Actor)
        assert (actor.kind, actor.account_id, actor.label) == (ActorKind.DEPLOY_KEY, None, f"deploy key {key.id}")
        pushed = await answer(key.fingerprint, "engine", PUSH)
        assert isinstance(pushed, Actor) if push is None else pushed is push
        for name in ("other", "absent"):
            assert await answer(key.fingerprint, name, READ) is NotFound
    assert await parts.last_used.flush(any_database) == 2
    async with any_database.write() as session:
        keys = await list_deploy_keys(session, owner, repository_id)
        assert [(key.title, key.can_write, key.added_by) for key in keys] == [
            ("ci", False, "owner"),
            ("cd", True, "owner"),
        ]
        assert all(key.last_used_at is not None for key in keys)
        writer = pushed
        assert isinstance(writer, Actor)
        assert await refresh_actor(session, writer) == writer
        await delete_deploy_key(session, owner, repository_id, writing.id)
        with pytest.raises(BadCredentials):
            await refresh_actor(session, writer)
    assert await answer(writing.fingerprint, "engine", READ) is BadCredentials


async def test_a_key_downgraded_while_its_push_was_on_the_way_is_only_a_reader(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        made = await add_deploy_key(
            session, cast.actors["owner"], cast.repository.id, title="", text=public_key(), can_write=True
        )
    parts = make_authentication(database)
    found = await parts.authenticator.find_key(made.fingerprint)
    async with database.write() as session:
        await session.execute(update(SshKey).values(can_write=False))
        refreshed = await refresh_actor(session, found.actor)
    assert refreshed.deploy_key is not None
    assert not refreshed.deploy_key.can_write


async def test_asking_for_a_key_is_no_use_of_it(database: Database) -> None:
    """A client shows public keys, also other people's, before it signs with one: that must not look like a visit."""
    async with database.write() as session:
        cast = await make_cast(session)
        made = await add_deploy_key(session, cast.actors["owner"], cast.repository.id, title="", text=public_key())
    parts = make_authentication(database)
    found = await parts.authenticator.find_key(made.fingerprint)
    assert await parts.last_used.flush(database) == 0
    parts.authenticator.note_key(found)
    assert await parts.last_used.flush(database) == 1


async def test_one_key_is_never_a_persons_and_a_repositorys(any_database: Database) -> None:
    """Attack: a deploy key that signs its thief in as somebody."""
    async with any_database.write() as session:
        cast = await make_cast(session)
    owner, first, second = cast.actors["owner"], public_key(), public_key()
    async with any_database.write() as session:
        await add_deploy_key(session, owner, cast.repository.id, title="", text=first)
        await add_key(session, owner, cast.accounts["owner"].id, title="", text=second)
    for text in (first, second):
        for repository in (cast.repository, cast.other_repository):
            tried = act(add_deploy_key, owner, repository.id, title="", text=text)
            assert await outcome(any_database, tried) is SshKeyInvalid
        tried = act(add_key, owner, cast.accounts["owner"].id, title="", text=text)
        assert await outcome(any_database, tried) is SshKeyInvalid


async def test_keys_go_with_their_repository_and_are_bounded(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "DEPLOY_KEYS_MAX", 1)
    async with database.write() as session:
        cast = await make_cast(session)
        owner = cast.actors["owner"]
        made = await add_deploy_key(session, owner, cast.repository.id, title="ci", text=public_key())
        with pytest.raises(SshKeyInvalid, match="at most 1"):
            await add_deploy_key(session, owner, cast.repository.id, title="", text=public_key())
        with pytest.raises(NotFound):
            await read_deploy_key(session, owner, cast.other_repository.id, made.id)
        [entry] = await session.scalars(select(AuditEntry).where(AuditEntry.action == "deploy_key.add"))
        assert entry.details == {"fingerprint": made.fingerprint, "title": "ci", "access": "read"}
        await session.delete(await session.get_one(Repository, cast.repository.id))
    async with database.read() as session:
        assert (await session.scalars(select(SshKey.id))).all() == []
