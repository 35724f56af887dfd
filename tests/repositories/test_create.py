"""Creating repositories: names, rights, the README, what the rest of Cairn hears."""

import asyncio
from typing import Any

import pygit2
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import actor_of, make_account, verify_address, with_token
from tests.factories.actors import fine_grained
from tests.factories.forge import Forge
from tests.factories.organizations import join_organization, make_organization
from tests.identity.test_email_addresses import OUTBOX

from cairn.access.models import Organization
from cairn.access.roles import Role, Visibility
from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS, SYSTEM, Actor
from cairn.base.errors import CairnError, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.git.engine import Engine
from cairn.git.models import Ref, Store
from cairn.identity.deletion import StillOwns, delete_account
from cairn.identity.organizations import OrganizationNotEmpty, create_organization, delete_organization
from cairn.repositories.create import NewRepository, RepositoryExists, create_repository, insert_repository
from cairn.repositories.lists import list_owned
from cairn.repositories.models import Repository, RepositoryRename
from cairn.repositories.queries import RepositoryView, find_repository
from cairn.repositories.rules.edit import create_organization_ruleset
from cairn.repositories.rules.types import Conditions, Enforcement, RefNames, RulesetContent, Signatures


async def person(database: Database, login: str = "alice") -> Actor:
    async with database.write() as session:
        return actor_of(await make_account(session, login))


async def count(database: Database, table: type) -> int:
    async with database.read() as session:
        return int(await session.scalar(select(func.count()).select_from(table)) or 0)


async def test_a_new_repository_is_empty_and_its_owner_administers_it(database: Database, engine: Engine) -> None:
    alice = await person(database)
    wanted = NewRepository(
        name="Engine", visibility=Visibility.PRIVATE, description=" An engine ", homepage="https://x.test"
    )
    made = await create_repository(database, engine, alice, wanted)
    assert (made.full_name, made.default_branch, made.role) == ("alice/Engine", "main", Role.ADMIN)
    assert (made.description, made.homepage, made.pushed_at) == ("An engine", "https://x.test", None)
    assert made.is_private
    assert await count(database, Ref) == 0
    async with database.read() as session:
        assert await find_repository(session, alice, "ALICE", "engine") == made
        with pytest.raises(NotFound):
            await find_repository(session, ANONYMOUS, "alice", "engine")
        [event] = await session.scalars(select(EventRow))
        [entry] = await session.scalars(select(AuditEntry))
    assert event.type == "repository_created"
    assert event.repository_id == made.id
    assert event.payload["full_name"] == "alice/Engine"
    assert (entry.action, entry.target, entry.repository_id) == ("repository.create", "alice/Engine", made.id)


async def test_a_readme_is_a_commit_of_the_owner_on_the_default_branch(database: Database, engine: Engine) -> None:
    alice = await person(database)
    wanted = NewRepository(name="engine", description="An *engine*", default_branch="trunk", with_readme=True)
    made = await create_repository(database, engine, alice, wanted)
    assert made.pushed_at is not None
    async with database.read() as session:
        [ref] = await session.scalars(select(Ref))
        [created, pushed] = await session.scalars(select(EventRow).order_by(EventRow.id))
    assert ref.name == b"refs/heads/trunk"
    assert (created.type, pushed.type) == ("repository_created", "pushed")
    payload: dict[str, Any] = pushed.payload
    assert (payload["ref"], payload["old_oid"], payload["new_oid"]) == ("refs/heads/trunk", "0" * 40, ref.oid)
    state = await engine.state(made.store_id)
    address = f"{alice.account_id}+alice@users.noreply.127.0.0.1"
    async with engine.view(state) as view:
        assert await readme(view, ref.oid, email=address) == b"# engine\n\nAn *engine*\n"


async def test_a_readme_s_author_has_a_verified_address(database: Database, engine: Engine) -> None:
    async with database.write() as session:
        alice = await make_account(session, "alice")
        await verify_address(session, alice)
    made = await create_repository(database, engine, actor_of(alice), NewRepository(name="engine", with_readme=True))
    async with database.read() as session:
        [ref] = await session.scalars(select(Ref))
    async with engine.view(await engine.state(made.store_id)) as view:
        assert await readme(view, ref.oid, email="alice@example.test") == b"# engine\n"


async def readme(view: Any, commit: str, *, email: str) -> bytes:
    repository = pygit2.Repository(str(view.path))
    found: Any = repository[commit]
    assert (found.author.name, found.author.email) == ("alice", email)
    data: bytes = (found.tree / "README.md").data
    return data


async def test_a_readme_that_cannot_be_written_leaves_an_empty_repository_and_says_so(
    database: Database, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await person(database)

    async def failing(*_: object, **__: object) -> None:
        raise Unavailable("The object store does not answer.")

    monkeypatch.setattr(Engine, "stage", failing)
    with pytest.raises(Unavailable, match=r"alice/engine was created, but its first commit .* does not answer"):
        await create_repository(database, engine, alice, NewRepository(name="engine", with_readme=True))
    assert await count(database, Repository) == 1


async def test_a_first_commit_that_a_rule_refuses_is_told_with_the_reason(database: Database, engine: Engine) -> None:
    async with database.write() as session:
        olga = await make_account(session, "olga")
        mills = await make_organization(session, "mills", owner=olga)
        content = RulesetContent(
            name="Signed",
            enforcement=Enforcement.ACTIVE,
            conditions=Conditions(RefNames(include=("~ALL",))),
            rules=(Signatures(),),
        )
        await create_organization_ruleset(session, actor_of(olga), mills.id, content)
    wanted = NewRepository(name="engine", owner="mills", with_readme=True)
    with pytest.raises(Unavailable, match="ruleset 'Signed', required_signatures"):
        await create_repository(database, engine, actor_of(olga), wanted)
    async with database.read() as session:
        made = await find_repository(session, actor_of(olga), "mills", "engine")
    assert not (await engine.snapshot(await engine.state(made.store_id))).refs


@pytest.mark.parametrize("name", ["engine", "ENGINE"])
async def test_a_name_is_unique_under_its_owner_without_case(database: Database, engine: Engine, name: str) -> None:
    alice, bob = await person(database), await person(database, "bob")
    await create_repository(database, engine, alice, NewRepository(name="Engine"))
    with pytest.raises(RepositoryExists) as refused:
        await create_repository(database, engine, alice, NewRepository(name=name))
    assert refused.value.problems[0].code == "already_exists"
    await create_repository(database, engine, bob, NewRepository(name=name))
    assert await count(database, Store) == 2


async def test_of_two_creations_of_one_name_at_once_one_wins(database: Database, engine: Engine) -> None:
    alice = await person(database)
    results = await asyncio.gather(
        *(create_repository(database, engine, alice, NewRepository(name="engine")) for _ in range(3)),
        return_exceptions=True,
    )
    assert sum(isinstance(result, RepositoryExists) for result in results) == 2
    assert await count(database, Repository) == 1
    assert await count(database, Store) == 1


@pytest.mark.parametrize(
    "wanted",
    [
        NewRepository(name="a/b"),
        NewRepository(name="a", description="x" * 1001),
        NewRepository(name="a", description="two\nlines"),
        NewRepository(name="a", description="\ud800"),
        NewRepository(name="a", default_branch="\ud800"),
        NewRepository(name="\ud800"),
        NewRepository(name="a", homepage="javascript:alert(1)"),
        NewRepository(name="a", default_branch=".."),
        NewRepository(name="a", default_branch=""),
        NewRepository(name="a", default_branch="x" * 300),
    ],
)
async def test_bad_input_is_refused_and_nothing_stored(
    database: Database, engine: Engine, wanted: NewRepository
) -> None:
    """Attack: a homepage that runs a script for whoever follows it."""
    alice = await person(database)
    with pytest.raises(Invalid):
        await create_repository(database, engine, alice, wanted)
    assert await count(database, Repository) == 0
    assert await count(database, Store) == 0


async def test_who_may_create(database: Database, engine: Engine) -> None:
    alice = await person(database)
    private = NewRepository(name="private", visibility=Visibility.PRIVATE)
    for actor in (ANONYMOUS, SYSTEM):
        with pytest.raises(Unauthenticated):
            await create_repository(database, engine, actor, private)
    for narrow in (
        with_token(alice),
        with_token(alice, "gist"),
        with_token(alice, "public_repo"),
        with_token(alice, "repo", repository_ids=frozenset({1})),
    ):
        with pytest.raises(Forbidden):
            await create_repository(database, engine, narrow, private)
    assert await count(database, Repository) == 0
    await create_repository(database, engine, with_token(alice, "public_repo"), NewRepository(name="public"))
    await create_repository(database, engine, with_token(alice, "repo"), private)


async def test_a_new_repository_takes_its_name_back_from_a_redirect(database: Database, engine: Engine) -> None:
    alice = await person(database)
    other = await create_repository(database, engine, alice, NewRepository(name="other"))
    async with database.write() as session:
        session.add(RepositoryRename(owner_id=alice.account_id, name_key="engine", repository_id=other.id))
    made = await create_repository(database, engine, alice, NewRepository(name="engine"))
    assert await count(database, RepositoryRename) == 0
    async with database.read() as session:
        assert (await find_repository(session, alice, "alice", "engine")).id == made.id


async def test_who_may_create_a_repository_in_an_organization(forge: Forge) -> None:
    """A member who makes one administers it; the organization's policy and the token decide whether they may."""
    ada, bob, eve = [await forge.person(login) for login in ("ada", "bob", "eve")]
    async with forge.database.write() as session:
        guild = await make_organization(session, "guild", owner=ada.account)
        await join_organization(session, guild, bob.account)

    async def tried(actor: Actor, name: str, visibility: Visibility = Visibility.PRIVATE) -> object:
        wanted = NewRepository(name=name, visibility=visibility, owner="Guild")
        try:
            made = await create_repository(forge.database, forge.engine, actor, wanted)
        except CairnError as error:
            return type(error)
        return made.full_name, made.role

    assert await tried(ada.actor, "one") == ("guild/one", Role.ADMIN)
    assert await tried(bob.actor, "two") == ("guild/two", Role.ADMIN)
    assert await tried(bob.actor, "One") is RepositoryExists
    assert await tried(eve.actor, "three") is Forbidden
    assert await tried(with_token(bob.actor, "repo"), "four") == ("guild/four", Role.ADMIN)
    assert await tried(with_token(bob.actor, "public_repo"), "five") is Forbidden
    assert await tried(with_token(bob.actor, "public_repo"), "six", Visibility.PUBLIC) == ("guild/six", Role.ADMIN)
    fine = fine_grained(bob.actor, guild.id, administration="write")
    assert await tried(fine, "seven") == ("guild/seven", Role.ADMIN)
    assert await tried(fine_grained(bob.actor, bob.account.id, administration="write"), "eight") is Forbidden
    async with forge.database.write() as session:
        (await session.get_one(Organization, guild.id)).members_can_create_repositories = False
    assert await tried(bob.actor, "nine") is Forbidden
    assert await tried(ada.actor, "ten") == ("guild/ten", Role.ADMIN)
    wanted = NewRepository(name="eleven", owner="nobody")
    with pytest.raises(NotFound):
        await create_repository(forge.database, forge.engine, ada.actor, wanted)


async def test_an_account_that_goes_gets_no_repository_meanwhile(database: Database, engine: Engine) -> None:
    """A request that was let in before the account was deleted: the repository would belong to a ghost."""
    alice = await person(database)
    assert alice.account_id is not None
    making: list[asyncio.Task[RepositoryView]] = []
    calls: list[int] = []

    async def owned(session: AsyncSession, account_id: int) -> list[tuple[int, str]]:
        if calls:  # the second time is in the transaction that deletes
            making.append(asyncio.create_task(create_repository(database, engine, alice, NewRepository(name="late"))))
            await asyncio.wait(making, timeout=1)  # it waits for the account's row, as it should
        calls.append(account_id)
        return await list_owned(session, account_id)

    await delete_account(database, OUTBOX, alice, alice.account_id, list_repositories=owned)
    with pytest.raises(NotFound):
        await making[0]
    assert await count(database, Repository) == 0


async def test_an_account_with_a_repository_of_the_same_moment_stays(database: Database, engine: Engine) -> None:
    alice = await person(database)
    assert alice.account_id is not None
    async with database.write() as session:
        await insert_repository(session, engine, alice, alice.account_id, NewRepository(name="late"))
        going = asyncio.create_task(
            delete_account(database, OUTBOX, alice, alice.account_id, list_repositories=list_owned)
        )
        await asyncio.wait({going}, timeout=1)
        assert not going.done()
    with pytest.raises(StillOwns, match="late"):
        await going
    assert await count(database, Repository) == 1


async def test_an_organization_with_a_repository_of_the_same_moment_stays(database: Database, engine: Engine) -> None:
    alice = await person(database)
    async with database.write() as session:
        guild = await create_organization(session, alice, login="guild")

    async def delete() -> None:
        async with database.write() as session:
            await delete_organization(session, alice, guild.id)

    async with database.write() as session:
        await insert_repository(session, engine, alice, guild.id, NewRepository(name="late"))
        going = asyncio.create_task(delete())
        await asyncio.wait({going}, timeout=1)
        assert not going.done()
    with pytest.raises(OrganizationNotEmpty):
        await going
    assert await count(database, Repository) == 1
