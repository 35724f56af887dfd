"""What cannot be kept is refused with the reason, field by field."""

from typing import Any

import msgspec
import pytest
from tests.factories.accounts import make_account
from tests.factories.organizations import make_organization

from cairn.db.database import Database
from cairn.repositories.rules.checks import RulesetInvalid, check_bypass_actors, check_content, extension
from cairn.repositories.rules.types import BypassActor, BypassKind, RulesetContent

REGEX = {"operator": "regex", "pattern": "("}


def one(kind: str, **parameters: Any) -> dict[str, Any]:
    return {"rules": [{"type": kind, "parameters": parameters}]}


def content(**changes: Any) -> RulesetContent:
    base = {"name": "x", "enforcement": "active", "rules": []}
    return msgspec.convert(base | changes, RulesetContent)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": "  "}, "Give the ruleset a name"),
        ({"name": "a\nb"}, "without line breaks"),
        ({"rules": [{"type": "deletion"}, {"type": "deletion"}]}, "stands here twice"),
        ({"rules": [{"type": "commit_message_pattern", "parameters": REGEX}]}, "no expression that RE2 takes"),
        (one("commit_message_pattern", operator="regex", pattern="(a)\\1"), "RE2"),
        (one("commit_message_pattern", operator="regex", pattern="a*"), "nothing"),
        ({"rules": [{"type": "secret_patterns", "parameters": {"builtin": False}}]}, "looks for nothing"),
        ({"rules": [{"type": "secret_patterns", "parameters": {"custom": [{"name": "a", "pattern": "["}]}}]}, "RE2"),
        ({"rules": [{"type": "file_path_restriction", "parameters": {"restricted_file_paths": ["[z-a]"]}}]}, "range"),
        (one("file_extension_restriction", restricted_file_extensions=["a/b"]), "no"),
        ({"rules": [{"type": "pull_request", "parameters": {"allowed_merge_methods": ["octopus"]}}]}, "are some of"),
        ({"rules": [{"type": "tag_name_pattern", "parameters": REGEX | {"pattern": "x"}}]}, "about tags"),
        ({"target": "tag", "rules": [{"type": "pull_request"}]}, "about branches"),
        ({"conditions": {"ref_name": {"include": ["~SOME"]}}}, "is no pattern"),
        ({"target": "tag", "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"]}}}, "is a branch"),
        ({"conditions": {"ref_name": {"include": ["refs/tags/*"]}}}, "not below refs/heads/"),
        ({"conditions": {"ref_name": {"exclude": ["release/"]}}}, "ends in a slash"),
        ({"conditions": {"ref_name": {"include": ["a\u0000b"]}}}, "NUL"),
    ],
)  # fmt: skip
def test_what_could_not_work_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RulesetInvalid, match=said):
        check_content(content(**changes))


def test_short_names_become_full_ones_and_the_rest_stays() -> None:
    kept = check_content(content(name=" x ", conditions={"ref_name": {"include": ["main", "main", "~ALL"]}}))
    assert kept.name == "x"
    assert kept.conditions.ref_name.include == ("refs/heads/main", "~ALL")
    assert check_content(kept) == kept


def test_a_ruleset_that_is_too_large_is_refused() -> None:
    custom = [{"name": f"s{number}", "pattern": f"x{number}" + "y" * 990} for number in range(20)]
    paths = ["z" * 255] * 100
    rules = [
        {"type": "secret_patterns", "parameters": {"custom": custom, "allowed_paths": paths}},
        {"type": "file_path_restriction", "parameters": {"restricted_file_paths": paths}},
    ]
    with pytest.raises(RulesetInvalid, match="at most 65,536 bytes"):
        check_content(content(rules=rules))


def test_endings_are_written_in_three_ways() -> None:
    assert extension("*.EXE") == extension(".exe") == extension("exe") == ".exe"
    assert extension("*.tar.gz") == ".tar.gz"
    assert extension("a*b") == extension("*") == extension("") == ""


async def test_only_who_has_to_do_with_the_repository_stands_in_a_bypass_list(database: Database) -> None:
    async with database.write() as session:
        olga = await make_account(session, "olga")
        mills = await make_organization(session, "mills", owner=olga)

    async def check(*actors: BypassActor, owner_id: int) -> None:
        async with database.read() as session:
            await check_bypass_actors(session, actors, repository_id=1, owner_id=owner_id)

    await check(
        BypassActor(BypassKind.ROLE, 5),
        BypassActor(BypassKind.USER, olga.id),
        BypassActor(BypassKind.DEPLOY_KEY),
        BypassActor(BypassKind.SITE_ADMIN),
        BypassActor(BypassKind.ORGANIZATION_ADMIN),
        owner_id=mills.id,
    )
    for actor, owner_id in (
        (BypassActor(BypassKind.ROLE, 1), mills.id),
        (BypassActor(BypassKind.ROLE), mills.id),
        (BypassActor(BypassKind.USER, 999), mills.id),
        (BypassActor(BypassKind.TEAM, 999), mills.id),
        (BypassActor(BypassKind.DEPLOY_KEY, 999), mills.id),
        (BypassActor(BypassKind.ORGANIZATION_ADMIN), olga.id),
    ):
        with pytest.raises(RulesetInvalid, match="There is no"):
            await check(actor, owner_id=owner_id)
    with pytest.raises(RulesetInvalid, match="twice"):
        await check(BypassActor(BypassKind.ROLE, 5), BypassActor(BypassKind.ROLE, 5), owner_id=mills.id)
