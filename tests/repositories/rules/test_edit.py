"""Who changes rulesets, what is told, and what is refused."""

import msgspec
import pytest
from sqlalchemy import select
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.organizations import make_organization
from tests.factories.repositories import grant, make_repository

from cairn.access.roles import Role
from cairn.audit.models import AuditEntry
from cairn.base.actor import ANONYMOUS
from cairn.base.errors import Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.events.models import EventRow
from cairn.repositories.rules.checks import RulesetInvalid
from cairn.repositories.rules.edit import (
    RulesetExists,
    RulesetMoved,
    create_organization_ruleset,
    create_ruleset,
    delete_organization_ruleset,
    delete_ruleset,
    update_organization_ruleset,
    update_ruleset,
)
from cairn.repositories.rules.queries import list_rulesets, read_ruleset, rules_in_force
from cairn.repositories.rules.types import (
    RULESETS_MAX,
    Conditions,
    Deletion,
    Enforcement,
    NonFastForward,
    RefNames,
    RulesetContent,
)

CONTENT = RulesetContent(
    name="Protect main",
    enforcement=Enforcement.ACTIVE,
    conditions=Conditions(ref_name=RefNames(include=("main", "~DEFAULT_BRANCH"))),
    rules=(Deletion(), NonFastForward()),
)


async def test_a_ruleset_is_made_changed_and_deleted_with_a_trace_of_each(any_database: Database) -> None:
    async with any_database.write() as session:
        ada = await make_account(session, "ada")
        made = await make_repository(session, ada, "mill")
    actor = actor_of(ada)
    async with any_database.write() as session:
        first = await create_ruleset(session, actor, made.id, CONTENT)
    assert first.content.conditions.ref_name.include == ("refs/heads/main", "~DEFAULT_BRANCH")
    async with any_database.read() as session:
        assert await rules_in_force(session, made.id) == [first]
    trial = msgspec.structs.replace(first.content, enforcement=Enforcement.EVALUATE, rules=(Deletion(),))
    async with any_database.write() as session:
        second = await update_ruleset(session, actor, made.id, first.id, trial, expected_version=first.version)
        assert second.version == first.version + 1
    async with any_database.write() as session:
        # The same again changes nothing, and an editor who saw the first one is told.
        assert await update_ruleset(session, actor, made.id, first.id, trial) == second
        with pytest.raises(RulesetMoved):
            await update_ruleset(session, actor, made.id, first.id, CONTENT, expected_version=first.version)
    off = msgspec.structs.replace(trial, enforcement=Enforcement.DISABLED)
    async with any_database.write() as session:
        await update_ruleset(session, actor, made.id, first.id, off)
        assert await rules_in_force(session, made.id) == []
        assert len(await list_rulesets(session, made.id)) == 1
    async with any_database.write() as session:
        await delete_ruleset(session, actor, made.id, first.id)
        assert await list_rulesets(session, made.id) == []
        with pytest.raises(NotFound):
            await read_ruleset(session, made.id, first.id)
    async with any_database.read() as session:
        entries = list(await session.scalars(select(AuditEntry).order_by(AuditEntry.id)))
        told = [row.payload["change"] for row in await session.scalars(select(EventRow).order_by(EventRow.id))]
    assert [entry.action for entry in entries] == [
        "ruleset.create", "ruleset.update", "ruleset.update", "ruleset.delete",
    ]  # fmt: skip
    assert entries[1].changes is not None
    assert entries[1].changes["enforcement"] == ["active", "evaluate"]
    assert told == ["created", "edited", "edited", "deleted"]


async def test_only_administrators_of_the_repository_change_its_rules(database: Database) -> None:
    async with database.write() as session:
        ada, bob = await make_account(session, "ada"), await make_account(session, "bob")
        made = await make_repository(session, ada, "mill")
        await grant(session, made, bob, Role.MAINTAIN)
        other = await make_repository(session, bob, "other")
    async with database.write() as session:
        kept = await create_ruleset(session, actor_of(ada), made.id, CONTENT)
        for actor, error in (
            (ANONYMOUS, Unauthenticated),
            (actor_of(bob), Forbidden),
            (with_token(actor_of(ada), "user"), Forbidden),
        ):
            with pytest.raises(error):
                await create_ruleset(session, actor, made.id, CONTENT)
            with pytest.raises(error):
                await update_ruleset(session, actor, made.id, kept.id, CONTENT)
            with pytest.raises(error):
                await delete_ruleset(session, actor, made.id, kept.id)
        # Another repository's ruleset is not there for its administrator.
        with pytest.raises(NotFound):
            await update_ruleset(session, actor_of(bob), other.id, kept.id, CONTENT)
        with pytest.raises(NotFound):
            await delete_ruleset(session, actor_of(bob), other.id, kept.id)


async def test_an_organization_gives_all_its_repositories_rules(any_database: Database) -> None:
    async with any_database.write() as session:
        olga, bob = await make_account(session, "olga"), await make_account(session, "bob")
        mills = await make_organization(session, "mills", owner=olga)
        made = await make_repository(session, mills, "mill")
        await grant(session, made, bob, Role.ADMIN)
    async with any_database.write() as session:
        with pytest.raises((Forbidden, NotFound)):
            await create_organization_ruleset(session, actor_of(bob), mills.id, CONTENT)
        kept = await create_organization_ruleset(session, actor_of(olga), mills.id, CONTENT)
    async with any_database.write() as session:
        assert await rules_in_force(session, made.id) == [kept]
        assert await list_rulesets(session, made.id, includes_parents=False) == []
        # Who administers the repository alone has no say in it.
        with pytest.raises(NotFound):
            await delete_ruleset(session, actor_of(bob), made.id, kept.id)
    async with any_database.write() as session:
        off = msgspec.structs.replace(CONTENT, enforcement=Enforcement.DISABLED)
        await update_organization_ruleset(session, actor_of(olga), mills.id, kept.id, off)
        assert await rules_in_force(session, made.id) == []
        await delete_organization_ruleset(session, actor_of(olga), mills.id, kept.id)
        assert await list_rulesets(session, made.id) == []


async def test_names_are_unique_and_rulesets_bounded(database: Database) -> None:
    async with database.write() as session:
        ada = await make_account(session, "ada")
        made = await make_repository(session, ada, "mill")
        actor = actor_of(ada)
        for number in range(RULESETS_MAX):
            kept = await create_ruleset(session, actor, made.id, msgspec.structs.replace(CONTENT, name=f"Set {number}"))
        with pytest.raises(RulesetInvalid, match="100 rulesets already"):
            await create_ruleset(session, actor, made.id, CONTENT)
        with pytest.raises(RulesetExists):
            await update_ruleset(session, actor, made.id, kept.id, msgspec.structs.replace(CONTENT, name="Set 3"))
