"""A condition in two spellings selects the same rows everywhere, with each statement's own parameters."""

from sqlalchemy import make_url, or_, select
from tests.factories.accounts import make_account

from cairn.db.database import Database
from cairn.db.spelling import in_array, spelled
from cairn.identity.models import Account


async def test_both_spellings_select_the_same_rows(any_database: Database) -> None:
    """Twice with other parameters: the statement is compiled once and kept."""
    async with any_database.write() as session:
        ids = [(await make_account(session, login)).id for login in ("ada", "bob", "cid", "dan")]
    async with any_database.read() as session:
        for logins, first in ((["bob", "cid"], ids[0]), (["dan"], ids[1]), ([], ids[2])):
            wanted = select(Account.id).where(Account.login_key.in_(logins))
            elsewhere = or_(Account.id == first, Account.id.in_(wanted))
            led = spelled(or_(Account.id == first, in_array(Account.id, wanted)), elsewhere)
            found = set(await session.scalars(select(Account.id).where(led)))
            assert found == {first} | set(await session.scalars(wanted))
            assert set(await session.scalars(select(Account.id).where(~led))) == set(ids) - found


def test_each_database_reads_its_own() -> None:
    statement = select(Account.id).where(spelled(Account.login_key == "here", Account.login_key == "there"))
    for url, word in (("postgresql+asyncpg://", "here"), ("sqlite+aiosqlite://", "there")):
        dialect = make_url(url).get_dialect()()
        written = str(statement.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        assert written.endswith(f"(account.login_key = '{word}')")
