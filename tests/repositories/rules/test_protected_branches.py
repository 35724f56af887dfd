"""Which branches are protected."""

from tests.factories.forge import Forge

from cairn.repositories.rules import types
from cairn.repositories.rules.edit import create_ruleset
from cairn.repositories.rules.protected_branches import read_ref_rules
from cairn.repositories.rules.types import Conditions, Enforcement, RefNames, RulesetContent, StatusCheck


async def test_a_branch_is_protected_by_rulesets_in_force_and_by_no_others(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    checks = types.StatusChecks(types.StatusChecksParameters((StatusCheck("ci"), StatusCheck("ci"))))
    async with forge.database.write() as session:
        for name, state, include in (
            ("a", Enforcement.ACTIVE, "~DEFAULT_BRANCH"),
            ("b", Enforcement.EVALUATE, "trial"),
            ("c", Enforcement.DISABLED, "off"),
        ):
            content = RulesetContent(
                name=name, enforcement=state, conditions=Conditions(RefNames(include=(include,))), rules=(checks,)
            )
            await create_ruleset(session, ada.actor, repository.id, content)
    async with forge.database.read() as session:
        rules = await read_ref_rules(session, repository)
    names = (b"main", b"trial", b"off", b"other")
    assert [rules.is_protected(b"refs/heads/" + name) for name in names] == [True, False, False, False]
    assert rules.checks_of(b"refs/heads/main") == [StatusCheck("ci")]
    assert rules.checks_of(b"refs/heads/other") == []
    assert not rules.is_protected(b"refs/tags/main")


async def test_the_page_of_branches_says_which_are_protected_as_soon_as_they_are(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine", files={"README.md": b"# Engine"})
    page, browser = "/ada/engine/branches", forge.browser()
    assert "Protected" not in (await browser.get(page)).text
    body = {"name": "a", "enforcement": "active", "conditions": {"ref_name": {"include": ["~ALL"]}}}
    made = (await forge.api(ada).call("POST", "/repos/ada/engine/rulesets", json=body)).json()
    shown = (await browser.get(page)).text
    assert "Protected" in shown
    assert "/ada/engine/rules?ref=refs%2Fheads%2Fmain" in shown
    for change in ({"enforcement": "evaluate"}, {"enforcement": "active"}):
        await forge.api(ada).call("PUT", f"/repos/ada/engine/rulesets/{made['id']}", json=change)
        assert ("Protected" in (await browser.get(page)).text) is (change["enforcement"] == "active")
