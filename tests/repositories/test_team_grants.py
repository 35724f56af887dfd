"""A team's role on a repository is given by its administrators, to teams of its own organization."""

import pytest
from sqlalchemy import select
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.actors import make_cast
from tests.factories.organizations import grant_team, make_organization, make_team
from tests.factories.outcomes import act, outcome

from cairn.access.authorize import granted_role
from cairn.access.roles import Role, TeamPrivacy
from cairn.audit.models import AuditEntry
from cairn.base.errors import CairnError, Forbidden, NotFound
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.repositories.models import ACCESS_COLUMNS, Repository
from cairn.repositories.team_grants import (
    TeamGrantInvalid,
    list_granted_teams,
    list_team_repositories,
    put_team_grant,
    remove_team_grant,
)


async def test_who_may_give_a_team_a_role(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
    # An administrator from outside the organization sees none of its teams.
    may = {"owner", "site administrator", "system"}
    hidden = {"anonymous", "stranger", "member", "suspended", "narrow token", "token for another repository",
              "deploy key for another repository", "fine-grained token for another owner", "administrator"}  # fmt: skip
    for name, actor in cast.actors.items():
        wanted: type[CairnError] | None = None if name in may else NotFound if name in hidden else Forbidden
        put = act(put_team_grant, actor, cast.repository.id, team_id=cast.team.id, role=Role.ADMIN)
        assert await outcome(database, put) is wanted, name
        # A team's maintainer takes it out of repositories that it sees, as on GitHub.
        removed = act(remove_team_grant, actor, cast.repository.id, team_id=cast.team.id)
        assert await outcome(database, removed) is (None if name == "boss" else wanted), name
    boss = cast.actors["boss"]
    for actor, expected in (
        (with_token(boss, "repo", "write:org"), None),
        (with_token(boss, "repo", "read:org"), Forbidden),
        (with_token(boss, "write:org"), NotFound),
    ):
        removed = act(remove_team_grant, actor, cast.repository.id, team_id=cast.team.id)
        assert await outcome(database, removed) is expected, actor.limits
    async with database.write() as session:
        await grant_team(session, cast.repository, cast.child_team, Role.READ)
    below = act(remove_team_grant, boss, cast.repository.id, team_id=cast.child_team.id)
    assert await outcome(database, below) is Forbidden, "a team below is its own maintainers' business"


async def test_a_role_counts_at_once_for_the_teams_below_too(any_database: Database) -> None:
    async with any_database.write() as session:
        cast = await make_cast(session)
    owner, other = cast.actors["owner"], cast.other_repository

    async def role() -> Role | None:
        statement = select(granted_role(cast.actors["writer"], ACCESS_COLUMNS)).where(Repository.id == other.id)
        async with any_database.read() as session:
            return await session.scalar(statement)

    assert await role() is None
    for wanted in (Role.READ, Role.MAINTAIN, Role.MAINTAIN):
        async with any_database.write() as session:
            await put_team_grant(session, owner, other.id, team_id=cast.team.id, role=wanted)
        assert await role() is wanted
    async with any_database.write() as session:
        await remove_team_grant(session, owner, other.id, team_id=cast.team.id)
    assert await role() is None
    async with any_database.write() as session:
        with pytest.raises(NotFound):
            await remove_team_grant(session, owner, other.id, team_id=cast.team.id)
        entries = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "repository.team"))).all()
        assert [entry.changes for entry in entries] == [
            {"role": ["", "read"]},
            {"role": ["read", "maintain"]},
            {"role": ["maintain", ""]},
        ]
        assert {entry.organization_id for entry in entries} == {cast.organization.id}
        told = await session.scalars(select(EventRow.type).where(EventRow.type == "team_grant_changed"))
        assert len(told.all()) == 3


async def test_only_teams_of_the_owning_organization_can_have_a_role(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        owner = cast.actors["owner"]
        foreign = await make_team(session, await make_organization(session, owner=cast.accounts["owner"]))
        with pytest.raises(TeamGrantInvalid):
            await put_team_grant(session, owner, cast.repository.id, team_id=foreign.id, role=Role.READ)
        with pytest.raises(NotFound):
            await put_team_grant(session, owner, cast.repository.id, team_id=10**6, role=Role.READ)


async def test_lists_hold_what_the_actor_may_see(any_database: Database) -> None:
    async with any_database.write() as session:
        cast = await make_cast(session)
        owner, member = cast.actors["owner"], cast.actors["member"]
        secret = await make_team(session, cast.organization, "council", privacy=TeamPrivacy.SECRET)
        await grant_team(session, cast.repository, secret, Role.READ)
        await grant_team(session, cast.repository, cast.child_team, Role.MAINTAIN)
        await grant_team(session, cast.other_repository, cast.child_team, Role.READ)
        teams = await list_granted_teams(session, owner, cast.repository.id)
        assert [(team.slug, team.role) for team in teams] == [
            ("builders", Role.WRITE),
            ("council", Role.READ),
            ("smiths", Role.MAINTAIN),
        ]
        # What the team above has is the child's too; the stronger role is told, each repository once.
        page = await list_team_repositories(session, owner, cast.child_team.id)
        assert [(one.name, one.role) for one in page.items] == [("engine", Role.MAINTAIN), ("other", Role.READ)]
        assert page.total == 2
        second = await list_team_repositories(session, owner, cast.child_team.id, per_page=1, page=2)
        assert [one.name for one in second.items] == ["other"]
        assert (await list_team_repositories(session, member, cast.child_team.id)).items == []
        with pytest.raises(NotFound):
            await list_team_repositories(session, actor_of(await make_account(session)), cast.child_team.id)
