"""Who is in a team is decided by its maintainers and the organization's owners."""

import pytest
from sqlalchemy import select
from tests.factories.accounts import with_token
from tests.factories.actors import fine_grained, make_cast
from tests.factories.outcomes import act, outcome

from cairn.access.roles import TeamRole
from cairn.audit.models import AuditEntry
from cairn.base.errors import CairnError, Forbidden, NotFound
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.identity.team_members import (
    TeamMemberInvalid,
    enter_team,
    list_team_members,
    put_team_member,
    read_team_member,
    remove_team_member,
)

MEMBER, MAINTAINER = TeamRole.MEMBER, TeamRole.MAINTAINER
MAY = {"owner", "boss", "site administrator", "system", "writing token", "members token"}


async def test_who_may_decide_who_is_in_a_team(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        await enter_team(session, cast.actors["owner"], cast.team, cast.accounts["member"], MEMBER)
    owner, team = cast.actors["owner"], cast.team.id
    people = cast.actors | {
        "writing token": with_token(owner, "write:org"),
        "reading token": with_token(owner, "read:org"),
        "members token": fine_grained(owner, cast.organization.id, members="write"),
        "reading member token": with_token(cast.actors["member"], "read:org"),
    }
    sees = {"member", "writer", "fine-grained token", "reading token", "token for another repository",
            "reading member token"}  # fmt: skip
    for name, actor in people.items():
        wanted: type[CairnError] | None = None if name in MAY else Forbidden if name in sees else NotFound
        put = await outcome(database, act(put_team_member, actor, team, login="writer", role=MEMBER))
        assert put is wanted, name
        # People may leave by themselves, with a token only if it may write.
        removed = await outcome(database, act(remove_team_member, actor, team, login="member"))
        assert removed is (None if name == "member" else wanted), name
        read = await outcome(database, act(list_team_members, actor, team))
        assert read is (NotFound if wanted is NotFound else None), name


async def test_only_members_of_the_organization_can_be_in_a_team(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        owner, team = cast.actors["owner"], cast.team.id
        for login in ("stranger", "reader", "nobody", "guild"):
            with pytest.raises(TeamMemberInvalid):
                await put_team_member(session, owner, team, login=login, role=MEMBER)
        # An owner of the organization is a maintainer whatever is asked for.
        assert (await put_team_member(session, owner, team, login="owner", role=MEMBER)).role is MAINTAINER


async def test_lists_count_who_is_in_a_team_below(any_database: Database) -> None:
    async with any_database.write() as session:
        cast = await make_cast(session)
        owner, team = cast.actors["owner"], cast.team.id
        await enter_team(session, owner, cast.child_team, cast.accounts["boss"], MEMBER)
        found = await list_team_members(session, cast.actors["member"], team)
        assert [(one.login, one.role, one.is_direct) for one in found.items] == [
            ("boss", MAINTAINER, True),
            ("writer", MEMBER, False),
        ]
        assert found.total == 2
        direct = await list_team_members(session, owner, team, only_direct=True)
        assert [one.login for one in direct.items] == ["boss"]
        members = await list_team_members(session, owner, team, role=MEMBER)
        assert [one.login for one in members.items] == ["writer"]
        page = await list_team_members(session, owner, team, per_page=1, page=2)
        assert ([one.login for one in page.items], page.total) == (["writer"], 2)
        below = await read_team_member(session, owner, team, "Writer")
        assert (below.role, below.is_direct) == (MEMBER, False)
        assert (await read_team_member(session, owner, team, "boss")).role is MAINTAINER
        for login in ("member", "nobody"):
            with pytest.raises(NotFound):
                await read_team_member(session, owner, team, login)


async def test_a_change_is_told_once(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        owner, team = cast.actors["owner"], cast.team.id
        for _ in range(2):
            await put_team_member(session, owner, team, login="writer", role=MAINTAINER)
        await remove_team_member(session, owner, team, login="writer")
        with pytest.raises(NotFound):
            await remove_team_member(session, owner, team, login="writer")
        entries = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "team.member"))).all()
        assert [entry.changes for entry in entries] == [{"role": ["", "maintainer"]}, {"role": ["maintainer", ""]}]
        assert {entry.organization_id for entry in entries} == {cast.organization.id}
        events = await session.scalars(select(EventRow.type).where(EventRow.type == "team_member_changed"))
        assert len(events.all()) == 2
