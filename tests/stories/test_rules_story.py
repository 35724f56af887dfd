"""Rules that cannot be read refuse, whoever asks by whatever door; an edit of rules and a push have an order."""

import asyncio
import random
from collections.abc import Iterator

import pytest
from sqlalchemy import select
from tests.factories.engines import engine
from tests.factories.pushes import pieces, push_request
from tests.factories.ruled import MAIN, Ruled, make_ruled
from tests.factories.seeds import chosen_seed

from cairn.base.errors import CairnError
from cairn.db.database import Database
from cairn.git import fail_points
from cairn.git.engine import Engine
from cairn.git.fail_points import FailPointError
from cairn.git.models import RefLog
from cairn.git.pktline import PktReader
from cairn.git.receive_pack import read_push_request
from cairn.git.types import ZERO_OID, Oid
from cairn.repositories.rules.models import RulesetRow

__all__ = ["engine"]

TOPIC = b"refs/heads/topic"
RACES = 90
"""Bounded by the rulesets a repository may have."""


@pytest.fixture
def failing() -> Iterator[None]:
    yield
    fail_points.configure(())


@pytest.fixture
async def ruled(database: Database, engine: Engine) -> Ruled:
    return await make_ruled(database, engine)


@pytest.mark.parametrize("step", ["rules_examined", "rules_read"])
async def test_a_rule_query_that_fails_refuses_and_moves_nothing(ruled: Ruled, failing: None, step: str) -> None:
    work = await ruled.commit({b"a": b"1"})
    for has_rules in (False, True):
        fail_points.configure([f"{step}=error@1"])
        with pytest.raises(FailPointError):
            await ruled.move(TOPIC, work)
        assert await ruled.tip(TOPIC) == ZERO_OID
        assert await ruled.move(TOPIC, work) == ""
        fail_points.configure(())
        assert await ruled.move(TOPIC, ZERO_OID) == ""
        if not has_rules:
            await ruled.rule("required_linear_history", "creation", include=["other"])


async def test_a_ruleset_that_this_program_cannot_read_refuses(ruled: Ruled) -> None:
    """A newer program wrote a rule that this one does not know, during an upgrade."""
    kept = await ruled.rule("deletion", include=["main"])
    work = await ruled.commit({b"a": b"1"})
    async with ruled.database.write() as session:
        row = await session.get_one(RulesetRow, kept.id)
        row.rules = [{"type": "from_the_future"}]
    with pytest.raises(Exception, match="from_the_future"):
        await ruled.move(TOPIC, work)
    assert await ruled.tip(TOPIC) == ZERO_OID


async def test_a_hundred_thousand_commands_are_refused_before_any_rule_is_asked(ruled: Ruled) -> None:
    base = await ruled.tip()
    commands = [(b"refs/heads/n%d" % number, ZERO_OID, base) for number in range(100_000)]
    reader = PktReader(pieces(push_request(commands), size=1 << 20), max_bytes=1 << 25)
    with pytest.raises(CairnError, match=r"10,000 refs \(CAIRN_MAX_PUSH_REFS\)"):
        await read_push_request(reader, ruled.engine.settings)


async def test_a_thousand_refs_under_a_hundred_patterns_are_judged_in_one_landing(ruled: Ruled) -> None:
    base = await ruled.tip()
    patterns = [f"team-{number}/**/x*y*z*[a-f]?" for number in range(99)]
    await ruled.rule("creation", include=[*patterns, "closed/*"])
    changes = [
        (b"refs/heads/%b/%d" % (b"closed" if number % 2 else b"open", number), ZERO_OID, base) for number in range(1000)
    ]
    said = await ruled.land(*changes)
    assert {bool(refusal) for name, refusal in said.items() if b"closed" in name} == {True}
    assert {refusal for name, refusal in said.items() if b"open" in name} == {""}


async def _race(ruled: Ruled, rng: random.Random, work: Oid) -> bool:
    """Let a push and the edit that forbids it meet in some order; return whether the push came first."""
    kept = await ruled.rule("creation", "required_linear_history", include=["topic"], enforcement="disabled")

    async def push() -> str:
        for _ in range(rng.randrange(40)):
            await asyncio.sleep(0)
        return await ruled.move(TOPIC, work)

    async def edit() -> None:
        for _ in range(rng.randrange(40)):
            await asyncio.sleep(0)
        await ruled.change_rule(kept, enforcement="active")

    refusal, _ = await asyncio.gather(push(), edit())
    async with ruled.database.read() as session:
        row = await session.get_one(RulesetRow, kept.id)
        landed = (
            select(RefLog.at).where(RefLog.name == TOPIC, RefLog.new_oid == work).order_by(RefLog.ref_version.desc())
        )
        at = await session.scalar(landed.limit(1))
    if refusal == "":
        assert at is not None
        assert at <= row.updated_at, "a push landed after the edit that forbids it"
        assert await ruled.tip(TOPIC) == work
    else:
        assert "creation" in refusal
        assert await ruled.tip(TOPIC) == ZERO_OID
    await ruled.change_rule(kept, enforcement="disabled")
    if await ruled.tip(TOPIC) != ZERO_OID:
        assert await ruled.move(TOPIC, ZERO_OID) == ""
    return refusal == ""


async def _races(ruled: Ruled, number: int) -> None:
    rng = random.Random(chosen_seed())
    work = await ruled.commit({b"a": b"1"})
    for _ in range(number):
        await _race(ruled, rng, work)
    # Both orders for sure, whatever the races came to.
    kept = await ruled.rule("creation", include=["topic"], enforcement="disabled")
    assert await ruled.move(TOPIC, work) == ""
    await ruled.move(TOPIC, ZERO_OID)
    await ruled.change_rule(kept, enforcement="active")
    assert "creation" in await ruled.move(TOPIC, work)
    assert await ruled.tip(MAIN) != ZERO_OID


async def test_an_edit_of_the_rules_and_a_push_have_an_order(ruled: Ruled) -> None:
    await _races(ruled, 4)


@pytest.mark.nightly
async def test_an_edit_of_the_rules_and_a_push_have_an_order_a_hundred_times(ruled: Ruled) -> None:
    await _races(ruled, RACES)
