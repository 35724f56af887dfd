"""Objects of a change are read once each, and only those that a rule asks for."""

from pathlib import Path

import pytest
from tests.factories.git_repositories import StockRepository, init

from cairn.db.database import Database
from cairn.git.quarantine import Quarantine
from cairn.git.ref_transaction import RefUpdate
from cairn.git.runner import GitRunner
from cairn.git.types import ZERO_OID, Oid
from cairn.repositories.rules import contents as contents_module
from cairn.repositories.rules.contents import Contents
from cairn.repositories.rules.new_commits import TooMuchToExamine, changed_files, walk_new
from cairn.repositories.rules.types import (
    CommitMessage,
    FilePaths,
    MatchOperator,
    PathsParameters,
    Secrets,
    TextParameters,
)


@pytest.fixture
def stock(tmp_path: Path) -> StockRepository:
    return init(tmp_path / "stock")


async def test_one_walk_of_changes_serves_every_rule_about_files(
    database: Database, stock: StockRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tip = stock.commit({"a.env": "1"}, "wip")
    runner, place = GitRunner(home=tmp_path / "home"), Quarantine(stock.git_dir)
    calls = 0

    async def counted(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        return await changed_files(*arguments)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(contents_module, "changed_files", counted)
    contents = Contents(runner, database, "cairn.test", place, await walk_new(runner, place, [tip], []))
    brought = await contents.brought_by(RefUpdate(b"refs/heads/x", ZERO_OID, tip), tip, is_known=False)
    assert (brought.commits, brought.tags, brought.odd) == ([tip], {}, "")
    message = await contents.prepare(CommitMessage(TextParameters(MatchOperator.CONTAINS, "wip", negate=True)))
    assert len(list(message(brought))) == 1
    assert calls == 0
    for pattern, number in (("*.env", 1), ("*.x", 0)):
        check = await contents.prepare(FilePaths(PathsParameters((pattern,))))
        assert len(list(check(brought))) == number
    assert list((await contents.prepare(Secrets()))(brought)) == []
    assert calls == 1


async def test_a_tag_of_a_tag_is_read_to_its_end_and_not_for_ever(
    database: Database, stock: StockRepository, tmp_path: Path
) -> None:
    tip = stock.commit({"a": "1"})
    runner, place = GitRunner(home=tmp_path / "home"), Quarantine(stock.git_dir)
    contents = Contents(runner, database, "cairn.test", place, await walk_new(runner, place, [tip], []))
    target, tags = "HEAD", list[Oid]()
    for number in range(contents_module.TAGS_MAX + 1):
        stock.git("tag", "-a", "-m", "x", f"t{number}", target)
        target = f"t{number}"
        tags.append(Oid(stock.git("rev-parse", target).decode().strip()))
    for number in (0, contents_module.TAGS_MAX - 1):
        update = RefUpdate(b"refs/tags/t", ZERO_OID, tags[number], peeled=tip)
        brought = await contents.brought_by(update, tip, is_known=False)
        assert len(brought.tags) == number + 1
    with pytest.raises(TooMuchToExamine):
        await contents.brought_by(RefUpdate(b"refs/tags/t", ZERO_OID, tags[-1], peeled=tip), tip, is_known=False)
