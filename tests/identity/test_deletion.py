"""Deleting an account: what goes, what stays, and what stops it."""

import asyncio
import builtins
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.authentication import PASSWORD, make_authentication
from tests.factories.organizations import join_organization, make_organization
from tests.identity.test_avatar_images import picture
from tests.identity.test_email_addresses import OUTBOX, SETTINGS

from cairn.access.models import Grant, Organization, OrganizationMember
from cairn.access.roles import OrganizationRole, Role
from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS, Actor
from cairn.base.errors import Conflict, Forbidden, NotFound, Unauthenticated
from cairn.base.settings import Settings
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.identity.accounts import sign_up
from cairn.identity.avatars import delete_if_unused, set_picture
from cairn.identity.deletion import StillOwns, delete_account, sole_organizations
from cairn.identity.invitations import invite
from cairn.identity.models import Account, AccountEmail, AccountKind, OrganizationInvitation, Session, SshKey, Token
from cairn.identity.names import NameTaken
from cairn.identity.organization_members import MemberInvalid, admit
from cairn.identity.organizations import create_organization
from cairn.identity.passwords import Passwords
from cairn.identity.queries import find_account, read_profile
from cairn.identity.rename import rename_account
from cairn.identity.sessions import sign_in
from cairn.identity.tokens import create_token
from cairn.storage.storage import open_storage

AT = datetime(2024, 1, 1, tzinfo=UTC)


class Owned:
    """The repositories of the account, as ``repositories`` would tell."""

    def __init__(self, *names: str) -> None:
        self.rows = list(enumerate(names, 1))

    async def list(self, session: AsyncSession, account_id: int) -> list[tuple[int, str]]:
        return list(self.rows)

    async def delete(self, actor: Actor, repository_id: int) -> None:
        self.rows = [row for row in self.rows if row[0] != repository_id]


async def delete(
    database: Database, actor: Actor, account_id: int, owned: Owned | None = None, *, all_: bool = False
) -> None:
    owned = owned or Owned()
    await delete_account(
        database,
        OUTBOX,
        actor,
        account_id,
        list_repositories=owned.list,
        delete_repository=owned.delete if all_ else None,
    )


async def make(database: Database, login: str, *, is_site_admin: bool = False) -> Account:
    stored = await make_authentication(database).passwords.hash(PASSWORD)
    async with database.write() as session:
        return await make_account(session, login, password_hash=stored, is_site_admin=is_site_admin)


async def test_everything_that_tells_of_the_person_goes(any_database: Database, tmp_path: Path) -> None:
    ada = await make(any_database, "ada")
    actor, storage = actor_of(ada), open_storage(Settings(data_dir=tmp_path))
    avatar_id = await set_picture(any_database, storage, actor, ada.id, picture("PNG"))
    parts = make_authentication(any_database)
    await sign_in(any_database, parts.authenticator, SETTINGS, name="ada", password=PASSWORD, address="", user_agent="")
    async with any_database.write() as session:
        await create_token(session, actor, ada.id, name="laptop", scopes=["repo"])
        session.add(Grant(repository_id=5, account_id=ada.id, role=Role.WRITE, granted_at=AT))
        await session.execute(
            update(Account).values(name="Ada L.", bio="x", website="x", company="x", location="x", pronouns="x")
        )
    await delete(any_database, actor, ada.id)
    async with any_database.read() as session:
        ghost = await session.get_one(Account, ada.id)
        left = {
            kind.__name__: await session.scalar(select(func.count()).select_from(kind))
            for kind in (AccountEmail, Session, Token, SshKey, Grant)
        }
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "account.delete"))
        event = await session.scalar(select(EventRow).where(EventRow.type == "account_deleted"))
        with pytest.raises(NotFound):
            await read_profile(session, ANONYMOUS, "ada")
        with pytest.raises(NotFound):
            await read_profile(session, ANONYMOUS, ghost.login)
    assert set(left.values()) == {0}, left
    assert ghost.login == f"ghost-{ada.id}"
    assert ghost.deleted_at is not None
    assert ghost.suspended_at is not None
    shown = [ghost.name, ghost.bio, ghost.website, ghost.company, ghost.location, ghost.pronouns, ghost.public_email]
    assert (shown, ghost.password_hash, ghost.avatar_id) == ([""] * 7, None, None)
    assert entry is not None
    assert entry.target == "ada"
    assert event is not None
    assert event.payload["account_id"] == ada.id
    await delete_if_unused(any_database, storage, avatar_id)
    assert [found.key async for found in storage.list("avatars")] == []


async def test_nobody_ever_takes_the_name(any_database: Database) -> None:
    ada, mallory = await make(any_database, "ada"), await make(any_database, "mallory")
    await delete(any_database, actor_of(ada), ada.id)
    with pytest.raises(NameTaken):
        await sign_up(any_database, Passwords(), Settings(), login="Ada", email="m@x.test", password="correct horse 1")
    with pytest.raises(NameTaken):
        async with any_database.write() as session:
            await rename_account(session, actor_of(mallory), mallory.id, "ADA")
    # The address is free again: its owner may come back under another name.
    await sign_up(
        any_database, Passwords(), Settings(), login="ada-2", email="ada@example.test", password="correct horse 1"
    )


async def test_an_account_with_repositories_goes_only_with_them(database: Database) -> None:
    ada, owned = await make(database, "ada"), Owned("engine", "notes")
    with pytest.raises(StillOwns, match="2 repositories"):
        await delete(database, actor_of(ada), ada.id, owned)
    async with database.read() as session:
        assert await find_account(session, "ada") is not None
    await delete(database, actor_of(ada), ada.id, owned, all_=True)
    assert owned.rows == []
    async with database.read() as session:
        assert await find_account(session, "ada") is None


async def test_an_organization_is_not_left_without_an_owner(any_database: Database) -> None:
    ada, bob = await make(any_database, "ada"), await make(any_database, "bob")
    async with any_database.write() as session:
        team = Account(login="Stones", login_key="stones", kind=AccountKind.ORGANIZATION, created_at=AT, updated_at=AT)
        session.add(team)
        await session.flush()
        session.add(Organization(account_id=team.id))
        await session.flush()
        for account, role in ((ada, OrganizationRole.OWNER), (bob, OrganizationRole.MEMBER)):
            session.add(OrganizationMember(organization_id=team.id, account_id=account.id, role=role, joined_at=AT))
    with pytest.raises(StillOwns, match="Stones"):
        await delete(any_database, actor_of(ada), ada.id)
    async with any_database.write() as session:
        assert await sole_organizations(session, ada.id) == ["Stones"]
        assert await sole_organizations(session, bob.id) == []
        await session.execute(update(OrganizationMember).values(role=OrganizationRole.OWNER))
    await delete(any_database, actor_of(ada), ada.id)
    async with any_database.read() as session:
        assert (await session.scalars(select(OrganizationMember.account_id))).all() == [bob.id]


class Together(Owned):
    """Has two deletions look at what is left before either writes, where nothing keeps them apart."""

    def __init__(self) -> None:
        super().__init__()
        self.arrived, self.calls = asyncio.Event(), 0

    async def list(self, session: AsyncSession, account_id: int) -> builtins.list[tuple[int, str]]:
        # Each asks twice: before, and in the transaction that deletes, once it has found itself free.
        self.calls += 1
        if self.calls == 4:
            self.arrived.set()
        elif self.calls == 3:
            with suppress(TimeoutError):  # the other one waits for a lock of ours, as it should
                await asyncio.wait_for(self.arrived.wait(), 1)
        return await super().list(session, account_id)


async def test_two_owners_who_go_at_once_leave_one(any_database: Database) -> None:
    ada, bob = await make(any_database, "ada"), await make(any_database, "bob")
    async with any_database.write() as session:
        guild = await make_organization(session, "guild", owner=ada)
        await join_organization(session, guild, bob, OrganizationRole.OWNER)
    owned = Together()
    results = await asyncio.gather(
        *(delete(any_database, actor_of(one), one.id, owned) for one in (ada, bob)), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["NoneType", "StillOwns"]
    async with any_database.read() as session:
        assert len((await session.scalars(select(OrganizationMember.account_id))).all()) == 1


async def test_two_administrators_who_go_at_once_leave_one(any_database: Database) -> None:
    people = [await make(any_database, login, is_site_admin=True) for login in ("root", "second")]
    owned = Together()
    results = await asyncio.gather(
        *(delete(any_database, actor_of(one), one.id, owned) for one in people), return_exceptions=True
    )
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "NoneType"]


class Meanwhile(Owned):
    """Has the person do something else just when nothing more is looked at before the account goes."""

    def __init__(self, act: Callable[[], Coroutine[Any, Any, object]]) -> None:
        super().__init__()
        self.act, self.calls = act, 0
        self.doing: asyncio.Task[object] | None = None

    async def list(self, session: AsyncSession, account_id: int) -> builtins.list[tuple[int, str]]:
        self.calls += 1
        if self.calls == 2:  # in the transaction that deletes
            self.doing = asyncio.create_task(self.act())
            await asyncio.wait({self.doing}, timeout=1)  # it waits for a lock of ours, as it should
        return await super().list(session, account_id)


async def test_who_goes_founds_nothing_meanwhile(any_database: Database) -> None:
    """A request that was let in before: the organization would have a ghost for its only owner."""
    ada = await make(any_database, "ada")

    async def found() -> object:
        async with any_database.write() as session:
            return await create_organization(session, actor_of(ada), login="guild")

    owned = Meanwhile(found)
    await delete(any_database, actor_of(ada), ada.id, owned)
    assert owned.doing is not None
    with pytest.raises(NotFound):
        await owned.doing
    async with any_database.read() as session:
        assert (await session.scalars(select(OrganizationMember))).all() == []
        assert await find_account(session, "guild") is None


async def test_who_goes_is_made_a_member_of_nothing_meanwhile(any_database: Database) -> None:
    ada, bob = await make(any_database, "ada"), await make(any_database, "bob")
    async with any_database.write() as session:
        guild = await make_organization(session, "guild", owner=bob)

    async def join() -> object:
        async with any_database.write() as session:
            return await admit(session, actor_of(bob), guild.id, ada, OrganizationRole.MEMBER)

    owned = Meanwhile(join)
    await delete(any_database, actor_of(ada), ada.id, owned)
    assert owned.doing is not None
    with pytest.raises(NotFound):
        await owned.doing
    async with any_database.read() as session:
        assert (await session.scalars(select(OrganizationMember.account_id))).all() == [bob.id]


async def test_who_goes_is_invited_to_nothing_meanwhile(any_database: Database) -> None:
    ada, bob = await make(any_database, "ada"), await make(any_database, "bob")
    async with any_database.write() as session:
        guild = await make_organization(session, "guild", owner=bob)

    async def ask() -> object:
        async with any_database.write() as session:
            return await invite(session, OUTBOX, actor_of(bob), guild.id, "ada")

    owned = Meanwhile(ask)
    await delete(any_database, actor_of(ada), ada.id, owned)
    assert owned.doing is not None
    with pytest.raises((NotFound, MemberInvalid)):
        await owned.doing
    async with any_database.read() as session:
        assert (await session.scalars(select(OrganizationInvitation))).all() == []


async def test_what_is_founded_first_keeps_its_owner(any_database: Database) -> None:
    ada = await make(any_database, "ada")
    async with any_database.write() as session:
        await create_organization(session, actor_of(ada), login="guild")
        going = asyncio.create_task(delete(any_database, actor_of(ada), ada.id))
        await asyncio.wait({going}, timeout=1)
        assert not going.done()
    with pytest.raises((StillOwns, Conflict)):
        await going
    async with any_database.read() as session:
        assert await find_account(session, "ada") is not None


async def test_a_suspended_owner_is_none_who_could_go_on(database: Database) -> None:
    ada, bob = await make(database, "ada"), await make(database, "bob")
    async with database.write() as session:
        guild = await make_organization(session, "guild", owner=ada)
        await join_organization(session, guild, bob, OrganizationRole.OWNER)
        await session.execute(update(Account).where(Account.id == bob.id).values(suspended_at=AT))
    with pytest.raises(StillOwns, match="guild"):
        await delete(database, actor_of(ada), ada.id)


async def test_the_last_administrator_stays(database: Database) -> None:
    root = await make(database, "root", is_site_admin=True)
    with pytest.raises(Conflict, match="only administrator"):
        await delete(database, actor_of(root), root.id)
    await make(database, "second", is_site_admin=True)
    await delete(database, actor_of(root), root.id)


async def test_only_the_owner_at_the_keyboard_and_administrators_may(database: Database) -> None:
    ada, bob = await make(database, "ada"), await make(database, "bob")
    for actor, error in [
        (ANONYMOUS, Unauthenticated),
        (actor_of(bob), Forbidden),
        (with_token(actor_of(ada), "user", "repo", "delete_repo"), Forbidden),
    ]:
        with pytest.raises(error):
            await delete(database, actor, ada.id)
    root = await make(database, "root", is_site_admin=True)
    await delete(database, actor_of(root), ada.id)
    async with database.write() as session:
        at = await database_now(session)
        deleted_at = await session.scalar(select(Account.deleted_at).where(Account.id == ada.id))
    assert deleted_at is not None
    assert deleted_at <= at
