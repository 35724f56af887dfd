"""Rules in words, for those who are to keep them."""

from collections.abc import Collection

import msgspec

from cairn.repositories.rules import types
from cairn.repositories.rules.rule_sections import SECTIONS
from cairn.repositories.rules.texts import said
from cairn.repositories.rules.types import Rule, Ruleset, type_of


def rule_words(ruleset: Ruleset) -> list[tuple[str, str]]:
    """Return title and sentence of each rule of a ruleset, in its order."""
    return [(SECTIONS[type_of(rule)].title, _sentence(rule)) for rule in ruleset.content.rules]


def deletion_warning(kinds: Collection[str]) -> str:
    """Return what to say of rules, by their names, under which branches that take no push can go; empty otherwise."""
    if "pull_request" not in kinds or "deletion" in kinds:
        return ""
    return (
        "Nothing here forbids deleting these branches: unless another ruleset does, whoever may push can delete one "
        "and make it anew with anything."
    )


def _sentence(rule: Rule) -> str:
    match rule:
        case types.Creation() | types.Update() if rule.parameters.allowed_actors:
            return f"{SECTIONS[type_of(rule)].text} Some people or teams may all the same."
        case types.PullRequest() if rule.parameters.required_approving_review_count:
            number = rule.parameters.required_approving_review_count
            approvals = "one approval" if number == 1 else f"{number} approvals"
            return f"{SECTIONS['pull_request'].text} It takes {approvals}."
        case types.StatusChecks():
            names = ", ".join(check.context for check in rule.parameters.required_status_checks)
            return f"Checks that must have passed: {names or 'none yet'}."
        case (
            types.CommitMessage() | types.AuthorEmail() | types.CommitterEmail() | types.BranchName() | types.TagName()
        ):
            plainly = said(msgspec.structs.replace(rule.parameters, name=""))
            called = f" ({rule.parameters.name})" if rule.parameters.name else ""
            return f"{SECTIONS[type_of(rule)].text} Each {plainly}{called}."
    return _of_files(rule) or SECTIONS[type_of(rule)].text


def _of_files(rule: Rule) -> str:
    match rule:
        case types.FilePaths():
            return f"No new commit changes a file at {', '.join(rule.parameters.restricted_file_paths)}."
        case types.FilePathLength():
            return f"No path has more than {rule.parameters.max_file_path_length:,} bytes."
        case types.FileExtensions():
            return f"No new commit changes a file that ends in {', '.join(rule.parameters.restricted_file_extensions)}."
        case types.FileSize():
            return f"No new file is larger than {rule.parameters.max_file_size:,} MiB."
    return ""
