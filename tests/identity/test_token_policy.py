"""The bounds on lifetimes hold when a token is made and when one is used, by the installation and by organization."""

from datetime import UTC, datetime, timedelta

import pytest
from tests.factories.accounts import actor_of, make_account
from tests.factories.authentication import make_authentication
from tests.factories.organizations import make_organization

from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity.organizations import OrganizationChange, update_organization
from cairn.identity.token_policy import TokenLivesTooLong, exceeds, shortest
from cairn.identity.tokens import (
    TokenInvalid,
    create_fine_grained_token,
    create_token,
    regenerate_token,
)

READ = {"contents": "read"}
MADE = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days_of_life", "bound", "too_long"),
    [(None, 0, False), (9999, 0, False), (None, 30, True), (30, 30, False), (31, 30, True), (1, 30, False)],
)
def test_a_bound_is_exceeded_by_longer_lives_and_by_endless_ones(
    *, days_of_life: int | None, bound: int, too_long: bool
) -> None:
    end = None if days_of_life is None else MADE + timedelta(days=days_of_life)
    assert exceeds(MADE, end, bound) is too_long


def test_the_strictest_bound_counts_and_zero_is_none() -> None:
    assert [shortest(0, 0), shortest(0, 7), shortest(30, 7), shortest()] == [0, 7, 7, 0]


async def test_an_older_token_that_exceeds_a_new_bound_is_refused_with_the_reason(any_database: Database) -> None:
    async with any_database.write() as session:
        ada = await make_account(session, "ada")
        now = await database_now(session)
        endless = await create_token(session, actor_of(ada), ada.id, name="endless", scopes=["repo"])
        short = await create_token(
            session, actor_of(ada), ada.id, name="short", scopes=[], expires_at=now + timedelta(days=7)
        )
    strict = make_authentication(any_database, token_lifetime_max_days=30).authenticator
    await make_authentication(any_database).authenticator.actor_of_token(endless.secret)
    await strict.actor_of_token(short.secret)
    with pytest.raises(TokenLivesTooLong, match=r"at most 30 days.*Regenerate"):
        await strict.actor_of_token(endless.secret)
    async with any_database.write() as session:
        with pytest.raises(TokenInvalid, match="at most 30 days"):
            await regenerate_token(
                session, actor_of(ada), ada.id, endless.row.id, expires_at=None, lifetime_max_days=30
            )
        again = await regenerate_token(
            session,
            actor_of(ada),
            ada.id,
            endless.row.id,
            expires_at=now + timedelta(days=30),
            lifetime_max_days=30,
        )
    assert (await strict.actor_of_token(again.secret)).actor.account_id == ada.id


async def test_an_organization_bounds_the_tokens_made_for_it_and_no_others(any_database: Database) -> None:
    async with any_database.write() as session:
        ada = await make_account(session, "ada")
        guild = await make_organization(session, "guild", owner=ada)
        for_guild = await create_fine_grained_token(
            session, actor_of(ada), ada.id, name="t", owner_id=guild.id, permissions=READ
        )
        for_ada = await create_fine_grained_token(
            session, actor_of(ada), ada.id, name="t", owner_id=ada.id, permissions=READ
        )
        await update_organization(session, actor_of(ada), guild.id, OrganizationChange(token_lifetime_max_days=1))
    authenticator = make_authentication(any_database).authenticator
    await authenticator.actor_of_token(for_ada.secret)
    with pytest.raises(TokenLivesTooLong, match=r"The organization it is for .* at most 1 day"):
        await authenticator.actor_of_token(for_guild.secret)
    async with any_database.write() as session:
        with pytest.raises(TokenInvalid, match="organization lives at most 1 days"):
            await create_fine_grained_token(
                session, actor_of(ada), ada.id, name="t", owner_id=guild.id, permissions=READ
            )
