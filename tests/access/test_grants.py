"""The strongest role by grant, team and membership: the same on all databases, from indexes only."""

import pytest
from sqlalchemy import literal_column, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import make_account
from tests.factories.actors import make_cast
from tests.factories.organizations import join_organization, make_organization
from tests.factories.repositories import make_repository

from cairn.access.grants import (
    ROLE_OF_RANK,
    reached_repositories,
    reaching_owners,
    role_rank_sql,
    strongest_role,
)
from cairn.access.roles import BasePermission, Role
from cairn.db.database import Database
from cairn.repositories.models import Repository

ADMINISTER = [Role.ADMIN]


async def rank(session: AsyncSession, account_id: int, repository: Repository) -> Role | None:
    """Return the role as the hand-written statements read it."""
    columns = (str(account_id), str(repository.id), str(repository.owner_id))
    found = await session.scalar(text(f"SELECT {role_rank_sql(*columns)}"))
    return None if found is None else ROLE_OF_RANK[found]


async def test_text_and_column_give_the_same_role_on_every_database(any_database: Database) -> None:
    async with any_database.write() as session:
        cast = await make_cast(session)
        roles = {}
        for name, account in cast.accounts.items():
            as_column = strongest_role(
                literal_column(str(account.id)), Repository.id.expression, Repository.owner_id.expression
            )
            roles[name] = await session.scalar(select(as_column).where(Repository.id == cast.repository.id))
            assert await rank(session, account.id, cast.repository) is roles[name], name
        assert roles == {
            "owner": Role.ADMIN,
            "member": None,
            "writer": Role.WRITE,
            "stranger": None,
            "boss": Role.WRITE,
            "reader": Role.READ,
            "triager": Role.TRIAGE,
            "maintainer": Role.MAINTAIN,
            "administrator": Role.ADMIN,
            "suspended": Role.ADMIN,
            "site administrator": None,
        }


@pytest.mark.parametrize("base", BasePermission)
async def test_the_base_permission_reaches_members_and_nobody_else(database: Database, base: BasePermission) -> None:
    async with database.write() as session:
        member, stranger = await make_account(session), await make_account(session)
        guild = await make_organization(session, base_permission=base)
        await join_organization(session, guild, member)
        repository = await make_repository(session, guild)
        wanted = None if base is BasePermission.NONE else Role(base.value)
        assert await rank(session, member.id, repository) is wanted
        assert await rank(session, stranger.id, repository) is None
        for roles in ([Role.READ, *ADMINISTER], ADMINISTER):
            owners = list(await session.scalars(reaching_owners(member.id, roles)))
            assert owners == ([guild.id] if wanted in roles else []), roles
            assert list(await session.scalars(reaching_owners(stranger.id, roles))) == []


async def test_repositories_are_reached_by_grant_and_team(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        here = [cast.repository.id]
        for name, roles, wanted in [
            ("writer", [Role.WRITE], here),
            ("writer", ADMINISTER, []),
            ("administrator", ADMINISTER, here),
            ("reader", list(Role), here),
            ("member", list(Role), []),
            ("owner", list(Role), []),
        ]:
            found = await session.scalars(reached_repositories(cast.accounts[name].id, roles))
            assert list(found) == wanted, (name, roles)
