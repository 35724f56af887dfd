"""Authorizing in a transaction: the loader sees what is true now."""

import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import actor_of, make_account
from tests.factories.actors import make_cast

from cairn.access.actions import Action
from cairn.access.authorize import (
    authorize,
    authorize_organization,
    authorize_team,
    load_organization,
    load_team,
    may_in_organization,
)
from cairn.access.roles import OrganizationRole, TeamPrivacy, TeamRole
from cairn.access.scopes import AccountScope, OrganizationScope, TeamScope
from cairn.base.actor import ANONYMOUS, Actor
from cairn.base.errors import Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database


async def test_authorize_returns_the_scope_it_allowed(database: Database) -> None:
    async with database.write() as session:
        me, other = await make_account(session), await make_account(session)
        mine = AccountScope(me.id)

        async def load(session: AsyncSession, actor: Actor) -> AccountScope | None:
            return mine if actor.account_id == me.id else None

        assert await authorize(session, actor_of(me), Action.ACCOUNT_EDIT, mine) is mine
        assert await authorize(session, actor_of(me), Action.ACCOUNT_EDIT, load) is mine
        with pytest.raises(NotFound):
            await authorize(session, actor_of(other), Action.ACCOUNT_EDIT, load)
        with pytest.raises(Forbidden):
            await authorize(session, actor_of(other), Action.ACCOUNT_EDIT, mine)
        with pytest.raises(Unauthenticated):
            await authorize(session, ANONYMOUS, Action.ACCOUNT_EDIT, mine)


async def test_an_organization_is_loaded_as_the_actor_meets_it(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        guild = cast.organization.id
        for name, role in [
            ("owner", OrganizationRole.OWNER),
            ("member", OrganizationRole.MEMBER),
            ("reader", None),
            ("anonymous", None),
            ("deploy key", None),
        ]:
            assert await load_organization(session, cast.actors[name], guild) == OrganizationScope(
                guild, role, members_can_create_repositories=True, members_can_create_teams=True
            )
        assert await load_organization(session, cast.actors["owner"], cast.accounts["owner"].id) is None
        await authorize_organization(session, cast.actors["owner"], Action.ORGANIZATION_EDIT, guild)
        with pytest.raises(Forbidden):
            await authorize_organization(session, cast.actors["member"], Action.ORGANIZATION_EDIT, guild)
        with pytest.raises(Unauthenticated):
            await authorize_organization(session, ANONYMOUS, Action.ORGANIZATION_EDIT, guild)
        with pytest.raises(NotFound):
            await authorize_organization(session, cast.actors["owner"], Action.ORGANIZATION_READ, 10**6)
        for name, organization_id, allowed in [
            ("owner", guild, True),
            ("member", guild, False),
            ("owner", 10**6, False),
        ]:
            actor = cast.actors[name]
            assert await may_in_organization(session, actor, Action.ORGANIZATION_EDIT, organization_id) is allowed


async def test_a_team_is_loaded_as_the_actor_meets_it(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        guild, team, child = cast.organization.id, cast.team.id, cast.child_team.id
        owner, member = OrganizationRole.OWNER, OrganizationRole.MEMBER
        for name, team_id, organization_role, role in [
            ("boss", team, member, TeamRole.MAINTAINER),
            ("boss", child, member, None),
            # Who is in the child team counts as a member of the team above.
            ("writer", team, member, TeamRole.MEMBER),
            ("writer", child, member, TeamRole.MEMBER),
            ("owner", team, owner, None),
            ("stranger", team, None, None),
            ("anonymous", team, None, None),
        ]:
            found = await load_team(session, cast.actors[name], team_id)
            assert found == TeamScope(team_id, guild, TeamPrivacy.CLOSED, organization_role, role), name
        assert await load_team(session, cast.actors["owner"], 10**6) is None
        await authorize_team(session, cast.actors["boss"], Action.TEAM_EDIT, team)
        with pytest.raises(Forbidden):
            await authorize_team(session, cast.actors["boss"], Action.TEAM_EDIT, child)
        with pytest.raises(NotFound):
            await authorize_team(session, cast.actors["stranger"], Action.TEAM_READ, team)
