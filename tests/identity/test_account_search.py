"""Finding accounts by login and name, on each database."""

import pytest
from tests.factories.accounts import make_account
from tests.factories.organizations import make_organization

from cairn.base.actor import ANONYMOUS
from cairn.base.clock import utc_now
from cairn.db.database import Database
from cairn.identity.account_search import AccountSearch, search_accounts
from cairn.identity.models import AccountKind


@pytest.fixture
async def people(any_database: Database) -> Database:
    """ada (Ada Lovelace), adam, gone (deleted), the organization lovelaces."""
    async with any_database.write() as session:
        (await make_account(session, "ada")).name = "Ada Lovelace"
        await make_account(session, "adam")
        gone = await make_account(session, "ada-gone")
        gone.deleted_at = utc_now()
        (await make_organization(session, "lovelaces")).name = "100% of them"
    return any_database


@pytest.mark.parametrize(
    ("wanted", "logins"),
    [
        (AccountSearch(words=("ADA",)), ["ada", "adam"]),
        (AccountSearch(words=("love",)), ["lovelaces", "ada"]),
        (AccountSearch(words=("love",), in_name=False), ["lovelaces"]),
        (AccountSearch(words=("love",), in_login=False), ["ada"]),
        (AccountSearch(words=("ada", "love")), ["ada"]),
        (AccountSearch(words=("love",), kind=AccountKind.USER), ["ada"]),
        (AccountSearch(words=("%",)), ["lovelaces"]),
        (AccountSearch(words=("_",)), []),
        (AccountSearch(kind=AccountKind.ORGANIZATION), ["lovelaces"]),
    ],
)
async def test_accounts_are_found(people: Database, wanted: AccountSearch, logins: list[str]) -> None:
    async with people.read() as session:
        found = await search_accounts(session, ANONYMOUS, wanted)
        assert [one.login for one in found.items] == logins
        assert found.total == len(logins)
        second = await search_accounts(session, ANONYMOUS, wanted, page=2, per_page=1)
        assert [one.login for one in second.items] == logins[1:2]
        assert second.total == len(logins)
