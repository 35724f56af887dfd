"""The list of who has a role holds exactly those the rule gives one, with the same role."""

import pytest
from tests.factories.accounts import actor_of, make_account
from tests.factories.actors import make_cast
from tests.factories.organizations import grant_team, join_organization, join_team, make_organization, make_team
from tests.factories.outcomes import act, outcome
from tests.factories.repositories import grant, make_repository

from cairn.access.decide import effective_role
from cairn.access.models import Organization
from cairn.access.roles import RANKS, BasePermission, Role, TeamPrivacy, Visibility
from cairn.base.errors import Forbidden, NotFound
from cairn.db.database import Database
from cairn.identity.models import Account
from cairn.repositories.access_list import Source, Way, base_permission_of, list_access
from cairn.repositories.queries import load_scope


async def test_who_may_ask(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
    allowed = {"owner", "administrator", "site administrator", "system"}
    seen = {
        "reader",
        "triager",
        "writer",
        "maintainer",
        "boss",
        "fine-grained token",
        "deploy key",
        "writing deploy key",
    }
    for name, actor in cast.actors.items():
        found = await outcome(database, act(list_access, actor, cast.repository.id))
        wanted = None if name in allowed else Forbidden if name in seen else NotFound
        assert found is wanted, name


@pytest.mark.parametrize("base", list(BasePermission), ids=lambda base: base.value)
async def test_the_list_and_the_rule_agree(any_database: Database, base: BasePermission) -> None:
    async with any_database.write() as session:
        cast = await make_cast(session)
        (await session.get_one(Organization, cast.organization.id)).base_permission = base
        secret = await make_team(session, cast.organization, "hidden", privacy=TeamPrivacy.SECRET)
        await join_team(session, secret, cast.accounts["member"])
        await grant_team(session, cast.repository, secret, Role.TRIAGE)
        await grant(session, cast.repository, cast.accounts["writer"], Role.TRIAGE)
    async with any_database.read() as session:
        listed: dict[str, Role] = {}
        for number in range(1, 10):
            page = await list_access(session, cast.actors["owner"], cast.repository.id, page=number, per_page=3)
            listed |= {person.login: person.role for person in page.items}
            assert page.total >= len(listed)
        assert page.total == len(listed)
        for least in Role:
            kept = await list_access(session, cast.actors["owner"], cast.repository.id, least=least)
            strong = {login for login, role in listed.items() if RANKS[role] >= RANKS[least]}
            assert ({one.login for one in kept.items}, kept.total) == (strong, len(strong))
        for name, account in cast.accounts.items():
            if name == "site administrator":
                continue  # has every role everywhere, by no way that stands here
            scope = await load_scope(session, actor_of(account), cast.repository.id)
            assert scope is not None
            wanted = scope.role if name == "suspended" else effective_role(actor_of(account), scope)
            assert listed.get(account.login) is wanted, name
        assert await base_permission_of(session, cast.repository.id) is base


async def test_of_a_persons_repository_the_owner_stands_first_and_pages_are_by_name(database: Database) -> None:
    async with database.write() as session:
        ada, bob = await make_account(session, "ada"), await make_account(session, "bob")
        own = await make_repository(session, ada, "own", visibility=Visibility.PUBLIC)
        await grant(session, own, bob, Role.READ)
    async with database.read() as session:
        found = await list_access(session, actor_of(ada), own.id)
        assert [(one.login, one.sources, one.granted) for one in found.items] == [
            ("ada", (Source(Way.OWNER, Role.ADMIN),), None),
            ("bob", (Source(Way.GRANT, Role.READ),), Role.READ),
        ]
        assert [one.login for one in (await list_access(session, actor_of(ada), own.id, text="OB")).items] == ["bob"]
        assert await base_permission_of(session, own.id) is None


async def test_a_list_costs_the_same_however_many_people_there_are(database: Database) -> None:
    async with database.write() as session:
        owner = await make_account(session, "olga")
        guild = await make_organization(session, "guild", owner=owner, base_permission=BasePermission.READ)
        repository = await make_repository(session, guild, "engine")
        people: list[Account] = [await make_account(session, f"person{number:02}") for number in range(40)]
        for account in people:
            await join_organization(session, guild, account)
    async with database.read() as session:
        found = await list_access(session, actor_of(owner), repository.id, per_page=30, page=2)
        assert (len(found.items), found.total) == (11, 41)
