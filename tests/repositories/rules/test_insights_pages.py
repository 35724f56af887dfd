"""What rulesets found, as their administrators see it."""

from tests.factories.forge import Forge

from cairn.base.clock import utc_now
from cairn.git.types import ZERO_OID
from cairn.repositories.rules.insights_pages import PER_PAGE, RESULTS
from cairn.repositories.rules.models import RuleSuite
from cairn.repositories.rules.types import SuiteResult

PAGE = "/ada/engine/settings/rules/insights"
FAIL, BYPASS, PASS = SuiteResult.FAIL, SuiteResult.BYPASS, SuiteResult.PASS


async def note(forge: Forge, repository_id: int, number: int, actor: str, ref: bytes, *results: SuiteResult) -> None:
    """Keep a finding as a push would have left it."""
    async with forge.database.write() as session:
        session.add(
            RuleSuite(
                repository_id=repository_id,
                actor_id=None,
                actor=actor,
                ref=ref,
                old_oid=ZERO_OID,
                new_oid=ZERO_OID,
                result=results[0],
                evaluation=results[1],
                findings=[
                    {
                        "ruleset_id": 1,
                        "ruleset": "Mine",
                        "enforcement": "active",
                        "rule": "deletion",
                        "message": f"finding {number} <b>",
                        "is_bypassed": results[0] is BYPASS,
                    }
                ],
                at=utc_now(),
            )
        )


async def test_what_was_found_is_told_and_filtered(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    browser = forge.browser(ada)
    assert "No ruleset had anything against a push yet" in (await browser.get(PAGE)).text
    await note(forge, repository.id, 1, "bob", b"refs/heads/main", FAIL, FAIL)
    await note(forge, repository.id, 2, "ada", b"refs/heads/main", BYPASS, BYPASS)
    await note(forge, repository.id, 3, "ada", b"refs/tags/v1", PASS, FAIL)
    shown = (await browser.get(PAGE)).text
    assert "<b>" not in shown
    for query, numbers in (
        ("", {1, 2, 3}),
        ("?person=bob", {1}),
        ("?person=@ADA", {2, 3}),
        ("?ref=main", {1, 2}),
        ("?ref=refs/tags/v1", {3}),
        ("?result=refused", {1}),
        ("?result=bypassed", {2}),
        ("?result=trial", {3}),
        ("?person=nobody", set()),
        ("?before=nonsense", {1, 2, 3}),
    ):
        text = (await browser.get(PAGE + query)).text
        assert {number for number in (1, 2, 3) if f"finding {number} " in text} == numbers, query
    assert set(RESULTS) == {"refused", "bypassed", "trial"}


async def test_pages_go_on_where_the_last_ended(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    for number in range(PER_PAGE + 1):
        await note(forge, repository.id, number, "bob", b"refs/heads/main", FAIL, FAIL)
    first = (await forge.browser(ada).get(PAGE)).text
    assert first.count("finding ") == PER_PAGE
    assert "finding 0 " not in first
    older = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    second = (await forge.browser(ada).get(older)).text
    assert second.count("finding ") == 1
    assert "finding 0 " in second
