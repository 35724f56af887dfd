"""The shapes of rules survive the table and the API, and what is unknown is refused."""

from typing import Any

import msgspec
import pytest

from cairn.repositories.rules.types import (
    Enforcement,
    Rule,
    RulesetContent,
    RuleTarget,
    Secrets,
    read_content,
    type_of,
)

TEXT = {"operator": "regex", "pattern": "x", "negate": False, "name": ""}
RULES: list[dict[str, Any]] = [
    {"type": "creation"},
    {"type": "update", "parameters": {"update_allows_fetch_and_merge": True}},
    {"type": "deletion"},
    {"type": "non_fast_forward"},
    {"type": "required_linear_history"},
    {"type": "required_signatures"},
    {"type": "pull_request", "parameters": {"required_approving_review_count": 2}},
    {"type": "required_status_checks", "parameters": {"required_status_checks": [{"context": "ci"}]}},
    {"type": "commit_message_pattern", "parameters": TEXT},
    {"type": "commit_author_email_pattern", "parameters": TEXT},
    {"type": "committer_email_pattern", "parameters": TEXT},
    {"type": "branch_name_pattern", "parameters": TEXT},
    {"type": "tag_name_pattern", "parameters": TEXT},
    {"type": "file_path_restriction", "parameters": {"restricted_file_paths": ["*.env"]}},
    {"type": "max_file_path_length", "parameters": {"max_file_path_length": 100}},
    {"type": "file_extension_restriction", "parameters": {"restricted_file_extensions": ["*.exe"]}},
    {"type": "max_file_size", "parameters": {"max_file_size": 1}},
    {"type": "secret_patterns", "parameters": {"custom": [{"name": "ours", "pattern": "our_[0-9]+"}]}},
]


def test_every_rule_survives_the_table() -> None:
    rules = msgspec.convert(RULES, tuple[Rule, ...])
    assert [type_of(rule) for rule in rules] == [rule["type"] for rule in RULES]
    kept = msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(rules)))
    content = read_content(
        name="all",
        target=RuleTarget.BRANCH,
        enforcement=Enforcement.ACTIVE,
        conditions={"ref_name": {"include": ["~ALL"], "exclude": []}},
        bypass_actors=[{"actor_type": "RepositoryRole", "actor_id": 5, "bypass_mode": "always"}],
        rules=kept,
    )
    assert content.rules == rules
    assert msgspec.convert(msgspec.to_builtins(content), RulesetContent) == content


@pytest.mark.parametrize(
    "rule",
    [
        {"type": "workflows"},
        {"type": "deletion", "parameters": {"x": 1}},
        {"type": "max_file_size"},
        {"type": "max_file_size", "parameters": {"max_file_size": 0}},
        {"type": "commit_message_pattern", "parameters": {"operator": "like", "pattern": "x"}},
        {"type": "secret_patterns", "parameters": {"allowed_fingerprints": ["not one"]}},
        {"parameters": {}},
    ],
)
def test_a_rule_that_is_not_known_is_refused_and_never_skipped(rule: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert([rule], tuple[Rule, ...])


def test_looking_for_secrets_begins_with_the_built_in_ones() -> None:
    assert msgspec.convert({"type": "secret_patterns"}, Rule) == Secrets()
    assert Secrets().parameters.builtin
