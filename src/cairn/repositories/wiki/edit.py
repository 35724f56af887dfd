"""Writing a wiki's pages: each change is a commit on its branch, through the one service that commits for people."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid, NotFound
from cairn.git.engine import Engine
from cairn.git.types import ZERO_OID, Oid, RefName, is_oid
from cairn.repositories.code.browse import open_code
from cairn.repositories.editing.changes import Change, DeleteFile, PutFile, RenameFile
from cairn.repositories.editing.commit_changes import Committed, commit_changes
from cairn.repositories.editing.editable_text import EditableText, open_text
from cairn.repositories.editing.merge_changes import MergedChanges, merge_changes
from cairn.repositories.queries import RepositoryView
from cairn.repositories.wiki.access import require_wiki_edit
from cairn.repositories.wiki.landing import Also, make_wiki_within
from cairn.repositories.wiki.page_names import (
    FORMATS,
    PageIndex,
    PageNameInvalid,
    WikiPage,
    full_title_of,
    key_of,
    name_of,
    path_of_title,
)
from cairn.repositories.wiki.reading import open_wiki, wiki_view
from cairn.repositories.wiki.renames import note_rename
from cairn.repositories.wiki.stores import NoWiki, ensure_wiki_store

PAGE_TEXT_BYTES_MAX = 1 << 20
"""Larger pages are pushed, and shown as they are."""

MESSAGE_LENGTH_MAX = 1000


class PageGone(NotFound):
    """The page to change or delete is not there any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageEdit:
    """What somebody wrote. ``page`` is what they edited, None for a new page; ``base`` the commit they saw it in."""

    title: str
    ending: str
    text: str
    message: str = ""
    page: WikiPage | None = None
    base: Oid | None = None


async def save_page(engine: Engine, actor: Actor, repository: RepositoryView, edit: PageEdit) -> bytes:
    """A page has this title and text; return its name. A page of another title has moved, and its old name redirects.

    Errors: NotFound, Unauthenticated, Forbidden; PageNameInvalid, Invalid; StaleFile or FileMissing if somebody changed
    the page after it was opened, then ``merge_page`` helps; NothingChanges; the engine's.
    """
    path = path_of_edit(edit)
    repository = await with_store(engine, actor, repository)
    async with open_wiki(engine, repository) as wiki:
        _require_free(wiki.index, edit, path)
    changes = await page_changes(engine, repository, edit, path)
    also: Also | None = None
    name = name_of(path)
    assert name is not None, "path_of_title gives pages"
    if edit.page is not None and edit.page.name != name:
        old = edit.page.name

        async def redirect_old(session: AsyncSession) -> None:
            await note_rename(session, repository.id, old=old, new=name)

        also = redirect_old
    await commit_to_wiki(engine, actor, repository, changes, edit.message.strip() or _usual_message(edit, name), also)
    return name


async def delete_page(
    engine: Engine, actor: Actor, repository: RepositoryView, name: bytes, *, expected: Oid, message: str = ""
) -> None:
    """A page that is the file somebody saw is gone; its history stays.

    Errors: as ``save_page``; PageGone if there is none, StaleFile if it is another file by now.
    """
    require_wiki_edit(actor, repository.scope, is_open=repository.is_wiki_open)
    async with open_wiki(engine, repository) as wiki:
        page = wiki.index.find(name)
        if page is None:
            raise PageGone(f"There is no page {full_title_of(name)[:100]!r} any more.")
    said = message.strip() or f"Delete {full_title_of(page.name)}"
    await commit_to_wiki(engine, actor, repository, [DeleteFile(page.path, expected)], said)


async def merge_page(engine: Engine, repository: RepositoryView, edit: PageEdit) -> MergedChanges:
    """Return an edit of an old version brought together with what came since; nothing is written.

    Errors: as ``merge_changes``.
    """
    path = path_of_edit(edit)
    changes = await page_changes(engine, repository, edit, path)
    view = wiki_view(repository)
    return await merge_changes(
        engine, view, branch=await branch_of(engine, view), base=edit.base, changes=list(changes)
    )


def path_of_edit(edit: PageEdit) -> bytes:
    """Return the file an edit writes. Errors: PageNameInvalid; Invalid for a text that is too long."""
    if len(edit.text.encode("utf-8", "replace")) > PAGE_TEXT_BYTES_MAX:
        message = f"A page has at most {PAGE_TEXT_BYTES_MAX:,} bytes here; push larger ones."
        raise Invalid(message, FieldProblem("text", "invalid", message))
    if len(edit.message) > MESSAGE_LENGTH_MAX:
        message = f"A message has at most {MESSAGE_LENGTH_MAX:,} characters."
        raise Invalid(message, FieldProblem("message", "invalid", message))
    if edit.page is not None and edit.title.strip() == full_title_of(edit.page.name) and not _changes_format(edit):
        return edit.page.path
    if edit.ending not in FORMATS:
        raise PageNameInvalid("Choose one of the formats.")
    return path_of_title(edit.title, edit.ending)


async def page_changes(engine: Engine, repository: RepositoryView, edit: PageEdit, path: bytes) -> list[Change]:
    """Return an edit as changes of files, which expect the page to be what the writer saw."""
    if edit.page is None:
        return [PutFile(path, edit.text.encode("utf-8", "replace"), expected=ZERO_OID)]
    seen = Oid(edit.page.oid)
    assert is_oid(seen), "the form's value was checked"
    content = await asyncio.to_thread((await _text_of(engine, repository, seen)).bytes_of, edit.text)
    if path == edit.page.path:
        return [PutFile(path, content, expected=seen)]
    return [RenameFile(edit.page.path, path, content, expected=seen)]


async def with_store(engine: Engine, actor: Actor, repository: RepositoryView) -> RepositoryView:
    """Return the repository with a wiki's store, made now if it is the first page, for whoever may write it."""
    require_wiki_edit(actor, repository.scope, is_open=repository.is_wiki_open)
    if not repository.has_wiki:
        raise NoWiki
    if repository.wiki_store_id is not None:
        return repository
    async with engine.database.write() as session:
        store_id = await ensure_wiki_store(session, actor, repository.id)
    return replace(repository, wiki_store_id=store_id)


async def branch_of(engine: Engine, view: RepositoryView) -> RefName:
    """Return the branch that has the pages of a wiki."""
    return (await engine.state(view.store_id)).head_target


async def commit_to_wiki(
    engine: Engine,
    actor: Actor,
    repository: RepositoryView,
    changes: Sequence[Change],
    message: str,
    also: Also | None = None,
) -> Committed:
    """The wiki's branch has these changes, in one commit. Errors: as ``commit_changes``, NoWiki."""
    view = wiki_view(repository)
    return await commit_changes(
        engine,
        actor,
        view,
        branch=await branch_of(engine, view),
        changes=changes,
        message=message,
        within=make_wiki_within(actor, repository.id, also),
    )


async def _text_of(engine: Engine, repository: RepositoryView, blob: Oid) -> EditableText:
    """Return the file somebody edited, for its encoding and line ends; it need not be the present one."""
    async with open_code(engine, wiki_view(repository).store_id) as code:
        await code.prove(blob)
        data = await code.blob(blob, max_bytes=PAGE_TEXT_BYTES_MAX)
    return await asyncio.to_thread(open_text, data)


def _changes_format(edit: PageEdit) -> bool:
    assert edit.page is not None
    return edit.ending in FORMATS and edit.ending != edit.page.ending.decode()


def _require_free(index: PageIndex, edit: PageEdit, path: bytes) -> None:
    """Return if no other page has the name; PageNameInvalid."""
    name = name_of(path)
    assert name is not None
    for page in (*index.pages, index.sidebar, index.footer):
        is_own = edit.page is not None and page is not None and page.path == edit.page.path
        if page is not None and not is_own and key_of(page.name) == key_of(name):
            raise PageNameInvalid(f"There is a page {full_title_of(page.name)!r} already; choose another title.")


def _usual_message(edit: PageEdit, name: bytes) -> str:
    if edit.page is None:
        return f"Create {full_title_of(name)}"
    if edit.page.name != name:
        return f"Rename {full_title_of(edit.page.name)} to {full_title_of(name)}"
    return f"Update {full_title_of(name)}"
