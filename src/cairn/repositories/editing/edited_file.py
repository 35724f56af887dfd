"""A file that somebody edits: what their form began from, what it would change, and what happened to it meanwhile."""

import asyncio
from dataclasses import dataclass

from cairn.base.errors import FieldProblem, Invalid
from cairn.git.engine import Engine
from cairn.git.reading import ObjectNotFound, TreeEntry
from cairn.git.types import ZERO_OID, Oid, show
from cairn.lfs.pointers import read_pointer
from cairn.repositories.code.browse import Code, open_code
from cairn.repositories.code.revisions import Place, Revision, RevisionKind
from cairn.repositories.editing.change_preview import ChangePreview, preview_change
from cairn.repositories.editing.changes import Change, PutFile, RenameFile
from cairn.repositories.editing.edit_frame import CommitForm, EditPlace
from cairn.repositories.editing.editable_text import EDITABLE_BYTES_MAX, EditableText, NotEditable, open_text
from cairn.repositories.editing.merge_changes import merge_changes
from cairn.web.text_files import read_text


class EditForm(CommitForm):
    """A file's text and the path it is to have; ``resolving``: it was given with both sides of a conflict in it."""

    path: str = ""
    content: str = ""
    encoding: str = ""
    utf8: bool = False
    resolving: str = ""


@dataclass(frozen=True, slots=True)
class Began:
    """The file that a form began from; of a new one there is no ``blob``."""

    place: EditPlace
    text: EditableText
    blob: Oid | None = None

    @property
    def is_new(self) -> bool:
        """True where there was no file."""
        return self.blob is None


@dataclass(frozen=True, slots=True)
class Moved:
    """What happened to a file while somebody edited it.

    ``theirs`` is what changed, None where the file is gone. ``merged`` is what both sides make together, or what has
    both between markers (``is_conflict``); None where neither can be told as text.
    """

    head: Oid
    theirs: ChangePreview | None
    merged: str | None = None
    is_conflict: bool = False


async def open_file(code: Code, entry: TreeEntry, encoding: str) -> EditableText:
    """Return the text of a file; NotEditable with what to do instead."""
    if entry.is_submodule:
        raise NotEditable("It is a submodule: a commit of another repository. Move it with git, or delete it here.")
    content = await code.file(entry, max_bytes=EDITABLE_BYTES_MAX)
    if content.is_symlink:
        raise NotEditable("It is a symbolic link. Edit the file it leads to, or make it anew with git.")
    if content.data is None:
        raise NotEditable(
            f"It has {content.size_bytes:,} bytes, more than the {EDITABLE_BYTES_MAX:,} that can be edited here. "
            "Clone the repository and push your change."
        )
    if read_pointer(content.data) is not None:
        raise NotEditable(
            "It is kept in Git LFS, and what is here only points to it. Clone with Git LFS, change the file and push."
        )
    data = content.data
    return await asyncio.to_thread(lambda: open_text(data, encoding=encoding))


def path_of(began: Began, wanted: EditForm) -> bytes:
    """Return the path that a file is to have; one that is no UTF-8 stays what it is as long as nobody types another."""
    path = wanted.path.strip("/")
    if not began.is_new and path == show(began.place.path):
        return began.place.path
    if not path:
        message = "Give the file a name."
        raise Invalid(message, FieldProblem("path", "missing_field", message))
    return path.encode("utf-8", "replace")


def changes_of(began: Began, wanted: EditForm, data: bytes) -> list[Change]:
    path = path_of(began, wanted)
    if began.blob is None:
        return [PutFile(path, data, expected=ZERO_OID)]
    if path == began.place.path:
        return [PutFile(path, data, expected=began.blob)]
    content = None if data == began.text.original else data
    return [RenameFile(began.place.path, path, content, expected=began.blob)]


def title_of(began: Began, wanted: EditForm) -> str:
    path = show(path_of(began, wanted))
    if began.is_new:
        return f"Create {path}"
    return f"Update {path}" if path == show(began.place.path) else f"Rename {show(began.place.path)} to {path}"


async def what_moved(engine: Engine, began: Began, wanted: EditForm, data: bytes) -> Moved:
    place = began.place
    merged = await merge_changes(
        engine, place.repository, branch=place.ref, base=place.head, changes=changes_of(began, wanted, data)
    )
    theirs = await _content_at(engine, place, merged.head)
    if theirs is None:
        return Moved(merged.head, None)
    shown = await asyncio.to_thread(preview_change, place.path, began.text.original, theirs)
    path = path_of(began, wanted)
    for conflict in merged.conflicts:
        marked = None if conflict.merged is None else read_text(conflict.merged, encoding=began.text.encoding)
        return Moved(merged.head, shown, None if marked is None else marked.text, is_conflict=True)
    put = next((one for one in merged.changes if isinstance(one, PutFile) and one.path == path), None)
    # What the merge leaves as it is on the branch has both sides in it: they changed the same, and perhaps more.
    content = theirs if put is None else put.content
    assert isinstance(content, bytes), "a merge gives bytes"
    both = read_text(content, encoding=began.text.encoding)
    return Moved(merged.head, shown, None if both is None else both.text)


async def _content_at(engine: Engine, place: EditPlace, head: Oid) -> bytes | None:
    """Return the file as it is at a branch's present head, None if it is gone."""
    async with open_code(engine, place.repository.store_id) as code:
        try:
            entry = await code.entry(Place(Revision(RevisionKind.BRANCH, place.branch, head), place.path))
            return (await code.file(entry)).data
        except ObjectNotFound:
            return None
