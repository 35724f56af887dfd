"""The form of a ruleset: what it shows is what it reads."""

import pytest
from tests.factories.forge import Forge

from cairn.base.errors import FieldProblem, Invalid
from cairn.repositories.rules import types
from cairn.repositories.rules.holder import holder_of
from cairn.repositories.rules.rule_sections import SECTIONS
from cairn.repositories.rules.ruleset_form import (
    actors_of,
    bypass_of,
    content_of,
    filled_form,
    places_of,
    read_ruleset_form,
    show_refusal,
)
from cairn.repositories.rules.types import (
    BypassActor,
    BypassKind,
    BypassMode,
    Conditions,
    Enforcement,
    MatchOperator,
    RefNames,
    RuleActor,
    RulesetContent,
    RuleTarget,
    TextParameters,
)

MAINTAINERS = RuleActor(BypassKind.ROLE, 2)
TEXT = TextParameters(MatchOperator.REGEX, "^a = b$", negate=True, name="Words")
FULL = RulesetContent(
    name="Full",
    enforcement=Enforcement.EVALUATE,
    conditions=Conditions(RefNames(include=("~DEFAULT_BRANCH", "refs/heads/x"), exclude=("refs/heads/y",))),
    bypass_actors=(
        BypassActor(BypassKind.ROLE, 5),
        BypassActor(BypassKind.DEPLOY_KEY, None, BypassMode.PULL_REQUEST),
    ),
    rules=(
        types.Creation(types.CreationParameters((MAINTAINERS,))),
        types.Update(types.UpdateParameters(update_allows_fetch_and_merge=True, allowed_actors=())),
        types.Deletion(),
        types.NonFastForward(),
        types.LinearHistory(),
        types.Signatures(),
        types.CommitMessage(TEXT),
        types.CommitMessage(TextParameters(MatchOperator.CONTAINS, "x")),
        types.PullRequest(
            types.PullRequestParameters(
                required_approving_review_count=2, dismissal_actors=(MAINTAINERS,), allowed_merge_methods=("squash",)
            )
        ),
        types.StatusChecks(types.StatusChecksParameters((types.StatusCheck("ci = 3", 7), types.StatusCheck("lint")))),
        types.BranchName(TEXT),
        types.FilePaths(types.PathsParameters(("a/**",))),
        types.FilePathLength(types.PathLengthParameters(200)),
        types.FileExtensions(types.ExtensionsParameters(("exe",))),
        types.FileSize(types.FileSizeParameters(3)),
        types.Secrets(
            types.SecretsParameters(
                builtin=False,
                custom=(types.CustomSecret("Ours", "key=[a-z]+"),),
                allowed_paths=("t/**",),
                allowed_fingerprints=("0" * 16,),
            )
        ),
    ),
)


def fields_of(content: RulesetContent) -> dict[str, list[str]]:
    """Return what a browser sends of the form as it stands."""
    sent: dict[str, list[str]] = {}
    for name, value in filled_form(content).values.items():
        if isinstance(value, list):
            sent[name] = value
        elif value is not False and value is not None:
            sent[name] = ["true" if value is True else str(value)]
    return sent


@pytest.mark.parametrize("target", list(RuleTarget))
async def test_what_the_form_shows_is_what_it_reads(forge: Forge, target: RuleTarget) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    content = FULL
    if target is RuleTarget.TAG:
        content = RulesetContent(
            name="Tags",
            target=RuleTarget.TAG,
            enforcement=Enforcement.ACTIVE,
            conditions=Conditions(RefNames(include=("~ALL",))),
            rules=(types.Update(), types.TagName(TEXT)),
        )
    form = read_ruleset_form(fields_of(content))
    async with forge.database.read() as session:
        found = await content_of(session, ada.actor, holder_of(repository), form, before=content)
    prefix = target.prefix.decode()
    names = found.conditions.ref_name
    assert [one.removeprefix(prefix) for one in names.include] == [
        one.removeprefix(prefix) for one in content.conditions.ref_name.include
    ]
    assert found.bypass_actors == content.bypass_actors
    assert found.rules == content.rules
    assert (found.name, found.target, found.enforcement) == (content.name, content.target, content.enforcement)


def test_a_repeatable_rule_has_one_more_place() -> None:
    form = filled_form(FULL)
    assert len(places_of(form, SECTIONS["commit_message_pattern"])) == 3
    assert len(places_of(form, SECTIONS["commit_author_email_pattern"])) == 1
    assert len(places_of(form, SECTIONS["deletion"])) == 1


def test_everybody_it_names_is_told_by_number() -> None:
    form = filled_form(FULL)
    assert [one.actor_type for one in bypass_of(form)] == [BypassKind.ROLE, BypassKind.DEPLOY_KEY]
    assert (BypassKind.ROLE, 2) in actors_of(form)
    form.values["bypass.Nobody.x"] = "always"
    assert len(bypass_of(form)) == 2


@pytest.mark.parametrize(
    ("field", "message", "where"),
    [
        ("name", "too long", "name"),
        ("conditions", "no pattern", "include"),
        ("rules", "max_file_size: too large", "max_file_size.0"),
    ],
)
def test_a_refusal_stands_where_it_belongs(field: str, message: str, where: str) -> None:
    form = show_refusal(filled_form(FULL), Invalid(message, FieldProblem(field, "invalid", message)))
    assert where in form.problems
    assert form.summary == ""
    form = show_refusal(filled_form(FULL), Invalid("no", FieldProblem("bypass_actors", "invalid", "nobody")))
    assert form.summary == "nobody"
