"""What is offered for a token: the owner's repositories the actor may see, the chosen ones first."""

from tests.factories.actors import make_cast

from cairn.db.database import Database
from cairn.repositories.token_choice import repositories_for_token, repository_names


async def test_the_chosen_ones_come_first_then_matches_of_what_the_actor_sees(any_database: Database) -> None:
    async with any_database.write() as session:
        cast = await make_cast(session)
        guild, engine, other = cast.organization.id, cast.repository.id, cast.other_repository.id
        owner, stranger = cast.actors["owner"], cast.actors["stranger"]
        none: frozenset[int] = frozenset()
        assert await repositories_for_token(session, owner, guild, "ENG", none) == [(engine, "engine")]
        assert await repositories_for_token(session, owner, guild, "eng", frozenset({other})) == [
            (other, "other"),
            (engine, "engine"),
        ]
        assert await repositories_for_token(session, owner, guild, "%", none) == []
        assert await repositories_for_token(session, owner, guild, "eng\0", none) == []
        assert await repositories_for_token(session, stranger, guild, "", frozenset({engine})) == []
        assert await repositories_for_token(session, owner, cast.accounts["owner"].id, "", frozenset({engine})) == []


async def test_names_are_of_the_owners_repositories_that_the_actor_sees(any_database: Database) -> None:
    async with any_database.write() as session:
        cast = await make_cast(session)
        guild, engine, other = cast.organization.id, cast.repository.id, cast.other_repository.id
        both = {other, engine, 999_999}
        found = await repository_names(session, cast.actors["owner"], guild, both)
        assert list(found.items()) == [(engine, "engine"), (other, "other")]
        assert await repository_names(session, cast.actors["stranger"], guild, both) == {}
        assert await repository_names(session, cast.actors["owner"], cast.accounts["owner"].id, both) == {}
