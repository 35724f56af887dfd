"""The tree of teams: all under their parents, nothing the reader may not see, found by a part of a name."""

import pytest
from tests.factories.accounts import actor_of, make_account
from tests.factories.actors import make_cast
from tests.factories.organizations import join_organization, join_team, make_organization, make_team
from tests.factories.outcomes import act, outcome

from cairn.access.roles import OrganizationRole, TeamPrivacy, TeamRole
from cairn.base.errors import Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.identity.team_tree import count_children, list_possible_parents, list_team_tree, teams_above
from cairn.identity.teams import read_team


async def test_the_tree_runs_from_the_top_down_page_by_page(any_database: Database) -> None:
    async with any_database.write() as session:
        owner = await make_account(session, "olga")
        guild = await make_organization(session, "guild", owner=owner)
        top = await make_team(session, guild, "m-top")
        middle = await make_team(session, guild, "z-middle", parent=top)
        await make_team(session, guild, "a-lowest", parent=middle)
        await make_team(session, guild, "b-child", parent=top)
        await make_team(session, guild, "secret", privacy=TeamPrivacy.SECRET)
        member = await make_account(session, "max")
        await join_organization(session, guild, member)
    async with any_database.read() as session:
        seen = []
        for number in (1, 2, 3):
            page = await list_team_tree(session, actor_of(owner), guild.id, page=number, per_page=2)
            assert page.total == 5
            seen += [(node.team.slug, node.depth, node.children, node.above) for node in page.items]
        assert seen == [
            ("m-top", 0, 2, ()),
            ("b-child", 1, 0, ("m-top",)),
            ("z-middle", 1, 1, ("m-top",)),
            ("a-lowest", 2, 0, ("m-top", "z-middle")),
            ("secret", 0, 0, ()),
        ]
        found = await list_team_tree(session, actor_of(member), guild.id, text="E")
        assert [node.team.slug for node in found.items] == ["z-middle", "a-lowest"]
        lowest = await read_team(session, actor_of(member), found.items[1].team.id)
        assert await teams_above(session, lowest) == [("m-top", "m-top"), ("z-middle", "z-middle")]
        assert await count_children(session, await read_team(session, actor_of(member), top.id)) == 2


@pytest.mark.parametrize(
    ("who", "wanted"),
    [
        ("owner", None),
        ("member", None),
        ("stranger", Forbidden),
        ("anonymous", Unauthenticated),
        ("suspended", NotFound),
    ],
)
async def test_who_sees_the_tree(database: Database, who: str, wanted: type[Exception] | None) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
    for listing in (list_team_tree, list_possible_parents):
        found = await outcome(database, act(listing, cast.actors[who], cast.organization.id))
        assert found is wanted or (who == "suspended" and found is not None)


async def test_a_team_may_stand_below_what_its_editor_may_change_and_never_below_itself(database: Database) -> None:
    async with database.write() as session:
        owner, mia = await make_account(session, "olga"), await make_account(session, "mia")
        guild = await make_organization(session, "guild", owner=owner)
        await join_organization(session, guild, mia, OrganizationRole.MEMBER)
        top, other = await make_team(session, guild, "top"), await make_team(session, guild, "other")
        child = await make_team(session, guild, "child", parent=top)
        await make_team(session, guild, "below", parent=child)
        await make_team(session, guild, "secret", privacy=TeamPrivacy.SECRET)
        for team in (child, other):
            await join_team(session, team, mia, TeamRole.MAINTAINER)
    async with database.read() as session:
        view = await read_team(session, actor_of(mia), child.id)

        async def names(login: str, *, of_child: bool) -> list[tuple[str, int]]:
            actor = actor_of(owner if login == "olga" else mia)
            choices = await list_possible_parents(session, actor, guild.id, view if of_child else None)
            return [(choice.name, choice.depth) for choice in choices]

        assert await names("olga", of_child=True) == [("other", 0), ("top", 0)]
        assert await names("mia", of_child=True) == [("other", 0), ("top", 0)], "top: where it stands now"
        assert await names("mia", of_child=False) == [("other", 0), ("child", 1)]
        assert await names("olga", of_child=False) == [("other", 0), ("top", 0), ("child", 1), ("below", 2)]
