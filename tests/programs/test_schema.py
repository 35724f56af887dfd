"""The draft of a version holds what the models have and the history has not."""

from pathlib import Path

import pytest
from sqlalchemy import Column, String, Table

from cairn.db import base
from cairn.db.migrate import head
from cairn.programs.schema import draft, metadata


async def test_a_draft_names_frozen_types_and_imports_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cairn.db.migrate.VERSIONS", tmp_path)
    assert head() == 0, "the folder for versions is empty now"

    async def nothing(database: object) -> int:
        return 0

    monkeypatch.setattr("cairn.db.migrate.upgrade", nothing)
    table = Table(
        "draft_test", metadata(), Column("id", base.BigId, primary_key=True), Column("name", base.binary(9)),
        Column("at", base.UtcDateTime()), Column("text", String(5)), **base.NUMBERED_TABLE,
    )  # fmt: skip
    try:
        path = await draft("a_draft")
    finally:
        metadata().remove(table)
    source = path.read_text()
    assert path.name == "0001_a_draft.py"
    compile(source, path.name, "exec")
    part = source[source.index("'draft_test'") :].split("op.create_table")[0]
    for expected in (
        "base.BigId",
        "base.binary(9)",
        "base.UtcDateTime()",
        "sa.String(length=5)",
        "**base.NUMBERED_TABLE",
    ):
        assert expected in part
    assert "models" not in source
