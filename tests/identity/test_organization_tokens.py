"""Owners of an organization see the tokens that reach it, and take their access away."""

import pytest
from sqlalchemy import select
from tests.factories.actors import make_cast
from tests.factories.authentication import make_authentication
from tests.factories.outcomes import act, outcome

from cairn.access.actions import Action
from cairn.access.decide import decide
from cairn.access.roles import Role, Visibility
from cairn.access.scopes import RepositoryScope
from cairn.audit.models import AuditEntry
from cairn.base.errors import CairnError, Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.identity.authenticate import refresh_actor
from cairn.identity.organization_tokens import list_organization_tokens, revoke_token_access
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
        revoked = await outcome(database, act(revoke_token_access, actor, cast.organization.id, 999_999))
        assert revoked is (NotFound if wanted is None else wanted), name


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
        await revoke_token_access(session, owner, guild.id, made.row.id)
        assert (await list_organization_tokens(session, owner, guild.id)).total == 0
        with pytest.raises(NotFound):
            await revoke_token_access(session, owner, guild.id, made.row.id)
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
