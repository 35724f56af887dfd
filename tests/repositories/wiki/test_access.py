"""The rule of wikis: whoever may push, and where it is open and public, everybody who is signed in."""

import pytest
from tests.factories.accounts import with_token

from cairn.access.roles import Role, Visibility
from cairn.access.scopes import RepositoryScope
from cairn.base.actor import ANONYMOUS, Actor, ActorKind
from cairn.base.errors import Forbidden, NotFound, Unauthenticated
from cairn.repositories.wiki.access import decide_wiki_edit, require_wiki_edit

OWNER = 1
STRANGER = Actor(ActorKind.USER, 2, "stranger")
SUSPENDED = Actor(ActorKind.USER, 3, "suspended", is_suspended=True)


def scope(
    visibility: Visibility = Visibility.PUBLIC, role: Role | None = None, *, is_archived: bool = False
) -> RepositoryScope:
    return RepositoryScope(10, OWNER, visibility, role, is_archived)


@pytest.mark.parametrize(
    ("actor", "where", "closed", "opened"),
    [
        (STRANGER, scope(role=Role.WRITE), True, True),
        (STRANGER, scope(role=Role.READ), False, True),
        (STRANGER, scope(), False, True),
        (ANONYMOUS, scope(), False, False),
        (SUSPENDED, scope(), False, False),
        (STRANGER, scope(role=Role.WRITE, is_archived=True), False, False),
        (STRANGER, scope(is_archived=True), False, False),
        (STRANGER, scope(Visibility.PRIVATE, Role.READ), False, False),
        (STRANGER, scope(Visibility.PRIVATE, Role.WRITE), True, True),
        (with_token(STRANGER, "read:user"), scope(), False, False),
        (with_token(STRANGER, "public_repo"), scope(), False, True),
    ],
)
def test_an_open_wiki_is_written_by_everybody_who_is_signed_in_and_no_other_is(
    actor: Actor, where: RepositoryScope, closed: bool, opened: bool
) -> None:
    assert decide_wiki_edit(actor, where, is_open=False).allowed is closed
    assert decide_wiki_edit(actor, where, is_open=True).allowed is opened


def test_a_refusal_admits_nothing_about_hidden_repositories() -> None:
    for is_open in (False, True):
        with pytest.raises(NotFound):
            require_wiki_edit(STRANGER, scope(Visibility.PRIVATE), is_open=is_open)
    with pytest.raises(Forbidden):
        require_wiki_edit(STRANGER, scope(), is_open=False)
    with pytest.raises(Unauthenticated):
        require_wiki_edit(ANONYMOUS, scope(), is_open=True)
