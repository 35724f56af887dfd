"""What the form of a ruleset asks: a section for each rule, with a field for each of its parameters.

A rule that is added to ``types`` wants its line here; a test holds the two together.
"""

from dataclasses import dataclass
from enum import StrEnum

from cairn.repositories.rules.types import RuleTarget

BRANCHES = frozenset({RuleTarget.BRANCH})
TAGS = frozenset({RuleTarget.TAG})
BOTH = BRANCHES | TAGS


class Ask(StrEnum):
    """How a parameter is asked for."""

    FLAG = "flag"
    NUMBER = "number"
    LINE = "line"
    LINES = "lines"
    OPERATOR = "operator"
    METHODS = "methods"
    CHECKS = "checks"
    """Lines of names; `` = 7`` at the end names the program that must report it."""
    SECRETS = "secrets"
    """Lines of ``name = expression``."""
    ACTORS = "actors"
    """People and teams: those there are can be taken out, others put in by name."""


@dataclass(frozen=True, slots=True)
class RuleField:
    """One parameter of a rule; ``value`` is what stands there where nobody said anything."""

    name: str
    label: str
    ask: Ask
    hint: str = ""
    value: str | bool = ""


@dataclass(frozen=True, slots=True)
class RuleSection:
    """One rule: what it is called, what it does, for which refs, and what else it wants to know."""

    type: str
    title: str
    text: str
    fields: tuple[RuleField, ...] = ()
    targets: frozenset[RuleTarget] = BOTH
    is_repeatable: bool = False


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """Rules that belong together on the page."""

    title: str
    sections: tuple[RuleSection, ...]


OPERATORS = (
    ("starts_with", "begins with"),
    ("ends_with", "ends with"),
    ("contains", "contains"),
    ("regex", "matches the expression"),
)
METHODS = (("merge", "Merge commit"), ("squash", "Squash"), ("rebase", "Rebase"))
_EXPRESSIONS = "Expressions are RE2's and match anywhere in the text."


def _allowed(what: str) -> RuleField:
    return RuleField(
        "allowed_actors",
        f"May {what} all the same",
        Ask.ACTORS,
        "Everybody else may not; other rules hold for them too.",
    )


def _text(type_: str, title: str, text: str, targets: frozenset[RuleTarget] = BOTH) -> RuleSection:
    fields = (
        RuleField("operator", "How", Ask.OPERATOR),
        RuleField("pattern", "Text or expression", Ask.LINE, _EXPRESSIONS),
        RuleField("negate", "It must not be so", Ask.FLAG),
        RuleField("name", "In words", Ask.LINE, "Shown to whoever is refused."),
    )
    return RuleSection(type_, title, text, fields, targets, is_repeatable=True)


GROUPS: tuple[RuleGroup, ...] = (
    RuleGroup(
        "Who may change them",
        (
            RuleSection("creation", "Restrict creating", "Nobody creates matching refs.", (_allowed("create them"),)),
            RuleSection(
                "update",
                "Restrict pushing",
                "Nobody moves matching refs.",
                (
                    _allowed("push"),
                    RuleField(
                        "update_allows_fetch_and_merge",
                        "Let a fork's branch follow its parent's",
                        Ask.FLAG,
                    ),
                ),
            ),
            RuleSection("deletion", "Restrict deleting", "Nobody deletes matching refs."),
            RuleSection(
                "non_fast_forward", "Block force pushes", "Nothing that was there is lost: a push only adds commits."
            ),
        ),
    ),
    RuleGroup(
        "Commits",
        (
            RuleSection("required_linear_history", "Require a linear history", "No new commit has two parents."),
            RuleSection(
                "required_signatures", "Require signed commits", "Every new commit carries a signature that counts."
            ),
            _text("commit_message_pattern", "Commit messages", "How the messages of new commits must be."),
            _text("commit_author_email_pattern", "Authors' addresses", "From which addresses new commits are."),
            _text("committer_email_pattern", "Committers' addresses", "Whose addresses committed them."),
        ),
    ),
    RuleGroup(
        "Reviews and checks",
        (
            RuleSection(
                "pull_request",
                "Require a pull request",
                "Changes arrive by pull request. Until there are any, only who may bypass pushes.",
                (
                    RuleField("required_approving_review_count", "Approvals needed", Ask.NUMBER, "0 to 10.", "0"),
                    RuleField("dismiss_stale_reviews_on_push", "A new push takes approvals back", Ask.FLAG),
                    RuleField("require_code_owner_review", "A code owner must approve", Ask.FLAG),
                    RuleField("require_last_push_approval", "Somebody else must approve the last push", Ask.FLAG),
                    RuleField("required_review_thread_resolution", "Conversations must be resolved", Ask.FLAG),
                    RuleField("allowed_merge_methods", "Ways to merge", Ask.METHODS),
                    _allowed("push without one"),
                    RuleField("dismissal_actors", "May dismiss reviews", Ask.ACTORS, "Left empty, whoever may push."),
                ),
                BRANCHES,
            ),
            RuleSection(
                "required_status_checks",
                "Require checks to pass",
                "Kept already; it takes effect when checks are reported.",
                (
                    RuleField("required_status_checks", "Checks", Ask.CHECKS, "One name a line."),
                    RuleField(
                        "strict_required_status_checks_policy", "With the newest commits of the target", Ask.FLAG
                    ),
                    RuleField("do_not_enforce_on_create", "Not for a branch that is new", Ask.FLAG),
                ),
            ),
        ),
    ),
    RuleGroup(
        "Names",
        (
            _text("branch_name_pattern", "Branch names", "How new branches must be called.", BRANCHES),
            _text("tag_name_pattern", "Tag names", "How new tags must be called.", TAGS),
        ),
    ),
    RuleGroup(
        "Files",
        (
            RuleSection(
                "file_path_restriction",
                "Restrict paths",
                "No new commit changes a file at one of these paths.",
                (
                    RuleField(
                        "restricted_file_paths", "Paths", Ask.LINES, "One pattern a line, as .gitignore writes them."
                    ),
                ),
            ),
            RuleSection(
                "max_file_path_length",
                "Limit the length of paths",
                "No new commit changes a file with a longer path.",
                (RuleField("max_file_path_length", "Bytes at most", Ask.NUMBER, value="255"),),
            ),
            RuleSection(
                "file_extension_restriction",
                "Restrict file extensions",
                "No new commit changes a file that ends like this.",
                (RuleField("restricted_file_extensions", "Extensions", Ask.LINES, "One a line, like exe or jar."),),
            ),
            RuleSection(
                "max_file_size",
                "Limit the size of files",
                "No new commit adds a larger file.",
                (RuleField("max_file_size", "MiB at most", Ask.NUMBER, value="10"),),
            ),
        ),
    ),
    RuleGroup(
        "Secrets",
        (
            RuleSection(
                "secret_patterns",
                "Block secrets",
                "A push that brings a key or a password is refused, and told where it stands.",
                (
                    RuleField("builtin", "Known kinds of keys and tokens", Ask.FLAG, value=True),
                    RuleField("custom", "Patterns of your own", Ask.SECRETS, "One a line: name = expression (RE2)."),
                    RuleField(
                        "allowed_paths",
                        "Paths where they may stay",
                        Ask.LINES,
                        "One pattern a line, like tests/keys/**.",
                    ),
                    RuleField(
                        "allowed_fingerprints",
                        "Secrets that may stay",
                        Ask.LINES,
                        "One fingerprint a line, as a refusal names it.",
                    ),
                ),
            ),
        ),
    ),
)
SECTIONS: dict[str, RuleSection] = {one.type: one for group in GROUPS for one in group.sections}
