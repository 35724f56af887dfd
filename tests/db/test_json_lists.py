"""Lists in JSON columns are asked the same on every database."""

from sqlalchemy import select
from tests.factories.accounts import LONG_AGO, make_account

from cairn.db.database import Database
from cairn.db.json_lists import list_has
from cairn.identity.models import Token


async def test_a_list_has_the_numbers_that_stand_in_it(any_database: Database) -> None:
    """Not those whose digits do, and a missing list has none; negated, the missing one is among the others."""
    large = 2**53 - 1
    lists = {"some": [7, large], "other": [77], "empty": [], "missing": None}
    async with any_database.write() as session:
        ada = await make_account(session, "ada")
        for name, numbers in lists.items():
            session.add(
                Token(
                    account_id=ada.id,
                    token_sha256=name.rjust(64, "0"),
                    name=name,
                    last_characters="",
                    scopes=[],
                    repository_ids=numbers,
                    created_at=LONG_AGO,
                )
            )
    async with any_database.read() as session:
        for number, wanted in ((7, {"some"}), (large, {"some"}), (large - 1, set()), (77, {"other"}), (8, set())):
            has = list_has(Token.repository_ids, number)
            assert set(await session.scalars(select(Token.name).where(has))) == wanted, number
            assert set(await session.scalars(select(Token.name).where(~has))) == lists.keys() - wanted, number
