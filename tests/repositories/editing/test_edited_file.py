"""What a form means for a file: put, change or rename. How it is merged: test_edit_pages.py."""

import pytest

from cairn.base.errors import Invalid
from cairn.git.types import ZERO_OID, Oid, show
from cairn.repositories.editing.changes import PutFile, RenameFile
from cairn.repositories.editing.edit_frame import EditPlace
from cairn.repositories.editing.editable_text import EditableText, open_text
from cairn.repositories.editing.edited_file import Began, EditForm, changes_of, path_of, title_of

BLOB = Oid("2" * 40)


def began(path: bytes) -> Began:
    return Began(EditPlace({}, b"main", path, Oid("1" * 40)), open_text(b"a\n"), BLOB)


def test_a_new_file_expects_that_there_is_none() -> None:
    new = Began(EditPlace({}, b"main", b"src", Oid("1" * 40)), EditableText())
    wanted = EditForm(path="/src/a.py")
    assert changes_of(new, wanted, b"x") == [PutFile(b"src/a.py", b"x", expected=ZERO_OID)]
    assert title_of(new, wanted) == "Create src/a.py"
    with pytest.raises(Invalid, match="name"):
        path_of(new, EditForm(path="/"))


def test_a_file_is_changed_or_renamed_as_its_writer_saw_it() -> None:
    same, other = EditForm(path="a"), EditForm(path="b/a")
    assert changes_of(began(b"a"), same, b"x") == [PutFile(b"a", b"x", expected=BLOB)]
    assert changes_of(began(b"a"), other, b"a\n") == [RenameFile(b"a", b"b/a", None, expected=BLOB)]
    assert changes_of(began(b"a"), other, b"x") == [RenameFile(b"a", b"b/a", b"x", expected=BLOB)]
    assert title_of(began(b"a"), same) == "Update a"
    assert title_of(began(b"a"), other) == "Rename a to b/a"


def test_a_path_that_is_no_utf8_stays_until_somebody_types_another() -> None:
    odd = began(b"caf\xe9.txt")
    assert path_of(odd, EditForm(path=show(b"caf\xe9.txt"))) == b"caf\xe9.txt"
    assert path_of(odd, EditForm(path="café.txt")) == "café.txt".encode()
