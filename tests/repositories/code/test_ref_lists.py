"""Which refs a page lists, in which order; the pages themselves are tested with test_ref_pages."""

from datetime import UTC, datetime, timedelta

from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository

from cairn.git.ref_queries import RefValue
from cairn.git.types import Oid
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.ref_lists import (
    STALE_AFTER,
    Asked,
    Which,
    choose_branches,
    choose_tags,
    matching,
    read_branches,
    read_tags,
    short_name,
)

OID = Oid("1" * 40)


def test_names_are_matched_without_case_and_without_their_kind() -> None:
    refs = [RefValue(name, OID) for name in (b"refs/heads/Main", b"refs/heads/heads", b"refs/heads/\xff")]
    assert [short_name(ref) for ref in matching(refs, "MAI")] == [b"Main"]
    assert [short_name(ref) for ref in matching(refs, "heads")] == [b"heads"]
    assert [short_name(ref) for ref in matching(refs, "\udcff")] == [b"\xff"]
    assert matching(refs, "") is refs


async def test_a_branch_is_stale_from_the_day_it_is_too_old(forge: Forge, stock: StockRepository) -> None:
    committed = datetime.fromtimestamp(1700000001, UTC)
    async with open_code(forge.engine, 1) as code:
        for age, stale in ((STALE_AFTER, 0), (STALE_AFTER + timedelta(seconds=1), 2)):
            now = committed + age
            found = await choose_branches(code, Asked(Which.STALE, waits=True), own_emails=[], now=now)
            assert found.total == stale
            found = await choose_branches(code, Asked(Which.ACTIVE, waits=True), own_emails=[], now=now)
            assert found.total == 2 - stale
        own = await choose_branches(code, Asked(Which.YOURS, waits=True), own_emails=["ADA@example.org"], now=committed)
        assert own.total == 2
        rows, knows = await read_branches(code, own, waits=True)
        assert knows
        assert [(row.is_default, row.distance is None) for row in rows] == [(True, True), (False, False)]


async def test_each_tag_knows_the_one_before_it(forge: Forge, stock: StockRepository) -> None:
    async with open_code(forge.engine, 1) as code:
        found = await choose_tags(code, Asked(waits=True))
        rows = await read_tags(code, found)
    assert [short_name(row.ref) for row in rows] == [b"v2", b"v1", b"blob"]
    assert [row.previous and short_name(row.previous) for row in rows] == [b"v1", b"blob", None]
    assert [row.tag is not None for row in rows] == [True, False, False]
    assert rows[2].commit is None
