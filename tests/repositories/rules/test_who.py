"""Who is meant by a bypass list, as of now: removing somebody counts at once."""

import pytest
from sqlalchemy import delete
from tests.factories.accounts import actor_of, make_account
from tests.factories.organizations import join_organization, join_team, make_organization, make_team
from tests.factories.repositories import grant, make_repository

from cairn.access.models import TeamMember
from cairn.access.roles import Role
from cairn.base.actor import ANONYMOUS, SYSTEM, Actor, ActorKind, DeployKey
from cairn.db.database import Database
from cairn.repositories.queries import load_scope
from cairn.repositories.rules.types import BypassActor, BypassKind, BypassMode
from cairn.repositories.rules.who import Who


async def test_each_kind_means_whom_it_names(database: Database) -> None:
    async with database.write() as session:
        olga, mia, bob = [await make_account(session, login) for login in ("olga", "mia", "bob")]
        root = await make_account(session, "root", is_site_admin=True)
        mills = await make_organization(session, "mills", owner=olga)
        await join_organization(session, mills, mia)
        core = await make_team(session, mills, "core")
        child = await make_team(session, mills, "child", parent=core)
        await join_team(session, child, mia)
        made = await make_repository(session, mills, "mill")
        await grant(session, made, mia, Role.MAINTAIN)
        await grant(session, made, bob, Role.WRITE)
    key = Actor(ActorKind.DEPLOY_KEY, deploy_key=DeployKey(7, made.id, can_write=True))
    actors = {
        "olga": actor_of(olga), "mia": actor_of(mia), "bob": actor_of(bob), "root": actor_of(root),
        "key": key, "system": SYSTEM, "nobody": ANONYMOUS,
    }  # fmt: skip

    async def meant(kind: BypassKind, number: int | None = None, mode: BypassMode = BypassMode.ALWAYS) -> set[str]:
        found = set()
        async with database.read() as session:
            for name, actor in actors.items():
                scope = await load_scope(session, actor, made.id)
                assert scope is not None
                if await Who(session, actor, scope).may_bypass([BypassActor(kind, number, mode)]):
                    found.add(name)
        return found

    assert await meant(BypassKind.ROLE, 5) >= {"olga"}
    assert not await meant(BypassKind.ROLE, 5) & {"mia", "bob", "key", "nobody"}
    assert await meant(BypassKind.ROLE, 2) >= {"olga", "mia"}
    assert not await meant(BypassKind.ROLE, 2) & {"bob", "key", "nobody"}
    assert await meant(BypassKind.ROLE, 4) >= {"olga", "mia", "bob"}
    assert await meant(BypassKind.ROLE, 77) == set()
    assert await meant(BypassKind.TEAM, core.id) == await meant(BypassKind.TEAM, child.id) == {"mia"}
    assert await meant(BypassKind.USER, bob.id) == {"bob"}
    assert await meant(BypassKind.USER) == set()
    assert await meant(BypassKind.DEPLOY_KEY) == await meant(BypassKind.DEPLOY_KEY, 7) == {"key"}
    assert await meant(BypassKind.DEPLOY_KEY, 8) == set()
    assert await meant(BypassKind.ORGANIZATION_ADMIN) == {"olga"}
    assert await meant(BypassKind.SITE_ADMIN) == {"root", "system"}
    # By pull request only: no push.
    assert await meant(BypassKind.USER, bob.id, BypassMode.PULL_REQUEST) == set()
    async with database.write() as session:
        await session.execute(delete(TeamMember))
    assert await meant(BypassKind.TEAM, core.id) == set()


@pytest.mark.parametrize("kind", list(BypassKind))
async def test_nobody_is_among_nobody(database: Database, kind: BypassKind) -> None:
    async with database.write() as session:
        ada = await make_account(session, "ada")
        made = await make_repository(session, ada, "mill")
    async with database.read() as session:
        scope = await load_scope(session, ANONYMOUS, made.id)
        assert scope is not None
        who = Who(session, ANONYMOUS, scope)
        assert not await who.may_bypass([])
        assert not await who.may_bypass([BypassActor(kind, 1)])
