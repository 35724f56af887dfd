"""Rules that look at the change of a ref alone: each refuses what it names, ref by ref, and nothing else."""

import itertools
from typing import Any

import pytest
from tests.factories.ruled import MAIN, Ruled, make_ruled

from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.types import ZERO_OID
from cairn.repositories.rules.types import SuiteResult

TOPIC, RELEASE, TAG = b"refs/heads/topic", b"refs/heads/release/1", b"refs/tags/v1"
STARTS = {"operator": "starts_with", "pattern": "team/"}


@pytest.fixture
async def ruled(database: Database, engine: Engine) -> Ruled:
    return await make_ruled(database, engine)


async def test_a_rule_refuses_its_own_kind_of_change_and_lets_the_others_pass(ruled: Ruled) -> None:
    base, work = await ruled.tip(), await ruled.commit({b"a": b"1"})
    cases: list[tuple[dict[str, Any] | str, str]] = [
        ("creation", "create"),
        ("update", "move"),
        ("deletion", "delete"),
        ("non_fast_forward", "rewind"),
        ("pull_request", "move rewind"),
        ("required_status_checks", ""),
        ({"type": "branch_name_pattern", "parameters": STARTS}, "create"),
    ]
    for rule, refused in cases:
        kept = await ruled.rule(rule, include=["topic"])
        found = []
        for what, old, new in (
            ("create", ZERO_OID, base),
            ("move", base, work),
            ("rewind", work, base),
            ("delete", base, ZERO_OID),
        ):
            if await ruled.tip(TOPIC) != old:
                await ruled.change_rule(kept, enforcement="disabled")
                assert await ruled.move(TOPIC, old) == ""
                await ruled.change_rule(kept, enforcement="active")
            refusal = await ruled.move(TOPIC, new)
            if refusal:
                found.append(what)
                assert f"ruleset {kept.name!r}" in refusal
        wanted = {"move": ["move", "rewind"]} if rule == "update" else {}
        assert found == wanted.get(refused, refused.split()), rule
        await ruled.change_rule(kept, enforcement="disabled")
        if await ruled.tip(TOPIC) != ZERO_OID:
            await ruled.move(TOPIC, ZERO_OID)


async def test_each_ref_of_a_mixed_push_is_judged_alone_in_any_order(ruled: Ruled) -> None:
    base, work = await ruled.tip(), await ruled.commit({b"a": b"1"})
    await ruled.rule("update", "deletion", include=["main"])
    await ruled.rule("creation", target="tag")
    for order in itertools.permutations([(MAIN, base, work), (TOPIC, ZERO_OID, work), (TAG, ZERO_OID, work)]):
        said = await ruled.land(*order)
        assert [bool(said[name]) for name in (MAIN, TOPIC, TAG)] == [True, False, True]
        assert "update" in said[MAIN]
        assert "creation" in said[TAG]
        assert await ruled.move(TOPIC, ZERO_OID) == ""
        # All or nothing is nothing.
        said = await ruled.land(*order, is_atomic=True)
        assert all(said.values())
        assert await ruled.tip(TOPIC) == ZERO_OID
    assert await ruled.tip() == base


async def test_rules_that_changed_since_the_objects_were_examined_refuse(ruled: Ruled) -> None:
    work = await ruled.commit({b"a": b"1"})
    kept = await ruled.rule({"type": "max_file_size", "parameters": {"max_file_size": 1}})
    assert await ruled.move(TOPIC, work) == ""
    engine = ruled.engine
    stage = engine.stager.stage_written

    async def staged_before(*arguments: Any, **options: Any) -> Any:
        staged = await stage(*arguments, **options)
        await ruled.change_rule(
            kept, name=f"{kept.name} again", rules=[{"type": "max_file_size", "parameters": {"max_file_size": 2}}]
        )
        return staged

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(engine.stager), "stage_written", lambda self, *a, **o: staged_before(*a, **o))
        assert "rules changed while this was prepared; push again" in await ruled.move(RELEASE, work)
    assert await ruled.move(RELEASE, work) == ""


async def test_what_nobody_examined_is_refused_where_it_should_have_been(ruled: Ruled) -> None:
    """A program whose engine was opened without the examination must not be a way around the rules."""
    work = await ruled.commit({b"a": b"1"})
    await ruled.rule("required_linear_history")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(type(ruled.engine.stager), "_examined", lambda self, waiting: _as_they_are(waiting.updates))
        assert "push again" in await ruled.move(TOPIC, work)
    assert await ruled.move(TOPIC, work) == ""


async def _as_they_are(updates: Any) -> Any:
    return updates


async def test_a_ruleset_on_trial_lets_pass_and_says_what_it_would_have_done(ruled: Ruled) -> None:
    base, work = await ruled.tip(), await ruled.commit({b"a": b"1"})
    await ruled.rule("update", "deletion", include=["main"], enforcement="evaluate")
    assert await ruled.move(MAIN, work) == ""
    [found] = ruled.verdicts[-1].refs.values()
    assert (found.result, found.evaluation, found.refusal) == (SuiteResult.PASS, SuiteResult.FAIL, "")
    assert base != work == await ruled.tip()


async def test_who_may_push_is_said_by_the_rule_and_the_other_rules_hold_for_them(ruled: Ruled) -> None:
    base, work = await ruled.tip(), await ruled.commit({b"a": b"1"})
    people = [{"actor_type": "User", "actor_id": ruled.bob.id}]
    await ruled.rule({"type": "update", "parameters": {"allowed_actors": people}}, "non_fast_forward", include=["main"])
    assert "update" in await ruled.move(MAIN, work, actor=ruled.admin)
    assert await ruled.move(MAIN, work) == ""
    assert "non_fast_forward" in await ruled.move(MAIN, base)


async def test_a_sync_passes_where_the_rule_lets_it(ruled: Ruled) -> None:
    work = await ruled.commit({b"a": b"1"})
    kept = await ruled.rule("update", include=["main"])
    assert "update" in await ruled.move(MAIN, work, is_sync=True)
    allowing = [{"type": "update", "parameters": {"update_allows_fetch_and_merge": True}}]
    await ruled.change_rule(kept, rules=allowing)
    assert "update" in await ruled.move(MAIN, work)
    assert await ruled.move(MAIN, work, is_sync=True) == ""


async def test_names_of_new_refs_are_compared_without_their_folder(ruled: Ruled) -> None:
    base = await ruled.tip()
    await ruled.rule({"type": "branch_name_pattern", "parameters": STARTS})
    await ruled.rule(
        {"type": "tag_name_pattern", "parameters": {"operator": "regex", "pattern": "^v[0-9]+$"}}, target="tag"
    )
    assert "must start with 'team/'" in await ruled.move(TOPIC, base)
    assert await ruled.move(b"refs/heads/team/x", base) == ""
    assert "tag_name_pattern" in await ruled.move(b"refs/tags/x", base)
    assert await ruled.move(TAG, base) == ""
    # A ref outside both folders is not a branch and not a tag.
    assert await ruled.move(b"refs/other/x", base) == ""
