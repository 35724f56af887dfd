"""The rule: may this actor do this action to this thing? ``visible()`` is the same rule as SQL, for lists.

Order of the rule: a suspended actor may nothing; the system may everything; a token must carry a scope and reach the
repository; then the role decides: owner and site administrator are admin, a grant gives its role, public (and for
people signed in internal) repositories give read. A site administrator's token is a plain user's unless it carries
``site_admin``. A token made for single repositories changes nothing else: with a key or a new repository it could
leave its bounds. A property test holds ``decide`` and ``visible`` equal row by row.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, exists, false, literal, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute

from cairn.access.actions import Action, effective_scopes
from cairn.access.models import Grant
from cairn.access.roles import ACTIONS_OF_ROLE, Role, Visibility, roles_with
from cairn.access.scopes import AccountScope, RepositoryScope, Scope, SiteScope
from cairn.base.actor import Actor, ActorKind
from cairn.base.errors import Forbidden, NotFound, Unauthenticated


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict. ``may_see`` tells whether a refusal may admit that the thing exists; ``reason`` is one sentence."""

    allowed: bool
    may_see: bool
    reason: str


_ALLOWED = Decision(allowed=True, may_see=True, reason="allowed")


def decide(actor: Actor, action: Action, scope: Scope) -> Decision:
    """Return whether ``actor`` may do ``action`` to ``scope``, and why not."""
    if actor.is_suspended:
        return Decision(allowed=False, may_see=False, reason="Your account is suspended; ask an administrator.")
    if actor.kind is ActorKind.SYSTEM:
        return _ALLOWED
    match scope:
        case RepositoryScope():
            return _decide_repository(actor, action, scope)
        case AccountScope():
            return _decide_account(actor, action, scope)
        case SiteScope():
            return _decide_site(actor, action)


def require(actor: Actor, action: Action, scope: Scope) -> None:
    """Return if ``actor`` may do ``action`` to ``scope``.

    Errors: NotFound for what the actor may not see; Unauthenticated if signing in could help; Forbidden says why.
    """
    verdict = decide(actor, action, scope)
    if verdict.allowed:
        return
    if not verdict.may_see:
        raise NotFound("Not Found")
    if not actor.is_signed_in:
        raise Unauthenticated("Sign in to do this.")
    raise Forbidden(verdict.reason)


def effective_role(actor: Actor, scope: RepositoryScope) -> Role | None:
    """Return the role the actor has on a repository before a token narrows it; None sees nothing."""
    if actor.kind is ActorKind.SYSTEM or has_site_power(actor):
        return Role.ADMIN
    if actor.is_signed_in and actor.account_id == scope.owner_id:
        return Role.ADMIN
    if scope.role is not None and actor.is_signed_in:
        return scope.role
    if scope.visibility is Visibility.PUBLIC or (scope.visibility is Visibility.INTERNAL and actor.is_signed_in):
        return Role.READ
    return None


def has_site_power(actor: Actor) -> bool:
    """Tell whether the actor acts as a site administrator: one at the keyboard, or with a token that says so."""
    if not actor.is_signed_in or not actor.is_site_admin or actor.is_suspended:
        return False
    return actor.limits is None or "site_admin" in actor.limits.scopes


def _decide_repository(actor: Actor, action: Action, scope: RepositoryScope) -> Decision:
    if not _token_sees(actor, scope):
        return Decision(allowed=False, may_see=False, reason="This token does not reach this repository.")
    role = effective_role(actor, scope)
    if role is None:
        return Decision(allowed=False, may_see=False, reason="You have no access to this repository.")
    if action not in ACTIONS_OF_ROLE[role]:
        wanted = roles_with(action)[0].value
        return Decision(
            allowed=False,
            may_see=True,
            reason=f"You have the {role.value} role here; this needs the {wanted} role. Ask an owner for it.",
        )
    if not _token_allows(actor, action, scope):
        names = ", ".join(sorted(action.facts.token_scopes))
        return Decision(
            allowed=False, may_see=True, reason=f"This token lacks the scope for this; it needs one of: {names}."
        )
    if scope.is_archived and action is not Action.REPOSITORY_READ and action not in _ON_ARCHIVED:
        return Decision(allowed=False, may_see=True, reason="This repository is archived and therefore read-only.")
    return _ALLOWED


_ON_ARCHIVED = frozenset({Action.REPOSITORY_ADMINISTER, Action.REPOSITORY_DELETE})


def _token_sees(actor: Actor, scope: RepositoryScope) -> bool:
    """A public repository is open to every token that names all repositories; else the token must reach it."""
    limits = actor.limits
    if limits is None:
        return True
    if scope.visibility is Visibility.PUBLIC:
        return True
    if limits.repository_ids is not None and scope.repository_id not in limits.repository_ids:
        return False
    return "repo" in limits.scopes


def _token_allows(actor: Actor, action: Action, scope: RepositoryScope) -> bool:
    limits = actor.limits
    if limits is None:
        return True
    if action is Action.REPOSITORY_READ and scope.visibility is Visibility.PUBLIC:
        return True
    if limits.repository_ids is not None and scope.repository_id not in limits.repository_ids:
        return False
    wanted = action.facts.token_scopes
    if scope.visibility is not Visibility.PUBLIC:
        wanted = wanted - {"public_repo"}
    return bool(wanted & effective_scopes(limits.scopes))


def _decide_account(actor: Actor, action: Action, scope: AccountScope) -> Decision:
    if action is Action.ACCOUNT_READ:
        return _ALLOWED
    if not actor.is_signed_in:
        return Decision(allowed=False, may_see=True, reason="Sign in to do this.")
    if actor.account_id != scope.account_id and not has_site_power(actor):
        return Decision(allowed=False, may_see=True, reason="This belongs to another account.")
    return _by_token_scope(actor, action)


def _decide_site(actor: Actor, action: Action) -> Decision:
    if action in {Action.SITE_VISIT, Action.SITE_MONITOR}:
        return _ALLOWED
    if action is Action.SITE_SIGN_IN:
        return _by_token_scope(actor, action)
    if not actor.is_site_admin:
        return Decision(allowed=False, may_see=False, reason="Only a site administrator may do this.")
    return _by_token_scope(actor, action)


def _by_token_scope(actor: Actor, action: Action) -> Decision:
    if actor.limits is None or not action.facts.token_scopes:
        return _ALLOWED
    if actor.limits.repository_ids is not None and action not in _BEYOND_SINGLE_REPOSITORIES:
        return Decision(allowed=False, may_see=True, reason="This token was made for single repositories only.")
    if action.facts.token_scopes & effective_scopes(actor.limits.scopes):
        return _ALLOWED
    names = ", ".join(sorted(action.facts.token_scopes))
    return Decision(
        allowed=False, may_see=True, reason=f"This token lacks the scope for this; it needs one of: {names}."
    )


_BEYOND_SINGLE_REPOSITORIES = frozenset({Action.ACCOUNT_READ_PRIVATE, Action.ACCOUNT_READ_KEYS})
"""What a token made for single repositories may still do elsewhere, given the scope: read, never change."""


@dataclass(frozen=True, slots=True)
class RepositoryColumns:
    """The columns of the repository table that the rule reads; ``access`` knows no more of it."""

    repository_id: InstrumentedAttribute[int]
    owner_id: InstrumentedAttribute[int]
    visibility: InstrumentedAttribute[Visibility]
    is_archived: InstrumentedAttribute[bool]


def visible(actor: Actor, action: Action, columns: RepositoryColumns) -> ColumnElement[bool]:
    """Return the rule of ``decide`` for repositories as a WHERE condition: true for the rows the actor may do it to."""
    if actor.is_suspended:
        return false()
    if actor.kind is ActorKind.SYSTEM:
        return true()
    return and_(
        _role_condition(actor, action, columns),
        _token_condition(actor, action, columns),
        _archive_condition(action, columns),
    )


def _role_condition(actor: Actor, action: Action, columns: RepositoryColumns) -> ColumnElement[bool]:
    if has_site_power(actor):
        return true()
    ways: list[ColumnElement[bool]] = []
    if action in ACTIONS_OF_ROLE[Role.READ]:
        open_to = [Visibility.PUBLIC, Visibility.INTERNAL] if actor.is_signed_in else [Visibility.PUBLIC]
        ways.append(columns.visibility.in_(open_to))
    if actor.is_signed_in:
        ways.append(columns.owner_id == actor.account_id)
        ways.append(
            exists(
                # ix_access_grant_account_id_repository_id
                select(literal(1)).where(
                    Grant.account_id == actor.account_id,
                    Grant.repository_id == columns.repository_id,
                    Grant.role.in_(roles_with(action)),
                )
            )
        )
    return or_(false(), *ways)


def _token_condition(actor: Actor, action: Action, columns: RepositoryColumns) -> ColumnElement[bool]:
    limits = actor.limits
    if limits is None:
        return true()
    is_public = columns.visibility == Visibility.PUBLIC
    reached: ColumnElement[bool] = true()
    if limits.repository_ids is not None:
        reached = columns.repository_id.in_(sorted(limits.repository_ids))
    has = effective_scopes(limits.scopes)
    wanted = action.facts.token_scopes
    on_public = true() if action is Action.REPOSITORY_READ else and_(reached, true() if wanted & has else false())
    private_allowed = "repo" in limits.scopes and bool((wanted - {"public_repo"}) & has)
    on_private = and_(reached, true() if private_allowed else false())
    return or_(and_(is_public, on_public), and_(~is_public, on_private))


def _archive_condition(action: Action, columns: RepositoryColumns) -> ColumnElement[bool]:
    if action is Action.REPOSITORY_READ or action in _ON_ARCHIVED:
        return true()
    return columns.is_archived.is_(False)
