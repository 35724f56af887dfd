"""Credentials for another server: sealed for their row, and never shown."""

import base64
from pathlib import Path

import pytest
from sqlalchemy import text
from tests.factories.forge import Forge, Person
from tests.factories.git_http import GitServer
from tests.factories.importing import ask_for_import, import_of
from tests.factories.work import do_what_is_due

from cairn.base.errors import Invalid
from cairn.base.secret_box import SecretUnreadable
from cairn.base.settings import Settings
from cairn.repositories.imports.credentials import (
    NO_CREDENTIALS,
    Credentials,
    check_credentials,
    open_credentials,
    seal_credentials,
)
from cairn.repositories.imports.models import TABLE, ImportState, RepositoryImport


def test_what_is_sealed_opens_for_its_row_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    sealed = seal_credentials(settings, TABLE, 7, Credentials("ada", "s3cret"))
    assert sealed is not None
    assert b"s3cret" not in sealed
    assert open_credentials(settings, TABLE, 7, sealed) == Credentials("ada", "s3cret")
    with pytest.raises(SecretUnreadable):
        open_credentials(settings, TABLE, 8, sealed)


def test_nothing_is_kept_where_there_is_nothing(tmp_path: Path) -> None:
    assert seal_credentials(Settings(data_dir=tmp_path), TABLE, 7, NO_CREDENTIALS) is None
    assert open_credentials(Settings(data_dir=tmp_path), TABLE, 7, None) == NO_CREDENTIALS


def test_they_become_a_header_and_are_not_shown() -> None:
    made = Credentials("ada", "s3cret")
    assert base64.b64decode(made.authorization.removeprefix("Basic ")) == b"ada:s3cret"
    assert "s3cret" not in repr(made)
    assert base64.b64decode(Credentials("", "tok").authorization.removeprefix("Basic ")) == b"x-access-token:tok"
    assert NO_CREDENTIALS.authorization == ""


@pytest.mark.parametrize(("user", "password"), [("a:b", ""), ("a\r\nX: y", ""), ("", "p\n"), ("", "p" * 1001)])
def test_what_no_header_can_carry_is_refused_without_showing_it(user: str, password: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_credentials(user, password)
    assert password == "" or password not in refused.value.message


async def test_credentials_open_the_source_and_are_gone_afterwards(
    forge: Forge, ada: Person, server: GitServer, tmp_path: Path
) -> None:
    server.credentials = "ada:pass-w0rd-of-mine"
    made = await ask_for_import(forge, ada, server.url("r.git"), credentials=Credentials("ada", "pass-w0rd-of-mine"))
    async with forge.database.read() as session:
        row = await session.get_one(RepositoryImport, made.id)
        assert row.sealed is not None
        assert b"pass-w0rd" not in row.sealed
        assert "pass-w0rd" not in str((await session.execute(text("SELECT payload FROM job"))).all())
    await do_what_is_due(forge.engine)
    row = await import_of(forge, made)
    assert (row.state, row.sealed) == (ImportState.DONE, None)
    for table in ("job", "event", "audit_entry", "repository_import"):
        async with forge.database.read() as session:
            rows = (await session.execute(text(f"SELECT * FROM {table}"))).all()
            assert "pass-w0rd" not in str(rows), table
    assert not any(b"pass-w0rd" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
