"""Rules in words."""

import pytest
from tests.repositories.rules.test_protection import stored

from cairn.repositories.rules import types
from cairn.repositories.rules.rule_words import rule_words
from cairn.repositories.rules.types import BypassKind, Enforcement, MatchOperator, Rule, RuleActor, RulesetContent


@pytest.mark.parametrize(
    ("rule", "title", "sentence"),
    [
        (types.Deletion(), "Restrict deleting", "Nobody deletes matching refs."),
        (
            types.Creation(types.CreationParameters((RuleActor(BypassKind.USER, 1),))),
            "Restrict creating",
            "Nobody creates matching refs. Some people or teams may all the same.",
        ),
        (
            types.PullRequest(types.PullRequestParameters(required_approving_review_count=2)),
            "Require a pull request",
            "Changes arrive by pull request. Until there are any, only who may bypass pushes. It takes 2 approvals.",
        ),
        (types.StatusChecks(), "Require checks to pass", "Checks that must have passed: none yet."),
        (
            types.TagName(types.TextParameters(MatchOperator.STARTS_WITH, "v", name="Versions")),
            "Tag names",
            "How new tags must be called. Each must start with 'v' (Versions).",
        ),
        (
            types.FilePaths(types.PathsParameters(("a/**", "b"))),
            "Restrict paths",
            "No new commit changes a file at a/**, b.",
        ),
        (
            types.FilePathLength(types.PathLengthParameters(1000)),
            "Limit the length of paths",
            "No path has more than 1,000 bytes.",
        ),
        (
            types.FileExtensions(types.ExtensionsParameters(("exe",))),
            "Restrict file extensions",
            "No new commit changes a file that ends in exe.",
        ),
        (types.FileSize(types.FileSizeParameters(5)), "Limit the size of files", "No new file is larger than 5 MiB."),
    ],
    ids=lambda value: value if isinstance(value, str) and value.istitle() else "",
)
def test_a_rule_says_what_it_asks(rule: Rule, title: str, sentence: str) -> None:
    content = RulesetContent(name="x", enforcement=Enforcement.ACTIVE, rules=(rule,))
    assert rule_words(stored(content)) == [(title, sentence)]
