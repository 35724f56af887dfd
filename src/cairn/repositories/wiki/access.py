"""Who may write a wiki: who may push, or where its people allow it everybody who is signed in."""

from cairn.access.actions import Action
from cairn.access.decide import Decision, decide, require_allowed, token_allows
from cairn.access.roles import Visibility
from cairn.access.scopes import RepositoryScope
from cairn.base.actor import Actor
from cairn.base.errors import NotFound


def decide_wiki_edit(actor: Actor, scope: RepositoryScope, *, is_open: bool) -> Decision:
    """Return whether an actor may change the wiki, and why not: by web and by push alike.

    ``is_open``: the repository lets everybody in who is signed in, which counts while it is public. A token needs what
    a push needs; an archived repository's wiki is as read-only as its code.
    """
    pushing = decide(actor, Action.REPOSITORY_PUSH, scope)
    if pushing.allowed or not is_open or scope.visibility is not Visibility.PUBLIC:
        return pushing
    may_join = (
        actor.is_signed_in
        and not scope.is_archived
        and decide(actor, Action.REPOSITORY_READ, scope).allowed
        and token_allows(actor, Action.REPOSITORY_PUSH, scope)
    )
    return Decision(allowed=True, may_see=True, reason="allowed") if may_join else pushing


def require_wiki_edit(actor: Actor, scope: RepositoryScope, *, is_open: bool) -> None:
    """Return if the actor may change the wiki. Errors: NotFound, Unauthenticated, Forbidden with the reason."""
    verdict = decide_wiki_edit(actor, scope, is_open=is_open)
    if not verdict.may_see:
        raise NotFound("Not Found")
    require_allowed(actor, verdict)
