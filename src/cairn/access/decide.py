"""The rule: may this actor do this action to this thing? ``cairn.access.visible`` is the same rule as SQL, for lists.

Order of the rule: a suspended actor may nothing; a deleted repository is absent; the system may everything; a deploy
key opens its repository and nothing else; a token must reach the thing and carry a scope or permission; then the role
decides. On a repository the owner, an owner of the owning organization and a site administrator are admin; the
strongest of all grants counts; public (and for people signed in internal) repositories give read.

A site administrator's token is a plain user's unless it carries ``site_admin``. A token made for single repositories
changes nothing else: with a key or a new repository it could leave its bounds. A property test holds this rule and
``visible`` equal row by row.
"""

from dataclasses import dataclass

from cairn.access.actions import Action, effective_scopes
from cairn.access.roles import (
    ACTIONS_OF_MEMBERS,
    ACTIONS_OF_ROLE,
    OrganizationRole,
    Role,
    TeamPrivacy,
    TeamRole,
    Visibility,
    roles_with,
)
from cairn.access.scopes import (
    AccountScope,
    OrganizationScope,
    RepositoryScope,
    Scope,
    SiteScope,
    TeamScope,
)
from cairn.base.actor import Actor, ActorKind, TokenLimits
from cairn.base.errors import Forbidden, NotFound, Unauthenticated


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict. ``may_see`` tells whether a refusal may admit that the thing exists; ``reason`` is one sentence."""

    allowed: bool
    may_see: bool
    reason: str


_ALLOWED = Decision(allowed=True, may_see=True, reason="allowed")

READING = frozenset({Action.REPOSITORY_SEE, Action.REPOSITORY_READ})
"""What a public repository is open for, to everybody and with every token."""
ON_ARCHIVED = READING | {
    Action.REPOSITORY_ADMINISTER,
    Action.REPOSITORY_READ_KEYS,
    Action.REPOSITORY_EDIT_KEYS,
    Action.REPOSITORY_TRANSFER,
    Action.REPOSITORY_DELETE,
}
"""What an archived repository still allows."""
WITH_DEPLOY_KEY = {False: READING, True: READING | {Action.REPOSITORY_PUSH}}
"""What a deploy key may do to its repository, by whether it may write."""


def decide(actor: Actor, action: Action, scope: Scope) -> Decision:
    """Return whether ``actor`` may do ``action`` to ``scope``, and why not."""
    if actor.is_suspended:
        return _hidden("Your account is suspended; ask an administrator.")
    if isinstance(scope, RepositoryScope) and scope.is_deleted:
        return _hidden("This repository is deleted.")
    if actor.kind is ActorKind.SYSTEM:
        return _ALLOWED
    if actor.kind is ActorKind.DEPLOY_KEY:
        return _decide_deploy_key(actor, action, scope)
    return _decide_person(actor, action, scope)


def _decide_person(actor: Actor, action: Action, scope: Scope) -> Decision:
    match scope:
        case RepositoryScope():
            return _decide_repository(actor, action, scope)
        case OrganizationScope():
            return _decide_organization(actor, action, scope)
        case TeamScope():
            return _decide_team(actor, action, scope)
        case AccountScope():
            return _decide_account(actor, action, scope)
        case SiteScope():
            return _decide_site(actor, action)


def require(actor: Actor, action: Action, scope: Scope) -> None:
    """Return if ``actor`` may do ``action`` to ``scope``.

    Errors: NotFound for what the actor may not see; Unauthenticated if signing in could help; Forbidden says why.
    """
    verdict = decide(actor, action, scope)
    if not verdict.may_see:
        raise NotFound("Not Found")
    require_allowed(actor, verdict)


def require_allowed(actor: Actor, verdict: Decision) -> None:
    """Return if ``verdict`` on something that ``actor`` may see allows it; Unauthenticated, Forbidden as above."""
    if verdict.allowed:
        return
    if actor.is_anonymous:
        raise Unauthenticated("Sign in to do this.")
    raise Forbidden(verdict.reason)


def effective_role(actor: Actor, scope: RepositoryScope) -> Role | None:
    """Return the role the actor has on a repository before a token narrows it; None sees nothing."""
    if scope.is_deleted:
        return None
    if scope.is_withheld and actor.kind is not ActorKind.SYSTEM and not has_site_power(actor):
        return None
    if actor.deploy_key is not None:
        is_its = actor.deploy_key.repository_id == scope.repository_id
        return (Role.WRITE if actor.deploy_key.can_write else Role.READ) if is_its else None
    if actor.kind is ActorKind.SYSTEM or has_site_power(actor):
        return Role.ADMIN
    if actor.is_signed_in and actor.account_id == scope.owner_id:
        return Role.ADMIN
    if scope.role is not None and actor.is_signed_in:
        return scope.role
    if scope.visibility is Visibility.PUBLIC or (scope.visibility is Visibility.INTERNAL and actor.is_signed_in):
        return Role.READ
    return None


def organization_role(actor: Actor, scope: OrganizationScope | TeamScope) -> OrganizationRole | None:
    """Return what the actor is in an organization before a token narrows it; site administrators are owners."""
    if has_site_power(actor):
        return OrganizationRole.OWNER
    return scope.role if isinstance(scope, OrganizationScope) else scope.organization_role


def has_site_power(actor: Actor) -> bool:
    """Tell whether the actor acts as a site administrator: one at the keyboard, or with a token that says so."""
    if not actor.is_signed_in or not actor.is_site_admin or actor.is_suspended:
        return False
    return actor.limits is None or "site_admin" in actor.limits.scopes


def _decide_deploy_key(actor: Actor, action: Action, scope: Scope) -> Decision:
    key = actor.deploy_key
    if key is None or not isinstance(scope, RepositoryScope) or scope.repository_id != key.repository_id:
        return _hidden("A deploy key opens one repository and nothing else.")
    if scope.is_withheld:
        return _hidden("This repository is withheld.")
    if action not in WITH_DEPLOY_KEY[key.can_write]:
        return _refused("This deploy key may only read." if action is Action.REPOSITORY_PUSH else
                        "A deploy key may fetch and push, nothing else.")  # fmt: skip
    return _unless_archived(action, scope)


def _decide_repository(actor: Actor, action: Action, scope: RepositoryScope) -> Decision:
    if not _token_sees(actor, scope):
        return _hidden("This token does not reach this repository.")
    role = effective_role(actor, scope)
    if role is None:
        return _hidden("You have no access to this repository.")
    if action not in ACTIONS_OF_ROLE[role]:
        wanted = roles_with(action)[0].value
        return _refused(f"You have the {role.value} role here; this needs the {wanted} role. Ask an owner for it.")
    if not token_allows(actor, action, scope):
        return _lacking(actor, action)
    return _unless_archived(action, scope)


def _unless_archived(action: Action, scope: RepositoryScope) -> Decision:
    if scope.is_archived and action not in ON_ARCHIVED:
        return _refused("This repository is archived and therefore read-only.")
    return _ALLOWED


def _token_sees(actor: Actor, scope: RepositoryScope) -> bool:
    """A public repository is open to every token; else the token must reach it."""
    limits = actor.limits
    if limits is None or scope.visibility is Visibility.PUBLIC:
        return True
    return _reaches(limits, scope) and (limits.permissions is not None or "repo" in limits.scopes)


def _reaches(limits: TokenLimits, scope: RepositoryScope) -> bool:
    if limits.permissions is not None and limits.owner_id != scope.owner_id:
        return False
    return limits.repository_ids is None or scope.repository_id in limits.repository_ids


def token_allows(actor: Actor, action: Action, scope: RepositoryScope) -> bool:
    """Tell whether the actor's token, if it is one, carries what an action on a repository takes; roles apart."""
    limits = actor.limits
    if limits is None:
        return True
    if action in READING and scope.visibility is Visibility.PUBLIC:
        return True
    if not _reaches(limits, scope):
        return False
    if limits.permissions is not None:
        return action.facts.permission in limits.permissions
    wanted = action.facts.token_scopes
    if scope.visibility is not Visibility.PUBLIC:
        wanted = wanted - {"public_repo"}
    return bool(wanted & effective_scopes(limits.scopes))


def _decide_organization(actor: Actor, action: Action, scope: OrganizationScope) -> Decision:
    if action is Action.ORGANIZATION_READ:
        return _ALLOWED
    if not actor.is_signed_in:
        return _refused("Sign in to do this.")
    role = organization_role(actor, scope)
    if role is None:
        return _refused("Only members of this organization may do this.")
    if role is not OrganizationRole.OWNER and action not in _actions_of_members(scope):
        return _refused("Only owners of this organization may do this.")
    return _by_token(actor, action, owner_id=scope.organization_id)


def _actions_of_members(scope: OrganizationScope) -> frozenset[Action]:
    allowed = set(ACTIONS_OF_MEMBERS)
    if scope.members_can_create_repositories:
        allowed.add(Action.REPOSITORY_CREATE)
    if scope.members_can_create_teams:
        allowed.add(Action.TEAM_CREATE)
    return frozenset(allowed)


def _decide_team(actor: Actor, action: Action, scope: TeamScope) -> Decision:
    role = organization_role(actor, scope)
    is_owner = role is OrganizationRole.OWNER
    if role is None or (scope.privacy is TeamPrivacy.SECRET and scope.role is None and not is_owner):
        return _hidden("Only members of this organization see its teams.")
    may_read = _by_token(actor, Action.TEAM_READ, owner_id=scope.organization_id)
    if not may_read.allowed:
        return _hidden(may_read.reason)
    if action is not Action.TEAM_READ and scope.role is not TeamRole.MAINTAINER and not is_owner:
        return _refused("Only maintainers of this team and owners of the organization may do this.")
    return _by_token(actor, action, owner_id=scope.organization_id)


def _decide_account(actor: Actor, action: Action, scope: AccountScope) -> Decision:
    if action is Action.ACCOUNT_READ:
        return _ALLOWED
    if not actor.is_signed_in:
        return _refused("Sign in to do this.")
    if actor.account_id != scope.account_id and not has_site_power(actor):
        return _refused("This belongs to another account.")
    return _by_token(actor, action, owner_id=scope.account_id)


def _decide_site(actor: Actor, action: Action) -> Decision:
    if action in {Action.SITE_VISIT, Action.SITE_MONITOR}:
        return _ALLOWED
    if action is not Action.SITE_SIGN_IN and not actor.is_site_admin:
        return _hidden("Only a site administrator may do this.")
    return _by_token(actor, action, owner_id=None)


def _by_token(actor: Actor, action: Action, *, owner_id: int | None) -> Decision:
    """Return whether a token lets this happen to an account or organization; ``owner_id`` None is the site."""
    limits = actor.limits
    if limits is None or not action.facts.token_scopes:
        return _ALLOWED
    if limits.repository_ids is not None and action not in _BEYOND_SINGLE_REPOSITORIES:
        return _refused("This token was made for single repositories only.")
    if limits.permissions is not None:
        is_its = owner_id is not None and limits.owner_id == owner_id
        has = is_its and action.facts.permission in limits.permissions
    else:
        has = bool(action.facts.token_scopes & effective_scopes(limits.scopes))
    return _ALLOWED if has else _lacking(actor, action)


_BEYOND_SINGLE_REPOSITORIES = frozenset(
    {
        Action.ACCOUNT_READ_PRIVATE,
        Action.ACCOUNT_READ_EMAILS,
        Action.ACCOUNT_READ_KEYS,
        Action.ACCOUNT_READ_SIGNING_KEYS,
        Action.ACCOUNT_READ_GPG_KEYS,
        Action.ORGANIZATION_READ_PRIVATE,
        Action.TEAM_READ,
    }
)
"""What a token made for single repositories may still do elsewhere, given the scope: read, never change."""


def _lacking(actor: Actor, action: Action) -> Decision:
    if actor.limits is not None and actor.limits.permissions is not None:
        wanted = action.facts.permission or "no fine-grained token has it"
        return _refused(f"This token lacks the permission for this on what it was made for; it needs: {wanted}.")
    names = ", ".join(sorted(action.facts.token_scopes))
    return _refused(f"This token lacks the scope for this; it needs one of: {names}.")


def _hidden(reason: str) -> Decision:
    return Decision(allowed=False, may_see=False, reason=reason)


def _refused(reason: str) -> Decision:
    return Decision(allowed=False, may_see=True, reason=reason)
