"""Outside collaborators are who has a role without being a member, with what they work on."""

from tests.factories.accounts import actor_of
from tests.factories.actors import make_cast
from tests.factories.outcomes import act, outcome
from tests.factories.repositories import grant

from cairn.access.roles import Role
from cairn.base.errors import Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.repositories.outside_collaborators import list_outsiders


async def test_for_owners_only(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
    allowed = {"owner", "site administrator", "system"}
    for name, actor in cast.actors.items():
        found = await outcome(database, act(list_outsiders, actor, cast.organization.id))
        assert (found is None) == (name in allowed), name
        assert found in {None, Forbidden, NotFound, Unauthenticated}


async def test_who_they_are_and_on_what(any_database: Database) -> None:
    async with any_database.write() as session:
        cast = await make_cast(session)
        await grant(session, cast.other_repository, cast.accounts["reader"], Role.WRITE)
        await grant(session, cast.repository, cast.accounts["member"], Role.WRITE)
    async with any_database.read() as session:
        owner, guild = actor_of(cast.accounts["owner"]), cast.organization.id
        first = await list_outsiders(session, owner, guild, per_page=3)
        rest = await list_outsiders(session, owner, guild, page=2, per_page=3)
    found = {one.login: (one.total, one.repositories) for one in (*first.items, *rest.items)}
    assert first.total == 4
    assert found == {
        "administrator": (1, (("engine", Role.ADMIN),)),
        "maintainer": (1, (("engine", Role.MAINTAIN),)),
        "reader": (2, (("engine", Role.READ), ("other", Role.WRITE))),
        "triager": (1, (("engine", Role.TRIAGE),)),
    }
