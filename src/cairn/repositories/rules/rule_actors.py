"""The people, teams and keys that rules name: by the numbers that are kept, by the names that people read and write."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.models import Team
from cairn.access.visible import visible_teams
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid
from cairn.identity.models import Account, AccountKind, SshKey
from cairn.identity.names import is_login
from cairn.identity.teams import TeamView, team_views
from cairn.repositories.rules.holder import Holder
from cairn.repositories.rules.types import ROLE_OF_NUMBER, BypassKind

ActorKey = tuple[BypassKind, int | None]
"""Somebody a rule names, as it is kept."""

_SLUG = re.compile(r"[A-Za-z0-9-]{1,255}")
_WORDS = {
    BypassKind.ORGANIZATION_ADMIN: "Owners of the organization",
    BypassKind.SITE_ADMIN: "Administrators of the installation",
}
_ROLE_WORDS = {"maintain": "Everybody who may maintain", "write": "Everybody who may push", "admin": "Administrators"}


@dataclass(frozen=True, slots=True)
class Person:
    """An account that a rule names."""

    id: int
    login: str
    kind: AccountKind
    is_site_admin: bool


@dataclass(frozen=True, slots=True)
class ActorNames:
    """Names of those whom rules name; who is gone, or may not be seen by the reader, is missing."""

    people: dict[int, Person] = field(default_factory=dict)
    teams: dict[int, TeamView] = field(default_factory=dict)
    keys: dict[int, str] = field(default_factory=dict)

    def label(self, key: ActorKey) -> str:
        """Return what a page calls somebody."""
        kind, number = key
        match kind:
            case BypassKind.ROLE:
                role = ROLE_OF_NUMBER.get(number or 0)
                return "A role that is not known here" if role is None else _ROLE_WORDS[role.value]
            case BypassKind.USER:
                return self.people[number or 0].login if number in self.people else "Somebody who left"
            case BypassKind.TEAM:
                return f"Team {self.teams[number or 0].name}" if number in self.teams else "A secret team"
            case BypassKind.DEPLOY_KEY:
                if number is None:
                    return "Every deploy key that may push"
                return f"Deploy key {self.keys[number]}" if number in self.keys else "A deleted deploy key"
        return _WORDS[kind]


async def read_actor_names(session: AsyncSession, actor: Actor, holder: Holder, keys: Iterable[ActorKey]) -> ActorNames:
    """Return the names of those somebody's rules name, as far as the actor may see them; in few statements."""
    wanted: dict[BypassKind, list[int]] = {}
    for kind, number in keys:
        if number is not None:
            wanted.setdefault(kind, []).append(number)
    found = ActorNames()
    if BypassKind.USER in wanted:
        # Primary key of account.
        people = await session.scalars(
            select(Account).where(Account.id.in_(wanted[BypassKind.USER]), Account.deleted_at.is_(None))
        )
        found.people.update((one.id, _person(one)) for one in people)
    if BypassKind.TEAM in wanted:
        # Primary key of team.
        teams = await session.scalars(
            select(Team).where(
                Team.id.in_(wanted[BypassKind.TEAM]),
                Team.organization_id == holder.owner_id,
                visible_teams(actor, holder.owner_id),
            )
        )
        found.teams.update((one.id, one) for one in await team_views(session, list(teams)))
    if BypassKind.DEPLOY_KEY in wanted:
        # Primary key of account_ssh_key; an organization has none.
        rows = await session.execute(
            select(SshKey.id, SshKey.title).where(
                SshKey.id.in_(wanted[BypassKind.DEPLOY_KEY]), SshKey.repository_id == holder.repository_id
            )
        )
        found.keys.update((number, title) for number, title in rows)
    return found


async def find_people(session: AsyncSession, logins: Sequence[str], *, where: str) -> list[int]:
    """Return the accounts of people by their names, in the order given. Errors: Invalid naming those there are not.

    ``where`` is the field that the error names.
    """
    wanted = [login.strip().removeprefix("@") for login in logins]
    possible = [login.lower() for login in wanted if is_login(login)]
    # uq_account_login_key
    rows = await session.execute(
        select(Account.login_key, Account.id).where(
            Account.login_key.in_(possible),
            Account.deleted_at.is_(None),
            Account.kind == AccountKind.USER,
        )
    )
    return _in_order(wanted, {row.login_key: row.id for row in rows}, where, "nobody called")


async def find_teams(
    session: AsyncSession, actor: Actor, holder: Holder, slugs: Sequence[str], *, where: str
) -> list[int]:
    """Return teams of the owner by their addresses, in the order given. Errors as ``find_people``."""
    wanted = [slug.strip() for slug in slugs]
    possible = [slug.lower() for slug in wanted if _SLUG.fullmatch(slug)]
    # uq_team_organization_id_slug
    rows = await session.execute(
        select(Team.slug, Team.id).where(
            Team.organization_id == holder.owner_id,
            Team.slug.in_(possible),
            visible_teams(actor, holder.owner_id),
        )
    )
    return _in_order(wanted, {row.slug: row.id for row in rows}, where, f"no team of {holder.owner} called")


def _in_order(wanted: Sequence[str], found: dict[str, int], where: str, nobody: str) -> list[int]:
    missing = [name for name in wanted if name.lower() not in found]
    if missing:
        message = f"There is {nobody} {', '.join(repr(name[:60]) for name in missing[:10])}."
        raise Invalid(message, FieldProblem(where, "invalid", message, "Ruleset"))
    return list(dict.fromkeys(found[name.lower()] for name in wanted))


def _person(row: Account) -> Person:
    return Person(row.id, row.login, row.kind, row.is_site_admin)
