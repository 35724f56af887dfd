"""Rulesets to begin with: what most repositories want first."""

from dataclasses import dataclass

from cairn.repositories.rules import types
from cairn.repositories.rules.types import (
    ALL,
    DEFAULT_BRANCH,
    BypassKind,
    Conditions,
    Enforcement,
    RefNames,
    RuleActor,
    RulesetContent,
    RuleTarget,
)

_MAINTAINERS = RuleActor(BypassKind.ROLE, 2)


@dataclass(frozen=True, slots=True)
class Preset:
    """A ruleset that is offered; ``key`` names it in addresses."""

    key: str
    title: str
    text: str
    icon: str
    content: RulesetContent


PRESETS: tuple[Preset, ...] = (
    Preset(
        "default-branch",
        "Protect the default branch",
        "Nobody deletes it or rewrites what was pushed.",
        "git-branch",
        RulesetContent(
            name="Default branch",
            enforcement=Enforcement.ACTIVE,
            conditions=Conditions(RefNames(include=(DEFAULT_BRANCH,))),
            rules=(types.Deletion(), types.NonFastForward()),
        ),
    ),
    Preset(
        "release-tags",
        "Protect release tags",
        "Maintainers make tags like v1.2; nobody moves or deletes them.",
        "tag",
        RulesetContent(
            name="Release tags",
            target=RuleTarget.TAG,
            enforcement=Enforcement.ACTIVE,
            conditions=Conditions(RefNames(include=("refs/tags/v*",))),
            rules=(
                types.Creation(types.CreationParameters((_MAINTAINERS,))),
                types.Update(),
                types.Deletion(),
            ),
        ),
    ),
    Preset(
        "secrets",
        "Keep secrets out",
        "A push to any branch that brings a key or a token is refused.",
        "key",
        RulesetContent(
            name="No secrets",
            enforcement=Enforcement.ACTIVE,
            conditions=Conditions(RefNames(include=(ALL,))),
            rules=(types.Secrets(),),
        ),
    ),
)


def find_preset(key: str) -> Preset | None:
    """Return the preset of that name."""
    return next((one for one in PRESETS if one.key == key), None)
