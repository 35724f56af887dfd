"""A repository's name is kept where an organization's rules go by it."""

import msgspec
import pytest
from tests.factories.accounts import actor_of, make_account
from tests.factories.organizations import make_organization
from tests.factories.repositories import grant, make_repository

from cairn.access.roles import Role
from cairn.db.database import Database
from cairn.repositories.rules.edit import create_organization_ruleset, update_organization_ruleset
from cairn.repositories.rules.kept_names import NameKept, require_free_name
from cairn.repositories.rules.types import Conditions, Enforcement, RefNames, RepositoryNames, RulesetContent

CONTENT = RulesetContent(
    name="Mills",
    enforcement=Enforcement.ACTIVE,
    conditions=Conditions(RefNames(("~ALL",)), RepositoryNames(("mill*",), protected=True)),
)


async def test_only_owners_change_a_name_that_a_ruleset_in_force_keeps(any_database: Database) -> None:
    async with any_database.write() as session:
        olga, bob = await make_account(session, "olga"), await make_account(session, "bob")
        works = await make_organization(session, "works", owner=olga)
        mill, other = await make_repository(session, works, "mill-1"), await make_repository(session, works, "forge")
        for repository in (mill, other):
            await grant(session, repository, bob, Role.ADMIN)
        await require_free_name(session, actor_of(bob), mill)
        kept = await create_organization_ruleset(session, actor_of(olga), works.id, CONTENT)
        with pytest.raises(NameKept, match="'Mills' keeps this name"):
            await require_free_name(session, actor_of(bob), mill)
        await require_free_name(session, actor_of(olga), mill)
        await require_free_name(session, actor_of(bob), other)
        trial = msgspec.structs.replace(CONTENT, enforcement=Enforcement.EVALUATE)
        await update_organization_ruleset(session, actor_of(olga), works.id, kept.id, trial)
        await require_free_name(session, actor_of(bob), mill)
