"""Teams are made, moved and deleted by who may; the table of ancestors always says what the tree says."""

import random

import pytest
from sqlalchemy import select
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.actors import fine_grained, make_cast
from tests.factories.organizations import grant_team, join_organization, join_team, make_organization, make_team
from tests.factories.outcomes import act, outcome
from tests.factories.repositories import make_repository
from tests.factories.seeds import chosen_seed

from cairn.access.authorize import granted_role
from cairn.access.models import Organization, Team, TeamAncestor, TeamMember
from cairn.access.roles import Role, TeamPrivacy, TeamRole, Visibility
from cairn.audit.models import AuditEntry
from cairn.base.errors import CairnError, Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.identity.teams import (
    DEPTH_MAX,
    TeamChange,
    TeamInvalid,
    create_team,
    delete_team,
    find_team,
    list_own_teams,
    list_teams,
    lock_team,
    move_team,
    read_team,
    update_team,
)
from cairn.repositories.models import ACCESS_COLUMNS, Repository

MAY_EDIT = {"owner", "boss", "site administrator", "system", "writing token", "members token"}
SEE_ONLY = {"member", "writer", "fine-grained token", "reading token"}


async def test_who_may_change_a_team(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
    owner, team = cast.actors["owner"], cast.team.id
    people = cast.actors | {
        "writing token": with_token(owner, "write:org"),
        "reading token": with_token(owner, "read:org"),
        "members token": fine_grained(owner, cast.organization.id, members="write"),
    }
    for name, actor in people.items():
        wanted: type[CairnError] | None = NotFound
        if name in MAY_EDIT:
            wanted = None
        elif name in SEE_ONLY | {"token for another repository"}:
            wanted = Forbidden
        for tried in (
            act(update_team, actor, team, TeamChange(name="Masons")),
            act(move_team, actor, team, None),
        ):
            assert await outcome(database, tried) is wanted, name
        found = await outcome(database, act(read_team, actor, team))
        assert found is (None if wanted is not NotFound else NotFound), name
        # boss maintains the parent only: the child team is not theirs to delete.
        deleted = await outcome(database, act(delete_team, actor, team))
        assert deleted is (Forbidden if name == "boss" else wanted), name


async def test_who_may_create_a_team_is_the_organizations_policy(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
    guild = cast.organization.id
    for policy, member in ((True, None), (False, Forbidden)):
        async with database.write() as session:
            (await session.get_one(Organization, guild)).members_can_create_teams = policy
        for name, wanted in {
            "owner": None,
            "member": member,
            "stranger": Forbidden,
            "anonymous": Unauthenticated,
            "suspended": NotFound,
            "deploy key": NotFound,
            "narrow token": Forbidden,
        }.items():
            by = cast.actors[name]
            assert await outcome(database, act(create_team, by, guild, name="New ones")) is (wanted), name


async def test_a_new_team_has_its_maker_as_maintainer_and_an_address(any_database: Database) -> None:
    async with any_database.write() as session:
        cast = await make_cast(session)
        guild, member = cast.organization.id, cast.actors["member"]
        made = await create_team(session, member, guild, name=" Über & Co. ", privacy=TeamPrivacy.SECRET)
        assert (made.slug, made.name, made.privacy, made.members) == ("uber-co", "Über & Co.", TeamPrivacy.SECRET, 1)
        place = await session.get_one(TeamMember, (made.id, member.account_id))
        assert place.role is TeamRole.MAINTAINER
        assert (await find_team(session, member, guild, "UBER-CO")).id == made.id
        with pytest.raises(NotFound):
            await find_team(session, member, guild, "uber\0co")
        with pytest.raises(NotFound):
            await find_team(session, cast.actors["boss"], guild, "uber-co")
        by_root = await create_team(session, cast.actors["site administrator"], guild, name="Order")
        assert by_root.members == 0
        for name in ("uber--CO", "Order!", "new", "!!!", "日本", "a\nb", "x" * 101):
            with pytest.raises(TeamInvalid):
                await create_team(session, member, guild, name=name)
        [entry] = await session.scalars(
            select(AuditEntry).where(AuditEntry.action == "team.create", AuditEntry.target == "order")
        )
        assert entry.organization_id == guild


async def test_lists_hold_what_the_actor_may_see(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        guild = cast.organization
        secret = await make_team(session, guild, "council", privacy=TeamPrivacy.SECRET)
        await join_team(session, secret, cast.accounts["boss"])

        async def slugs(name: str, **how: object) -> list[str]:
            return [team.slug for team in (await list_teams(session, cast.actors[name], guild.id, **how)).items]  # type: ignore[arg-type]

        assert await slugs("owner") == await slugs("boss") == ["builders", "council", "smiths"]
        assert await slugs("member") == ["builders", "smiths"]
        assert await slugs("member", parent_id=cast.team.id) == ["smiths"]
        assert await slugs("member", text="UILD") == ["builders"]
        page = await list_teams(session, cast.actors["owner"], guild.id, per_page=2, page=2)
        assert ([team.slug for team in page.items], page.total) == (["smiths"], 3)
        for name in ("stranger", "reader", "narrow token"):
            with pytest.raises(Forbidden):
                await slugs(name)
        own = await list_own_teams(session, cast.actors["boss"])
        assert [(team.slug, team.members, team.repositories) for team in own] == [("builders", 1, 1), ("council", 1, 0)]
        assert await list_own_teams(session, with_token(cast.actors["boss"], "repo")) == []
        assert await list_own_teams(session, cast.actors["anonymous"]) == []


async def test_secret_teams_stand_alone(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        owner, guild = cast.actors["owner"], cast.organization.id
        secret = await make_team(session, cast.organization, "council", privacy=TeamPrivacy.SECRET)
        with pytest.raises(TeamInvalid):
            await create_team(session, owner, guild, name="Below", parent_id=secret.id)
        with pytest.raises(TeamInvalid):
            await create_team(session, owner, guild, name="B", parent_id=cast.team.id, privacy=TeamPrivacy.SECRET)
        with pytest.raises(TeamInvalid):
            await move_team(session, owner, secret.id, cast.team.id)
        for team_id in (cast.team.id, cast.child_team.id):
            with pytest.raises(TeamInvalid):
                await update_team(session, owner, team_id, TeamChange(privacy=TeamPrivacy.SECRET))
        opened = await update_team(session, owner, secret.id, TeamChange(privacy=TeamPrivacy.CLOSED))
        assert opened.privacy is TeamPrivacy.CLOSED


async def test_a_parent_must_be_of_the_same_organization_and_within_reach(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        guild = cast.organization.id
        foreign = await make_team(session, await make_organization(session, owner=cast.accounts["owner"]))
        own = await make_team(session, cast.organization, "own")
        await join_team(session, own, cast.accounts["member"], TeamRole.MAINTAINER)
    owner, member = cast.actors["owner"], cast.actors["member"]
    for by, parent_id, wanted in [
        (owner, foreign.id, NotFound),
        (member, foreign.id, NotFound),
        (owner, 10**6, NotFound),
        # Below a team one would have what that team is granted: its maintainers must agree.
        (member, cast.team.id, Forbidden),
        (owner, cast.team.id, None),
    ]:
        for tried in (
            act(move_team, by, own.id, parent_id),
            act(create_team, by, guild, name="X", parent_id=parent_id),
        ):
            assert await outcome(database, tried) is wanted, (by.login, parent_id)


async def test_a_circle_and_too_deep_a_tree_are_refused(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        owner, guild = cast.actors["owner"], cast.organization.id
        chain = [cast.team.id, cast.child_team.id]
        while len(chain) < DEPTH_MAX:
            made = await create_team(session, owner, guild, name=f"level {len(chain)}", parent_id=chain[-1])
            chain.append(made.id)
        with pytest.raises(TeamInvalid, match="at most"):
            await create_team(session, owner, guild, name="one more", parent_id=chain[-1])
        for below in chain:
            with pytest.raises(TeamInvalid, match="below itself"):
                await move_team(session, owner, chain[0], below)
        single = await create_team(session, owner, guild, name="single")
        await move_team(session, owner, chain[2], single.id)
        with pytest.raises(TeamInvalid, match="at most"):
            await move_team(session, owner, single.id, chain[1])


async def test_random_moves_keep_ancestors_equal_to_the_tree(any_database: Database) -> None:
    seed = chosen_seed()
    chance = random.Random(seed)
    async with any_database.write() as session:
        ada = await make_account(session)
        guild = await make_organization(session, owner=ada)
        owner = actor_of(ada)
        ids = [(await create_team(session, owner, guild.id, name=f"t{number}")).id for number in range(9)]
        refused = moved = 0
        for _ in range(60):
            try:
                await move_team(session, owner, chance.choice(ids), chance.choice([None, *ids]))
                moved += 1
            except TeamInvalid:
                refused += 1
            parents = {row[0]: row[1] for row in await session.execute(select(Team.id, Team.parent_id))}
            wanted = set()
            for team_id in ids:
                above: int | None = team_id
                while above is not None:
                    wanted.add((team_id, above))
                    above = parents[above]
            rows = await session.execute(select(TeamAncestor.team_id, TeamAncestor.ancestor_id))
            assert {tuple(row) for row in rows} == wanted
        assert refused
        assert moved


async def test_a_move_changes_what_members_may_from_the_next_request_on(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        other = await make_team(session, cast.organization, "others")
        repository = await make_repository(session, cast.organization, visibility=Visibility.PRIVATE)
        await grant_team(session, repository, other, Role.MAINTAIN)
    writer, owner = cast.actors["writer"], cast.actors["owner"]

    async def roles() -> list[Role | None]:
        async with database.read() as session:
            found = []
            for one in (cast.repository, repository):
                role = select(granted_role(writer, ACCESS_COLUMNS)).where(Repository.id == one.id)
                found.append(await session.scalar(role))
            return found

    assert await roles() == [Role.WRITE, None]
    for parent_id, wanted in [
        (other.id, [None, Role.MAINTAIN]),
        (None, [None, None]),
        (cast.team.id, [Role.WRITE, None]),
    ]:
        async with database.write() as session:
            await move_team(session, owner, cast.child_team.id, parent_id)
        assert await roles() == wanted
    async with database.write() as session:
        await delete_team(session, owner, cast.team.id)
    assert await roles() == [None, None]


async def test_a_change_is_told_and_no_change_is_not(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
        owner, team = cast.actors["owner"], cast.team.id
        for _ in range(2):
            changed = await update_team(session, owner, team, TeamChange(name="Masons", description=" Stone "))
        assert (changed.slug, changed.description) == ("masons", "Stone")
        await move_team(session, owner, cast.child_team.id, None)
        await move_team(session, owner, cast.child_team.id, None)
        entries = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "team.update"))).all()
        assert [entry.changes for entry in entries] == [
            {"name": ["builders", "Masons"], "slug": ["builders", "masons"], "description": ["", "Stone"]},
            {"parent": [str(team), ""]},
        ]
        events = (await session.scalars(select(EventRow.type).where(EventRow.type == "team_edited"))).all()
        assert len(events) == 2


async def test_deleting_takes_the_teams_below_along_on_every_database(any_database: Database) -> None:
    async with any_database.write() as session:
        cast = await make_cast(session)
        lowest = await make_team(session, cast.organization, parent=cast.child_team)
        await join_organization(session, cast.organization, cast.accounts["stranger"])
        await delete_team(session, cast.actors["owner"], cast.team.id)
        assert (await session.scalars(select(Team.id))).all() == []
        assert (await session.scalars(select(TeamAncestor.team_id))).all() == []
        told = await session.scalars(select(EventRow.payload).where(EventRow.type == "team_deleted"))
        assert {payload["team_id"] for payload in told} == {cast.team.id, cast.child_team.id, lowest.id}
        with pytest.raises(NotFound):
            await lock_team(session, lowest.id)
