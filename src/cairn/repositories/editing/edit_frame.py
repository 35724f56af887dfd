"""What pages that edit share: which branch and file, whether somebody may, whom a commit is by, what went wrong."""

from dataclasses import dataclass
from typing import Any

import msgspec
from litestar import Response

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import CairnError, FieldProblem, Invalid, NotFound, NotFoundHere
from cairn.db.database import Database
from cairn.git.engine import Engine
from cairn.git.ref_queries import RefSnapshot
from cairn.git.types import ObjectKind, Oid, RefName, is_oid, show
from cairn.identity.commit_authors import commit_emails
from cairn.repositories.code.browse import Code, open_code
from cairn.repositories.code.revisions import Revision, RevisionKind
from cairn.repositories.editing.commit_changes import Committed
from cairn.repositories.page_frame import header_of, open_repository_page
from cairn.repositories.queries import (
    BRANCH_PREFIX,
    RepositoryMoved,
    RepositoryView,
    branch_ref,
    find_repository,
    find_repository_by_id,
)
from cairn.web.context import Cookie, RequestContext
from cairn.web.errors import explain
from cairn.web.forms import Form
from cairn.web.render import redirect, render
from cairn.web.urls import path_join, sign_in_url

FORM_BYTES_MAX = 8 << 20
"""What a form with a text may have: four times the largest text, as browsers encode it, and its other fields."""

_SUGGESTIONS_MAX = 1000
_DONE_COOKIE = "cairn_drafts_done"
_DONE_MAX = 10


class CommitForm(msgspec.Struct):
    """What every form that commits has: ``branch`` and ``head`` are where it began, ``draft`` is the browser's."""

    message: str = ""
    description: str = ""
    email: str = ""
    target: str = "branch"
    new_branch: str = ""
    branch: str = ""
    head: str = ""
    draft: str = ""
    do: str = "commit"


@dataclass(frozen=True, slots=True)
class EditPlace:
    """A branch's tip and a path there; ``head`` None stands for a repository without commits."""

    header: dict[str, Any]
    branch: bytes
    path: bytes
    head: Oid | None

    @property
    def repository(self) -> RepositoryView:
        """The repository."""
        found: RepositoryView = self.header["repository"]
        return found

    @property
    def revision(self) -> Revision | None:
        """The branch as pages of code name it."""
        return None if self.head is None else Revision(RevisionKind.BRANCH, self.branch, self.head)

    @property
    def ref(self) -> RefName:
        """The branch's full name."""
        return BRANCH_PREFIX + self.branch


async def open_edit_page(
    context: RequestContext, actor: Actor, owner: str, repo: str
) -> dict[str, Any] | Response[Any]:
    """Return the header of a repository that the actor may change, or the page that says what they can do instead."""
    repository = await open_repository_page(context, actor, owner, repo)
    if isinstance(repository, Response):
        return repository
    context.robots = "noindex, nofollow"
    header = header_of(context, actor, repository, "code")
    if header["may_push"]:
        return header
    return render(context, "repositories/edit_closed.html", **header, why=_why_closed(actor, repository))


def _why_closed(actor: Actor, repository: RepositoryView) -> str:
    if not actor.is_signed_in:
        return "anonymous"
    return "archived" if repository.is_archived else "reader"


async def open_edit_form(
    context: RequestContext, database: Database, actor: Actor, owner: str, repo: str, form: Form[Any]
) -> dict[str, Any] | Response[Any]:
    """Return the header of the repository that a form changes, or the page that gives back what was typed."""
    repository = await find_for_form(context, database, actor, owner, repo, form)
    return repository if isinstance(repository, Response) else header_of(context, actor, repository, "code")


async def find_for_form(
    context: RequestContext,
    database: Database,
    actor: Actor,
    owner: str,
    repo: str,
    form: Form[Any],
    *,
    action: Action = Action.REPOSITORY_PUSH,
    text_field: str = "content",
) -> RepositoryView | Response[Any]:
    """Return the repository that a form changes, or the page that gives back what was typed.

    Nothing is lost because a session ended, a right went away or the repository did.
    """
    if context.form_is_stale and not actor.is_signed_in:
        message = "You are not signed in any more, so nothing was saved."
        return give_back(context, form, 401, message, text_field=text_field)
    try:
        async with database.read() as session:
            try:
                return await find_repository(session, actor, owner, repo, action)
            except RepositoryMoved as moved:
                return await find_repository_by_id(session, actor, moved.repository_id, action)
    except CairnError as error:
        explained = explain(error)
        return give_back(context, form, explained.status, explained.message, text_field=text_field)


def give_back(
    context: RequestContext, form: Form[Any], status: int, message: str, *, text_field: str = "content"
) -> Response[Any]:
    """Return a page with everything that a form held, and a way to send it again."""
    # A change of files can go into a fork; a page of a wiki or a release cannot.
    offers_fork = status == 403 and text_field == "content"
    kept = {name: "true" if value is True else value for name, value in form.values.items() if name != text_field}
    return render(
        context,
        "repositories/edit_kept.html",
        status=status,
        reason=message,
        kept={name: value for name, value in kept.items() if isinstance(value, str)},
        text_field=text_field,
        content=form.values.get(text_field),
        sign_in=sign_in_url(context.path) if not context.actor.is_signed_in else "",
        fork_path=path_join(*context.path.split("/")[1:3], "fork") if offers_fork else "",
    )


async def find_branch(code: Code, header: dict[str, Any], address: bytes) -> EditPlace | None:
    """Return the branch that begins an address and the path behind it; None for a tag or a commit.

    A repository without commits has its default branch only. RevisionNotFound.
    """
    repository: RepositoryView = header["repository"]
    unborn = repository.head_target.removeprefix(BRANCH_PREFIX)
    if not code.snapshot.refs and (address + b"/").startswith(unborn + b"/"):
        return EditPlace(header, unborn, address[len(unborn) + 1 :].strip(b"/"), None)
    place = await code.place(address)
    if place.revision.kind is not RevisionKind.BRANCH:
        return None
    return EditPlace(header, place.revision.name, place.path, place.revision.commit_oid)


async def place_of(engine: Engine, header: dict[str, Any], address: bytes, form: Form[Any]) -> EditPlace:
    """Return where a form began: the branch and head that it says, even if the branch is gone by now."""
    branch, head = str(form.values.get("branch", "")), str(form.values.get("head", ""))
    async with open_code(engine, header["repository"].store_id) as code:
        named = _split_address(address, branch)
        if named is not None and is_oid(head):
            if await code.prove(Oid(head)) is not ObjectKind.COMMIT:
                raise NotFoundHere(f"{head} is no commit of this repository")
            return EditPlace(header, *named, Oid(head))
        place = await find_branch(code, header, address)
    if place is None:
        raise NotFoundHere("Commits go to branches, and this is none.")
    return place


def _split_address(address: bytes, branch: str) -> tuple[bytes, bytes] | None:
    """Return branch and path of an address where a form says which branch it began from, which may be gone by now."""
    name = branch_ref(branch).removeprefix(BRANCH_PREFIX)
    if not name or not (address + b"/").startswith(name + b"/"):
        return None
    return name, address[len(name) + 1 :].strip(b"/")


@dataclass(frozen=True, slots=True)
class CommitChoices:
    """What a form that commits offers: addresses to be known by, and the name of a new branch."""

    emails: list[str]
    new_branch: str


async def read_choices(context: RequestContext, engine: Engine, repository: RepositoryView) -> CommitChoices:
    """Return the choices for who is signed in."""
    async with engine.database.read() as session:
        emails = await commit_emails(session, context.settings.host, context.actor)
    snapshot = await engine.snapshot(await engine.state(repository.store_id))
    return CommitChoices(emails, _free_branch(snapshot, context.actor.login or ""))


def _free_branch(snapshot: RefSnapshot, login: str) -> str:
    for number in range(1, _SUGGESTIONS_MAX):
        name = f"{login}-patch-{number}"
        if snapshot.find(branch_ref(name)) is None:
            return name
    return f"{login}-patch"


def message_of(form: CommitForm, default: str) -> str:
    """Return the whole message of a commit; a field left empty says what is done."""
    title = form.message.strip() or default
    return f"{title}\n\n{form.description.strip()}" if form.description.strip() else title


def wants_new_branch(place: EditPlace, form: CommitForm) -> RefName | None:
    """Return the full name of the new branch that a form asks for, None for its own."""
    if form.target != "new" or place.head is None:
        return None
    if not form.new_branch.strip():
        message = "Give the new branch a name."
        raise Invalid(message, FieldProblem("new_branch", "missing_field", message))
    return branch_ref(form.new_branch.strip())


def let_go_of_draft(context: RequestContext, draft: str) -> None:
    """The browser's editor drops what it kept under this id when it runs next: the text is saved."""
    if draft.isalnum() and len(draft) <= 32:
        known = context.request.cookies.get(_DONE_COOKIE, "").split(".")
        drafts = [*(one for one in known if one.isalnum())][-_DONE_MAX + 1 :]
        context.set_cookie(Cookie(_DONE_COOKIE, ".".join([*drafts, draft]), 86400, http_only=False))


def done(
    context: RequestContext, place: EditPlace, form: CommitForm, committed: Committed, shown: str
) -> Response[Any]:
    """Lead on from a commit: to what it changed (``shown``), or from a new branch to its comparison."""
    let_go_of_draft(context, form.draft)
    if committed.branch == place.ref:
        context.flash(f"Committed to {show(place.branch)}.")
        return redirect(shown)
    name = committed.branch.removeprefix(BRANCH_PREFIX)
    context.flash(f"Committed to the new branch {show(name)}. This is what it has more than {show(place.branch)}.")
    return redirect(place.header["base"] + path_join("compare", place.branch + b"..." + name))


def reject(form: Form[Any], error: CairnError) -> int:
    """Show at a form what was refused, and return the status of the answer."""
    explained = explain(error)
    if isinstance(error, Invalid):
        form.reject(error)
        if "branch" in form.problems:
            form.problems["new_branch"] = form.problems.pop("branch")
    else:
        # What is absent here is a branch or a path that its person saw a moment ago: it may be told.
        form.summary = error.message if isinstance(error, NotFound) else explained.message
    return explained.status


def no_branch(context: RequestContext, header: dict[str, Any]) -> Response[Any]:
    """Return the page that says why nothing is committed to a tag or a commit."""
    return render(context, "repositories/edit_closed.html", **header, why="no branch")


def offer(form: Form[Any], choices: CommitChoices) -> None:
    """Fill in what a form does not say yet: the branch it began on, a name for a new one."""
    form.values["new_branch"] = form.values.get("new_branch") or choices.new_branch
    form.values["target"] = form.values.get("target") or "branch"


STALE_FORM = "You signed in anew after this form was made. Everything is still here: save it now."
