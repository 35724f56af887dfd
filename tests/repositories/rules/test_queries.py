"""Which rulesets are found, and that what cannot be read is never passed over."""

import msgspec
import pytest
from sqlalchemy import select, update
from tests.factories.accounts import actor_of, make_account
from tests.factories.organizations import make_organization
from tests.factories.repositories import make_repository

from cairn.db.database import Database
from cairn.repositories.models import Repository
from cairn.repositories.rules.edit import create_organization_ruleset, create_ruleset
from cairn.repositories.rules.models import RulesetRow
from cairn.repositories.rules.queries import (
    has_rules,
    list_rulesets,
    list_rulesets_of_owner,
    rules_in_force,
    rules_of_store,
    rulesets_for,
)
from cairn.repositories.rules.types import Conditions, Deletion, Enforcement, RefNames, RepositoryNames, RulesetContent

CONTENT = RulesetContent(
    name="a",
    enforcement=Enforcement.EVALUATE,
    conditions=Conditions(ref_name=RefNames(include=("release/*",))),
    rules=(Deletion(),),
)


async def test_rules_are_found_by_repository_and_by_store_and_only_where_they_are(any_database: Database) -> None:
    async with any_database.write() as session:
        ada = await make_account(session, "ada")
        made, bare = await make_repository(session, ada, "mill"), await make_repository(session, ada, "bare")
        kept = await create_ruleset(session, actor_of(ada), made.id, CONTENT)
    async with any_database.read() as session:
        assert await rules_in_force(session, made.id) == await rules_of_store(session, made.store_id) == [kept]
        assert await rules_in_force(session, bare.id) == await rules_of_store(session, bare.store_id) == []
        assert await rules_of_store(session, 999_999) == []
        said = await session.execute(
            select(Repository.name, has_rules(Repository.id.expression, Repository.owner_id.expression))
        )
        assert {name: bool(found) for name, found in said} == {"mill": True, "bare": False}
    names = (b"refs/heads/release/1", b"refs/heads/main", b"refs/tags/release/1")
    assert [len(rulesets_for([kept], name, default=b"refs/heads/main")) for name in names] == [1, 0, 0]


async def test_those_of_an_organization_are_found_where_they_name_the_repository(any_database: Database) -> None:
    names = Conditions(CONTENT.conditions.ref_name, RepositoryNames(include=("Mill*",), exclude=("mill-old",)))
    content = msgspec.structs.replace(CONTENT, conditions=names)
    async with any_database.write() as session:
        olga = await make_account(session, "olga")
        works = await make_organization(session, "works", owner=olga)
        made = {name: await make_repository(session, works, name) for name in ("mill-1", "mill-old", "forge")}
        other = await make_repository(session, olga, "mill-2")
        kept = await create_organization_ruleset(session, actor_of(olga), works.id, content)
    async with any_database.write() as session:
        for name, one in made.items():
            wanted = [kept] if name == "mill-1" else []
            assert await rules_in_force(session, one.id) == await rules_of_store(session, one.store_id) == wanted
            assert await list_rulesets(session, one.id) == wanted
        assert await rules_in_force(session, other.id) == []
        assert await list_rulesets_of_owner(session, works.id) == [kept]
        # Whoever owns it now says what holds, under whatever name it has now.
        values = {"owner_id": works.id, "name": "MILL-2"}
        await session.execute(update(Repository).where(Repository.id == other.id).values(**values))
        assert await rules_in_force(session, other.id) == [kept]


async def test_a_row_that_cannot_be_read_raises(database: Database) -> None:
    async with database.write() as session:
        ada = await make_account(session, "ada")
        made = await make_repository(session, ada, "mill")
        await create_ruleset(session, actor_of(ada), made.id, CONTENT)
        await session.execute(update(RulesetRow).values(rules=[{"type": "from_the_future"}]))
    async with database.read() as session:
        with pytest.raises(msgspec.ValidationError):
            await rules_in_force(session, made.id)
