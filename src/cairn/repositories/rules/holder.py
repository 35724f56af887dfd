"""Whose rulesets they are: one repository's, or an organization's for its repositories."""

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.actor import Actor
from cairn.identity.organizations import OrganizationView
from cairn.repositories.queries import RepositoryView
from cairn.repositories.rules import edit
from cairn.repositories.rules.queries import (
    list_rulesets,
    list_rulesets_of_owner,
    read_ruleset,
    read_ruleset_of_owner,
)
from cairn.repositories.rules.suites import Suite, SuiteFilter, list_suites, list_suites_of_owner
from cairn.repositories.rules.types import Ruleset, RulesetContent
from cairn.web.urls import path_join


@dataclass(frozen=True, slots=True)
class Holder:
    """A repository, or an organization: then ``repository_id`` is None. ``name`` is what people call it."""

    owner_id: int
    owner: str
    name: str
    repository_id: int | None
    has_owners: bool
    """It belongs to an organization, or is one."""
    path: str
    """Where the pages of its rulesets are."""
    default_branch: str = ""


def holder_of(repository: RepositoryView) -> Holder:
    """Return a repository as who has rulesets."""
    return Holder(
        owner_id=repository.owner_id,
        owner=repository.owner,
        name=repository.full_name,
        repository_id=repository.id,
        has_owners=repository.is_organizations,
        path=path_join(repository.owner, repository.name, "settings", "rules"),
        default_branch=repository.default_branch,
    )


def organization_holder(organization: OrganizationView) -> Holder:
    """Return an organization as who has rulesets."""
    return Holder(
        owner_id=organization.id,
        owner=organization.login,
        name=organization.login,
        repository_id=None,
        has_owners=True,
        path=path_join("organizations", organization.login, "settings", "rules"),
    )


async def list_for(session: AsyncSession, holder: Holder) -> list[Ruleset]:
    """Return somebody's rulesets, a repository's with those of its owner about it. The caller has authorized."""
    if holder.repository_id is None:
        return await list_rulesets_of_owner(session, holder.owner_id)
    return await list_rulesets(session, holder.repository_id)


async def read_for(
    session: AsyncSession, holder: Holder, ruleset_id: int, *, includes_parents: bool = False
) -> Ruleset:
    """Return one of somebody's rulesets. The caller has authorized. Errors: NotFound."""
    if holder.repository_id is None:
        return await read_ruleset_of_owner(session, holder.owner_id, ruleset_id)
    return await read_ruleset(session, holder.repository_id, ruleset_id, includes_parents=includes_parents)


async def create_for(session: AsyncSession, actor: Actor, holder: Holder, content: RulesetContent) -> Ruleset:
    """Give somebody a ruleset and return it. Errors as ``edit.create_ruleset``."""
    if holder.repository_id is None:
        return await edit.create_organization_ruleset(session, actor, holder.owner_id, content)
    return await edit.create_ruleset(session, actor, holder.repository_id, content)


async def update_for(
    session: AsyncSession,
    actor: Actor,
    holder: Holder,
    ruleset_id: int,
    content: RulesetContent,
    *,
    expected_version: int | None,
) -> Ruleset:
    """Replace one of somebody's rulesets and return it. Errors as ``edit.update_ruleset``."""
    if holder.repository_id is None:
        return await edit.update_organization_ruleset(
            session, actor, holder.owner_id, ruleset_id, content, expected_version=expected_version
        )
    return await edit.update_ruleset(
        session, actor, holder.repository_id, ruleset_id, content, expected_version=expected_version
    )


async def delete_for(session: AsyncSession, actor: Actor, holder: Holder, ruleset_id: int) -> None:
    """Forget one of somebody's rulesets. Errors as ``edit.delete_ruleset``."""
    if holder.repository_id is None:
        await edit.delete_organization_ruleset(session, actor, holder.owner_id, ruleset_id)
    else:
        await edit.delete_ruleset(session, actor, holder.repository_id, ruleset_id)


async def suites_for(
    session: AsyncSession, holder: Holder, wanted: SuiteFilter, *, page: int = 1, per_page: int = 30
) -> list[Suite]:
    """Return one page of what rulesets found at somebody's, the newest first. The caller has authorized."""
    if holder.repository_id is None:
        return await list_suites_of_owner(session, holder.owner_id, wanted, page=page, per_page=per_page)
    return await list_suites(session, holder.repository_id, wanted, page=page, per_page=per_page)
