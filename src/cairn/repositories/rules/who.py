"""Whom a bypass list or a rule names: whether it is the one who asks, as of now."""

from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.decide import effective_role
from cairn.access.models import OrganizationMember, TeamAncestor, TeamMember
from cairn.access.roles import RANKS, OrganizationRole
from cairn.access.scopes import RepositoryScope
from cairn.base.actor import Actor, ActorKind
from cairn.repositories.rules.types import ROLE_OF_NUMBER, BypassActor, BypassKind, BypassMode, RuleActor


class Who:
    """One actor at one repository in one transaction; teams and ownership are read once, and only if asked for."""

    def __init__(self, session: AsyncSession, actor: Actor, scope: RepositoryScope) -> None:
        self._session = session
        self._actor = actor
        self._scope = scope
        self._teams: set[int] | None = None
        self._owns: bool | None = None

    async def may_bypass(self, actors: Iterable[BypassActor]) -> bool:
        """Tell whether a bypass list lets this actor through whatever they do."""
        return await self.is_among(
            [RuleActor(one.actor_type, one.actor_id) for one in actors if one.bypass_mode is BypassMode.ALWAYS]
        )

    async def is_among(self, actors: Iterable[RuleActor]) -> bool:
        """Tell whether one of these is the actor. What a token leaves out was decided before: it may push."""
        for one in actors:
            if await self._is(one):
                return True
        return False

    async def _is(self, one: RuleActor) -> bool:
        actor = self._actor
        match one.actor_type:
            case BypassKind.SITE_ADMIN:
                return actor.is_site_admin or actor.kind is ActorKind.SYSTEM
            case BypassKind.DEPLOY_KEY:
                key = actor.deploy_key
                return key is not None and one.actor_id in {None, key.key_id}
            case BypassKind.USER:
                return actor.account_id is not None and actor.account_id == one.actor_id
            case BypassKind.ROLE:
                wanted = ROLE_OF_NUMBER.get(one.actor_id or 0)
                role = effective_role(actor, self._scope) if actor.account_id is not None else None
                return wanted is not None and role is not None and RANKS[role] >= RANKS[wanted]
            case BypassKind.TEAM:
                return one.actor_id in await self._all_teams()
            case BypassKind.ORGANIZATION_ADMIN:
                return await self._owns_organization()

    async def _all_teams(self) -> set[int]:
        """Return the teams the actor is in, by themselves or through a child team, of whatever organization."""
        if self._teams is None and self._actor.account_id is not None:
            # ix_team_member_account_id_team_id, primary key of team_ancestor.
            found = await self._session.scalars(
                select(TeamAncestor.ancestor_id)
                .join(TeamMember, TeamMember.team_id == TeamAncestor.team_id)
                .where(TeamMember.account_id == self._actor.account_id)
            )
            self._teams = set(found)
        return self._teams or set()

    async def _owns_organization(self) -> bool:
        if self._owns is None:
            # Primary key of organization_member.
            role = await self._session.scalar(
                select(OrganizationMember.role).where(
                    OrganizationMember.organization_id == self._scope.owner_id,
                    OrganizationMember.account_id == self._actor.account_id,
                )
            )
            self._owns = role is OrganizationRole.OWNER
        return self._owns
