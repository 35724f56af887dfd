"""What a ruleset is: names, shapes and limits, as GitHub's API writes them and as the tables keep them.

A rule is a tagged union: ``{"type": "deletion"}`` or ``{"type": ..., "parameters": {...}}``. ``checks`` says what is
wrong with one before it is stored. What is stored and cannot be read refuses whatever it is asked for; it is never
skipped.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from cairn.access.roles import Role

RULESETS_MAX = 100
"""Rulesets of one repository; as many again may come from its owner."""

RULES_MAX = 30
PATTERNS_MAX = 100
PATTERN_LENGTH_MAX = 255
BYPASS_ACTORS_MAX = 100
CUSTOM_SECRETS_MAX = 20

DEFAULT_BRANCH = "~DEFAULT_BRANCH"
ALL = "~ALL"

ROLE_OF_NUMBER = {2: Role.MAINTAIN, 4: Role.WRITE, 5: Role.ADMIN}
"""GitHub's numbers of the roles that may stand in a bypass list; a stronger role bypasses as well."""

Pattern = Annotated[str, Meta(min_length=1, max_length=PATTERN_LENGTH_MAX)]
Patterns = Annotated[tuple[Pattern, ...], Meta(max_length=PATTERNS_MAX)]
Expression = Annotated[str, Meta(min_length=1, max_length=1000)]
Name = Annotated[str, Meta(max_length=100)]


class RuleTarget(StrEnum):
    """Which refs a ruleset is about; the values are GitHub's."""

    BRANCH = "branch"
    TAG = "tag"

    @property
    def prefix(self) -> bytes:
        """What the names of these refs begin with."""
        return b"refs/heads/" if self is RuleTarget.BRANCH else b"refs/tags/"


class Enforcement(StrEnum):
    """Whether a ruleset refuses; the values are GitHub's."""

    DISABLED = "disabled"
    EVALUATE = "evaluate"
    """On trial: everything passes, and what would have been refused is noted."""
    ACTIVE = "active"


class BypassKind(StrEnum):
    """Who a bypass is for; GitHub's words, and ``SiteAdmin``."""

    ROLE = "RepositoryRole"
    TEAM = "Team"
    USER = "User"
    DEPLOY_KEY = "DeployKey"
    """Any deploy key that may push, or the one whose id is given."""
    ORGANIZATION_ADMIN = "OrganizationAdmin"
    SITE_ADMIN = "SiteAdmin"


class BypassMode(StrEnum):
    """When somebody may bypass; GitHub's words."""

    ALWAYS = "always"
    PULL_REQUEST = "pull_request"
    """Only by merging a pull request: lets no push through."""


class SuiteResult(StrEnum):
    """What came of a change of a ref; GitHub's words."""

    PASS = "pass"  # noqa: S105 (a result)
    FAIL = "fail"
    BYPASS = "bypass"


class MatchOperator(StrEnum):
    """How a text is compared; GitHub's words. Expressions are RE2's and match anywhere."""

    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    CONTAINS = "contains"
    REGEX = "regex"


class _Rule(Struct, frozen=True, tag_field="type", forbid_unknown_fields=True):
    """Any rule."""


class RuleActor(Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody whom one rule lets through, while all other rules hold for them."""

    actor_type: BypassKind
    actor_id: int | None = None


RuleActors = Annotated[tuple[RuleActor, ...], Meta(max_length=BYPASS_ACTORS_MAX)]


class CreationParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """``allowed_actors`` may create all the same. Cairn's own."""

    allowed_actors: RuleActors = ()


class Creation(_Rule, frozen=True, tag="creation"):
    """Only those who may bypass, or whom the rule allows, create matching refs."""

    parameters: CreationParameters = CreationParameters()


class UpdateParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """``update_allows_fetch_and_merge``: a fork's branch may still be brought to where its parent's is.

    ``allowed_actors`` may push all the same, and meet the other rules; None says that nobody is to. Cairn's own.
    """

    update_allows_fetch_and_merge: bool = False
    allowed_actors: RuleActors | None = None


class Update(_Rule, frozen=True, tag="update"):
    """Only those who may bypass, or whom the rule allows, move matching refs: so it says who may push."""

    parameters: UpdateParameters = UpdateParameters()


class Deletion(_Rule, frozen=True, tag="deletion"):
    """Only those who may bypass delete matching refs."""


class NonFastForward(_Rule, frozen=True, tag="non_fast_forward"):
    """A ref moves to what reaches its old value."""


class LinearHistory(_Rule, frozen=True, tag="required_linear_history"):
    """No new commit has two parents."""


class Signatures(_Rule, frozen=True, tag="required_signatures"):
    """Every new commit, and an annotated tag itself, carries a signature that counts."""


class PullRequestParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """How a pull request must have been reviewed; kept for the review work."""

    dismiss_stale_reviews_on_push: bool = False
    require_code_owner_review: bool = False
    require_last_push_approval: bool = False
    required_approving_review_count: Annotated[int, Meta(ge=0, le=10)] = 0
    required_review_thread_resolution: bool = False
    allowed_actors: RuleActors = ()
    """Who may push without a pull request, and meets the other rules. Cairn's own."""
    dismissal_actors: RuleActors | None = None
    """Who may dismiss reviews; None: whoever may push. Cairn's own."""
    allowed_merge_methods: tuple[str, ...] = ("merge", "squash", "rebase")


class PullRequest(_Rule, frozen=True, tag="pull_request"):
    """A branch is moved by merging pull requests, not by pushing to it."""

    parameters: PullRequestParameters = PullRequestParameters()


class StatusCheck(Struct, frozen=True, forbid_unknown_fields=True):
    """A check by its name."""

    context: Pattern
    integration_id: int | None = None


class StatusChecksParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which checks must have passed; kept for the work on checks."""

    required_status_checks: Annotated[tuple[StatusCheck, ...], Meta(max_length=PATTERNS_MAX)] = ()
    strict_required_status_checks_policy: bool = False
    do_not_enforce_on_create: bool = False


class StatusChecks(_Rule, frozen=True, tag="required_status_checks"):
    """New commits have passed these checks. Kept, not asked for until there are checks."""

    parameters: StatusChecksParameters = StatusChecksParameters()


class TextParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """How a text must be: ``negate`` turns it into how it must not be; ``name`` says it in words."""

    operator: MatchOperator
    pattern: Expression
    negate: bool = False
    name: Name = ""


class CommitMessage(_Rule, frozen=True, tag="commit_message_pattern"):
    """The messages of new commits."""

    parameters: TextParameters


class AuthorEmail(_Rule, frozen=True, tag="commit_author_email_pattern"):
    """The author's address in new commits."""

    parameters: TextParameters


class CommitterEmail(_Rule, frozen=True, tag="committer_email_pattern"):
    """The committer's address in new commits."""

    parameters: TextParameters


class BranchName(_Rule, frozen=True, tag="branch_name_pattern"):
    """The names of new branches, without ``refs/heads/``."""

    parameters: TextParameters


class TagName(_Rule, frozen=True, tag="tag_name_pattern"):
    """The names of new tags, without ``refs/tags/``."""

    parameters: TextParameters


class PathsParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Patterns as ``.gitignore`` writes them."""

    restricted_file_paths: Patterns


class FilePaths(_Rule, frozen=True, tag="file_path_restriction"):
    """No new commit adds or changes a file at one of these paths."""

    parameters: PathsParameters


class PathLengthParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """In bytes of UTF-8."""

    max_file_path_length: Annotated[int, Meta(ge=1, le=32_767)]


class FilePathLength(_Rule, frozen=True, tag="max_file_path_length"):
    """No new commit adds or changes a file with a longer path."""

    parameters: PathLengthParameters


class ExtensionsParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """``*.exe``, ``.exe`` and ``exe`` are the same; case does not count."""

    restricted_file_extensions: Patterns


class FileExtensions(_Rule, frozen=True, tag="file_extension_restriction"):
    """No new commit adds or changes a file with one of these endings."""

    parameters: ExtensionsParameters


class FileSizeParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """In MiB, as GitHub counts."""

    max_file_size: Annotated[int, Meta(ge=1, le=1_048_576)]


class FileSize(_Rule, frozen=True, tag="max_file_size"):
    """No new commit adds or changes a file that is larger."""

    parameters: FileSizeParameters


class CustomSecret(Struct, frozen=True, forbid_unknown_fields=True):
    """A secret of one's own: an RE2 expression that matches within a line."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    pattern: Expression


class SecretsParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """What is looked for, and what may stay: files by pattern, secrets by the fingerprint a refusal names."""

    builtin: bool = True
    custom: Annotated[tuple[CustomSecret, ...], Meta(max_length=CUSTOM_SECRETS_MAX)] = ()
    allowed_paths: Patterns = ()
    allowed_fingerprints: Annotated[
        tuple[Annotated[str, Meta(pattern="^[0-9a-f]{16}$")], ...], Meta(max_length=1000)
    ] = ()


class Secrets(_Rule, frozen=True, tag="secret_patterns"):
    """No new commit brings a secret. Cairn's own rule."""

    parameters: SecretsParameters = SecretsParameters()


CommitRule = LinearHistory | Signatures | CommitMessage | AuthorEmail | CommitterEmail
FileRule = FilePaths | FilePathLength | FileExtensions | FileSize | Secrets
ExaminedRule = NonFastForward | CommitRule | FileRule
"""Rules that look at objects: ``examine`` does, where they are at hand."""
RefRule = Creation | Update | Deletion | PullRequest | StatusChecks | BranchName | TagName
"""Rules that look at the change of the ref alone."""
Rule = (
    Creation
    | Update
    | Deletion
    | NonFastForward
    | LinearHistory
    | Signatures
    | PullRequest
    | StatusChecks
    | CommitMessage
    | AuthorEmail
    | CommitterEmail
    | BranchName
    | TagName
    | FilePaths
    | FilePathLength
    | FileExtensions
    | FileSize
    | Secrets
)

TAKES_EFFECT_LATER = frozenset({"required_status_checks"})
"""Types that are kept and shown but ask for nothing yet."""


class RefNames(Struct, frozen=True, forbid_unknown_fields=True):
    """Patterns of full ref names, ``~DEFAULT_BRANCH`` and ``~ALL``; what is excluded stays out."""

    include: Patterns = ()
    exclude: Patterns = ()


class RepositoryNames(Struct, frozen=True, forbid_unknown_fields=True):
    """Patterns of repositories' names, and ``~ALL``; what is excluded stays out, and case does not count.

    Of a ``protected`` one nobody but an owner of the organization changes the name, which would lead out of the rules.
    """

    include: Patterns = ()
    exclude: Patterns = ()
    protected: bool = False


class Conditions(Struct, frozen=True, forbid_unknown_fields=True):
    """What a ruleset is about."""

    ref_name: RefNames = RefNames()
    repository_name: RepositoryNames | UnsetType = UNSET
    """Which repositories of an organization; a repository's own ruleset has none."""


class BypassActor(Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody for whom a ruleset does not refuse."""

    actor_type: BypassKind
    actor_id: int | None = None
    bypass_mode: BypassMode = BypassMode.ALWAYS


class RulesetContent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything about a ruleset that people say."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    target: RuleTarget = RuleTarget.BRANCH
    enforcement: Enforcement
    conditions: Conditions = Conditions()
    bypass_actors: Annotated[tuple[BypassActor, ...], Meta(max_length=BYPASS_ACTORS_MAX)] = ()
    rules: Annotated[tuple[Rule, ...], Meta(max_length=RULES_MAX)] = ()


@dataclass(frozen=True, slots=True)
class Ruleset:
    """A stored ruleset: of one repository, or of everything an account owns."""

    id: int
    version: int
    repository_id: int | None
    owner_id: int | None
    content: RulesetContent
    created_at: datetime
    updated_at: datetime

    @property
    def name(self) -> str:
        """What people call it."""
        return self.content.name

    @property
    def examined_rules(self) -> list[tuple[int, ExaminedRule]]:
        """The rules that look at objects, by their place."""
        return [(place, rule) for place, rule in enumerate(self.content.rules) if isinstance(rule, ExaminedRule)]

    @property
    def key(self) -> str:
        """What an examination under this very version is kept by."""
        return f"{self.id}.{self.version}"


def type_of(rule: Rule) -> str:
    """Return a rule's name."""
    tag = rule.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


def read_content(
    *, name: str, target: RuleTarget, enforcement: Enforcement, conditions: object, bypass_actors: object, rules: object
) -> RulesetContent:
    """Return a ruleset from its columns; msgspec.ValidationError for what this program does not know."""
    return RulesetContent(
        name=name,
        target=target,
        enforcement=enforcement,
        conditions=msgspec.convert(conditions, Conditions),
        bypass_actors=msgspec.convert(bypass_actors, tuple[BypassActor, ...]),
        rules=msgspec.convert(rules, tuple[Rule, ...]),
    )
