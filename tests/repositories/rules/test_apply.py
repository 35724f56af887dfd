"""A landing under rules: what is kept, what is audited, what the terminal reads."""

from pathlib import Path

from sqlalchemy import select
from tests.factories.ruled import MAIN, Ruled, make_ruled

from cairn.audit.models import AuditEntry
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git.engine import Engine, open_engine
from cairn.git.types import ZERO_OID
from cairn.repositories.rules.apply import rule_lines
from cairn.repositories.rules.examine import make_examine
from cairn.repositories.rules.suites import SuiteFilter, list_suites, read_suite
from cairn.repositories.rules.types import SuiteResult
from cairn.storage.storage import open_storage

PAGE = "https://cairn.test/ada/mill/rules"


async def test_a_bypass_passes_with_a_trace_and_a_word_and_a_refusal_says_where_to_look(
    any_database: Database, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path / "node")
    async with open_engine(settings, any_database, open_storage(settings), make_examine=make_examine) as engine:
        await _bypass_and_be_refused(await make_ruled(any_database, engine))


async def _bypass_and_be_refused(ruled: Ruled) -> None:
    kept = await ruled.rule(
        "update", "deletion", include=["main"], bypass_actors=[{"actor_type": "RepositoryRole", "actor_id": 5}]
    )
    base, work = await ruled.tip(), await ruled.commit({b"a": b"1"})
    assert f"ruleset {kept.name!r}, update" in await ruled.move(MAIN, work)
    lines = rule_lines(ruled.verdicts[-1], page=PAGE)
    assert lines == [
        "",
        f"refs/heads/main is refused by ruleset {kept.name!r}:",
        "  update: nobody but those it names pushes here",
        f"  {PAGE}#ruleset-{kept.id}",
    ]
    assert await ruled.move(MAIN, work, actor=ruled.admin) == ""
    [line] = rule_lines(ruled.verdicts[-1], page=PAGE)
    assert line.startswith(f"bypassed rule update of ruleset {kept.name!r} for refs/heads/main")
    trial = await ruled.rule("creation", enforcement="evaluate", include=["topic"])
    assert await ruled.move(b"refs/heads/topic", work) == ""
    assert rule_lines(ruled.verdicts[-1], page=PAGE) == []
    async with ruled.database.read() as session:
        [entry] = await session.scalars(select(AuditEntry).where(AuditEntry.action == "ruleset.bypass"))
        suites = await list_suites(session, ruled.repository.id)
        failed = await list_suites(session, ruled.repository.id, SuiteFilter(result=SuiteResult.FAIL))
        assert await read_suite(session, ruled.repository.id, suites[0].id) == suites[0]
    assert entry.actor_id == ruled.ada.id
    assert entry.details["ref"] == "refs/heads/main"
    assert kept.name in entry.details["rules"]
    assert [(one.result, one.evaluation) for one in suites] == [
        (SuiteResult.PASS, SuiteResult.FAIL),
        (SuiteResult.BYPASS, SuiteResult.BYPASS),
        (SuiteResult.FAIL, SuiteResult.FAIL),
    ]
    assert [one.findings[0].ruleset_id for one in suites] == [trial.id, kept.id, kept.id]
    assert [(one.actor, one.ref, one.old_oid, one.new_oid) for one in failed] == [("bob", MAIN, base, work)]


async def test_a_change_nobody_has_anything_against_leaves_nothing(database: Database, engine: Engine) -> None:
    ruled = await make_ruled(database, engine)
    await ruled.rule("deletion", include=["main"])
    assert await ruled.push_file(b"a", b"1") == ""
    assert "default branch" in await ruled.move(MAIN, ZERO_OID)
    async with database.read() as session:
        assert await list_suites(session, ruled.repository.id) == []


async def test_a_refusal_of_all_or_nothing_is_kept_and_nothing_of_what_it_undid(
    any_database: Database, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path / "node")
    async with open_engine(settings, any_database, open_storage(settings), make_examine=make_examine) as engine:
        await _be_refused_as_a_whole(await make_ruled(any_database, engine))


async def _be_refused_as_a_whole(ruled: Ruled) -> None:
    await ruled.rule("deletion", "creation", include=["old"])
    administrators = [{"actor_type": "RepositoryRole", "actor_id": 5, "bypass_mode": "always"}]
    await ruled.rule("creation", include=["own"], bypass_actors=administrators)
    work = await ruled.commit({b"a": b"1"})
    changes = [(b"refs/heads/%s" % name, ZERO_OID, work) for name in (b"old", b"own", b"free")]
    said = await ruled.land(*changes, actor=ruled.admin, is_atomic=True)
    assert "creation" in said[b"refs/heads/old"]
    assert "atomic" in said[b"refs/heads/own"]
    async with ruled.database.read() as session:
        [suite] = await list_suites(session, ruled.repository.id)
        audited = await session.scalar(select(AuditEntry.id).where(AuditEntry.action == "ruleset.bypass"))
    assert (suite.ref, suite.result, suite.actor) == (b"refs/heads/old", SuiteResult.FAIL, "ada")
    assert audited is None, "nothing moved by a bypass"
    assert await ruled.tip(b"refs/heads/own") == ZERO_OID
