"""Repositories whose names an organization's rulesets keep: another name would lead out of rules that go by names."""

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import may_in_organization
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid
from cairn.repositories.models import Repository
from cairn.repositories.rules.queries import rules_in_force
from cairn.repositories.rules.types import Enforcement, RepositoryNames, Ruleset


class NameKept(Invalid):
    """A ruleset of the organization keeps the repository's name."""


async def require_free_name(session: AsyncSession, actor: Actor, repository: Repository) -> None:
    """Return if the actor may give a repository another name: always, or as an owner of the organization.

    Errors: NameKept.
    """
    keeping = [one for one in await rules_in_force(session, repository.id) if _keeps_names(one)]
    if keeping and not await may_in_organization(session, actor, Action.ORGANIZATION_EDIT, repository.owner_id):
        message = f"The ruleset {keeping[0].name!r} keeps this name; ask an owner of the organization to change it."
        raise NameKept(message, FieldProblem("name", "invalid", message, "Repository"))


def _keeps_names(ruleset: Ruleset) -> bool:
    names = ruleset.content.conditions.repository_name
    is_active = ruleset.content.enforcement is Enforcement.ACTIVE
    return is_active and isinstance(names, RepositoryNames) and names.protected
