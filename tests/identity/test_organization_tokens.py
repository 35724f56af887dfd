"""Owners of an organization see the tokens that reach it, and take their access away."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from tests.factories.accounts import LONG_AGO
from tests.factories.actors import make_cast
from tests.factories.authentication import make_authentication
from tests.factories.organizations import make_organization
from tests.factories.outcomes import act, outcome

from cairn.access.actions import Action
from cairn.access.decide import decide
from cairn.access.roles import Role, Visibility
from cairn.access.scopes import RepositoryScope
from cairn.audit.models import AuditEntry
from cairn.base.errors import CairnError, Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.identity.authenticate import refresh_actor
from cairn.identity.models import Token
from cairn.identity.organization_tokens import (
    TokenFilter,
    list_organization_tokens,
    read_organization_token,
    revoke_token_access,
)
from cairn.identity.tokens import create_fine_grained_token


async def test_who_may_see_and_revoke_the_tokens_for_an_organization(database: Database) -> None:
    async with database.write() as session:
        cast = await make_cast(session)
    may = {"owner", "site administrator", "system"}
    hidden = {"suspended", "deploy key", "writing deploy key", "deploy key for another repository"}
    for name, actor in cast.actors.items():
        found = await outcome(database, act(list_organization_tokens, actor, cast.organization.id))
        wanted: type[CairnError] | None = None if name in may else Forbidden
        wanted = NotFound if name in hidden else Unauthenticated if name == "anonymous" else wanted
        assert found is wanted, name
        revoked = await outcome(database, act(revoke_token_access, actor, cast.organization.id, [999_999]))
        assert revoked is (NotFound if wanted is None else wanted), name


async def test_the_list_is_kept_by_whose_what_and_when(any_database: Database) -> None:
    async with any_database.write() as session:
        cast = await make_cast(session)
        owner, guild = cast.actors["owner"], cast.organization.id
        engine, other = cast.repository.id, cast.other_repository.id
        made: dict[str, int] = {}
        for name, login, permissions, repository_ids, used in (
            ("every", "member", {"contents": "write"}, None, None),
            ("engine", "writer", {"contents": "read"}, frozenset({engine}), 1),
            ("both", "boss", {"members": "read"}, frozenset({engine, other}), 3),
            ("public", "boss", {}, frozenset(), 5),
        ):
            account_id = cast.accounts[login].id
            new = await create_fine_grained_token(
                session,
                cast.actors[login],
                account_id,
                name=name,
                owner_id=guild,
                permissions=permissions,
                repository_ids=repository_ids,
            )
            made[name] = new.row.id
            if used is not None:
                (await session.get_one(Token, new.row.id)).last_used_at = LONG_AGO + timedelta(days=used)
    day = [LONG_AGO + timedelta(days=number) for number in range(7)]
    for wanted, names in (
        (TokenFilter(), "public both engine every"),
        (TokenFilter(logins=frozenset({"BOSS", "writer"})), "public both engine"),
        (TokenFilter(token_ids=frozenset({made["every"], 999_999})), "every"),
        (TokenFilter(permission="contents"), "engine every"),
        (TokenFilter(permission="issues"), ""),
        (TokenFilter(repository_id=engine), "both engine every"),
        (TokenFilter(repository_id=other), "both every"),
        (TokenFilter(used_before=day[4]), "both engine"),
        (TokenFilter(used_after=day[2]), "public both"),
        (TokenFilter(logins=frozenset({"boss"}), used_before=day[4]), "both"),
    ):
        async with any_database.read() as session:
            found = await list_organization_tokens(session, owner, guild, wanted)
            assert [one.name for one in found.items] == names.split(), wanted
            assert found.total == len(names.split())
    async with any_database.read() as session:
        second = await list_organization_tokens(session, owner, guild, descending=False, page=2, per_page=3)
        assert ([one.name for one in second.items], second.total) == (["public"], 4)
        assert (await read_organization_token(session, owner, guild, made["both"])).login == "boss"
        with pytest.raises(NotFound):
            await read_organization_token(session, owner, guild, 999_999)


async def test_several_are_revoked_all_or_none(any_database: Database) -> None:
    """One that is somebody's own, or another organization's, is as absent as a number of nothing."""
    async with any_database.write() as session:
        cast = await make_cast(session)
        owner, guild = cast.actors["owner"], cast.organization.id
        other = await make_organization(session, "rivals", owner=cast.accounts["owner"])
        made = []
        for owner_id in (guild, guild, cast.accounts["owner"].id, other.id):
            new = await create_fine_grained_token(
                session, owner, cast.accounts["owner"].id, name="ci", owner_id=owner_id, permissions={}
            )
            made.append(new.row.id)
    first, second, own, foreign = made
    for wrong in (own, foreign, 999_999):
        assert await outcome(any_database, act(revoke_token_access, owner, guild, [first, wrong])) is NotFound
    async with any_database.write() as session:
        assert (await list_organization_tokens(session, owner, guild)).total == 2
        await revoke_token_access(session, owner, guild, [second, first, second])
        assert (await list_organization_tokens(session, owner, guild)).total == 0
        assert (await list_organization_tokens(session, owner, other.id)).total == 1


async def test_a_revoked_token_reaches_only_what_is_public(any_database: Database) -> None:
    async with any_database.write() as session:
        cast = await make_cast(session)
        owner, guild = cast.actors["owner"], cast.organization
        member = cast.actors["member"]
        assert member.account_id is not None
        made = await create_fine_grained_token(
            session,
            member,
            member.account_id,
            name="ci",
            owner_id=guild.id,
            permissions={"contents": "write", "members": "read"},
        )
    authenticator = make_authentication(any_database).authenticator
    scope = RepositoryScope(cast.repository.id, guild.id, Visibility.PRIVATE, Role.WRITE)
    before = (await authenticator.actor_of_token(made.secret)).actor
    assert decide(before, Action.REPOSITORY_PUSH, scope).allowed
    async with any_database.write() as session:
        found = await list_organization_tokens(session, owner, guild.id)
        assert [(one.id, one.login, one.name, found.total) for one in found.items] == [(made.row.id, "member", "ci", 1)]
        await revoke_token_access(session, owner, guild.id, [made.row.id])
        assert (await list_organization_tokens(session, owner, guild.id)).total == 0
        with pytest.raises(NotFound):
            await revoke_token_access(session, owner, guild.id, [made.row.id])
        refreshed = await refresh_actor(session, before)
    after = (await authenticator.actor_of_token(made.secret)).actor
    for actor in (after, refreshed):
        assert not decide(actor, Action.REPOSITORY_READ, scope).may_see
        public = RepositoryScope(cast.repository.id, guild.id, Visibility.PUBLIC, Role.WRITE)
        assert decide(actor, Action.REPOSITORY_READ, public).allowed
        assert not decide(actor, Action.REPOSITORY_PUSH, public).allowed
    async with any_database.read() as session:
        actions = (await session.scalars(select(AuditEntry.action))).all()
    assert actions[-1] == "token.revoke_access"
