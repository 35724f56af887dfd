"""What forms that commit share: messages, and whether a new branch is wanted. Their pages: test_edit_pages.py."""

import pytest

from cairn.base.errors import Conflict, Invalid, NotFoundHere
from cairn.git.types import Oid
from cairn.repositories.editing.commit_changes import branch_exists
from cairn.repositories.editing.edit_frame import CommitForm, EditPlace, message_of, reject, wants_new_branch
from cairn.web.forms import blank_form

HEAD = Oid("1" * 40)


def test_a_message_is_what_was_typed_or_what_is_done() -> None:
    assert message_of(CommitForm(), "Update a") == "Update a"
    assert message_of(CommitForm(message=" Mend it ", description=" Because.\n"), "Update a") == "Mend it\n\nBecause."


def test_a_new_branch_has_a_name_and_a_first_commit_has_none() -> None:
    place, unborn = EditPlace({}, b"main", b"a", HEAD), EditPlace({}, b"main", b"a", None)
    assert wants_new_branch(place, CommitForm(new_branch="side")) is None
    assert wants_new_branch(place, CommitForm(target="new", new_branch=" side ")) == b"refs/heads/side"
    assert wants_new_branch(unborn, CommitForm(target="new", new_branch="side")) is None
    with pytest.raises(Invalid, match="name"):
        wants_new_branch(place, CommitForm(target="new", new_branch=" "))


def test_what_is_refused_stands_where_it_belongs() -> None:
    form = blank_form(CommitForm)
    assert reject(form, branch_exists(b"refs/heads/side")) == 422
    assert "exists already" in form.problems["new_branch"]
    form = blank_form(CommitForm)
    assert reject(form, Conflict("Somebody was faster.")) == 409
    assert form.summary == "Somebody was faster."
    form = blank_form(CommitForm)
    assert reject(form, NotFoundHere("Branch side not found")) == 404
    assert form.summary == "Branch side not found"
