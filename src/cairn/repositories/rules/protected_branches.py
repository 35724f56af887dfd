"""Which branches are protected: for lists of branches, and for what stands beside one."""

import asyncio
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.git.types import RefName
from cairn.repositories.queries import RepositoryView
from cairn.repositories.rules import types
from cairn.repositories.rules.queries import rules_in_force, rulesets_for
from cairn.repositories.rules.types import Enforcement, Ruleset, StatusCheck

_AT_ONCE_MAX = 10
"""Rulesets whose patterns are compiled on the spot; more would hold up everybody else of this program."""


@dataclass(frozen=True, slots=True)
class RefRules:
    """The rulesets in force in a repository; asks nothing more, however many refs there are."""

    active: tuple[Ruleset, ...]
    default: RefName

    def of(self, name: RefName) -> list[Ruleset]:
        """Return the rulesets in force for a ref."""
        return rulesets_for(self.active, name, default=self.default)

    def is_protected(self, name: RefName) -> bool:
        """Tell whether any ruleset in force is about a ref."""
        return bool(self.of(name))

    def checks_of(self, name: RefName) -> list[StatusCheck]:
        """Return the checks that rulesets in force ask of a ref, each name once."""
        found = [
            check
            for ruleset in self.of(name)
            for rule in ruleset.content.rules
            if isinstance(rule, types.StatusChecks)
            for check in rule.parameters.required_status_checks
        ]
        return list({check.context: check for check in found}.values())


async def read_ref_rules(session: AsyncSession, repository: RepositoryView) -> RefRules:
    """Return the rulesets in force in a repository, its owner's among them; one statement."""
    found = await rules_in_force(session, repository.id)
    active = tuple(one for one in found if one.content.enforcement is Enforcement.ACTIVE)
    rules = RefRules(active, repository.head_target)
    if len(active) > _AT_ONCE_MAX:
        await asyncio.to_thread(rules.of, repository.head_target)
    return rules
