"""What every program stands on is proved before it is used, and is closed in the end whatever happened."""

import asyncio
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest
from tests.factories.accounts import LONG_AGO, make_account
from tests.services.s3 import S3Server

from cairn.base.errors import Unavailable
from cairn.base.settings import SettingInvalid, Settings
from cairn.db.database import Database, open_database
from cairn.db.migrate import SchemaTooOld
from cairn.identity.key_canary import WrongSecretKey
from cairn.identity.last_used import LastUsed, Used
from cairn.identity.models import Token
from cairn.programs import services as services_module
from cairn.programs.services import Services, open_services
from cairn.storage.errors import StorageMisconfigured


async def test_a_key_signs_for_one_purpose_only(services: Services) -> None:
    """Attack: a signature made for one thing, a form, is shown as that for another, a signed-in session."""
    one, two = services.key_for("forms"), services.key_for("cookies")
    assert len(one) == len(two) == 32
    assert one != two
    assert services.secret_key.encode() not in one
    assert services.key_for("forms") == one


async def test_programs_of_one_installation_sign_alike_and_read_each_other_s_secrets(embedded: Settings) -> None:
    """No key is set: the first program makes it, and web and ssh must both have that one."""
    place = {"table": "t", "column": "c", "row": 1}
    async with open_services(embedded) as web, open_services(embedded) as ssh:
        assert web.key_for("forms") == ssh.key_for("forms")
        assert ssh.secrets.open(web.secrets.seal(b"secret", **place), **place) == b"secret"  # type: ignore[arg-type]  # mixed values


async def test_another_secret_key_signs_otherwise(services: Services, embedded: Settings) -> None:
    other = msgspec.structs.replace(embedded, secret_key="k" * 40, secret_keys_old=(services.secret_key,))
    async with open_services(other) as elsewhere:
        assert elsewhere.key_for("forms") != services.key_for("forms")


async def test_a_key_that_is_not_this_installation_s_stops_the_start(services: Services, embedded: Settings) -> None:
    assert services.secret_key
    with pytest.raises(WrongSecretKey):
        async with open_services(msgspec.structs.replace(embedded, secret_key="k" * 40)):
            pass


async def test_everything_is_there_and_works(services: Services) -> None:
    assert all(getattr(services, field.name) is not None for field in fields(services))
    await services.storage.put("k", b"x")
    assert await services.storage.get("k", max_bytes=1) == b"x"


async def test_a_database_without_the_schema_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(SchemaTooOld):
        async with open_services(Settings(data_dir=tmp_path)):
            raise AssertionError("opened")


async def test_a_database_server_without_a_secret_key_stops_the_start_before_anything_is_asked() -> None:
    settings = Settings(database_url="postgresql://u:p@127.0.0.1:1/n")
    with pytest.raises(SettingInvalid, match="CAIRN_SECRET_KEY"):
        async with open_services(settings):
            raise AssertionError("opened")


def open_descriptors() -> int:
    """Return how many files and sockets this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[Database]:
    """The databases that were closed."""
    found: list[Database] = []
    close = Database.close

    async def noting(database: Database) -> None:
        found.append(database)
        await close(database)

    monkeypatch.setattr(Database, "close", noting)
    return found


async def test_a_store_without_the_bucket_stops_the_start_and_closes_the_database(
    embedded: Settings, moto_server: S3Server, closed: list[Database]
) -> None:
    url = moto_server.storage_url("no-such-bucket")
    with pytest.raises(StorageMisconfigured, match="no such bucket"):
        async with open_services(msgspec.structs.replace(embedded, storage_url=url)):
            raise AssertionError("opened")
    assert len(closed) == 1


async def test_the_database_is_closed_and_no_descriptor_left_when_the_program_fails(
    embedded: Settings, closed: list[Database]
) -> None:
    before = open_descriptors()
    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_services(embedded):
            raise Unavailable("It broke.")
    assert caught.group_contains(Unavailable, match="It broke.")
    assert len(closed) == 1
    assert open_descriptors() == before


async def test_what_was_used_lately_is_written_at_the_end(embedded: Settings) -> None:
    async with open_services(embedded) as services:
        async with services.database.write() as session:
            account = await make_account(session)
            token = Token(
                account_id=account.id, token_sha256="0" * 64, name="t", last_characters="x", scopes=[],
                created_at=LONG_AGO,
            )  # fmt: skip
            session.add(token)
            await session.flush()
            token_id = token.id
        services.last_used.note(Used.TOKEN, token_id)
    database = open_database(embedded.effective_database_url, pool_size=1)
    try:
        async with database.read() as session:
            found = await session.get_one(Token, token_id)
            assert found.last_used_at is not None
    finally:
        await database.close()


async def test_times_of_use_that_cannot_be_written_end_no_program(
    embedded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is away for a moment: what is lost is a time on a settings page, not the node."""
    again = asyncio.Event()
    calls = 0

    async def failing(_notes: LastUsed, _database: Database) -> int:
        nonlocal calls
        calls += 1
        if calls > 2:
            again.set()
        raise Unavailable("away")

    monkeypatch.setattr(LastUsed, "flush", failing)
    monkeypatch.setattr(services_module, "FLUSH_SECONDS", 0.001)
    async with open_services(embedded):
        await asyncio.wait_for(again.wait(), 10)
    assert calls > 3
