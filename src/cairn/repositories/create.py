"""Creating a repository: a name under the actor's account, an empty store, and a first commit if one is wanted."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize, authorize_organization
from cairn.access.decide import decide, effective_role
from cairn.access.models import Grant, Organization, OrganizationMember
from cairn.access.roles import Role, Visibility
from cairn.access.scopes import AccountScope, OrganizationScope, RepositoryScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.clock import Clock, utc_now
from cairn.base.errors import CairnError, FieldProblem, Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from cairn.base.ids import random_id
from cairn.base.log import get_logger
from cairn.base.text import problem_of_text
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.events.emit import emit
from cairn.git.engine import Engine
from cairn.git.quarantine import Quarantine
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID
from cairn.git.writing import File, commit_files
from cairn.identity.commit_authors import commit_author
from cairn.identity.models import Account, AccountKind
from cairn.identity.organizations import hold_organization
from cairn.identity.queries import find_account, hold_account
from cairn.repositories.editing.landing import land_change
from cairn.repositories.events import RepositoryCreated
from cairn.repositories.life.gitignores import find_gitignore
from cairn.repositories.life.licences import find_licence
from cairn.repositories.models import Repository, RepositoryRename
from cairn.repositories.names import check_repository_name
from cairn.repositories.queries import RepositoryView, branch_ref, find_repository_by_id, load_scope

TEXT_LENGTH_MAX = 1000
Also = Callable[[AsyncSession, int], Awaitable[None]]
_log = get_logger(__name__)


class RepositoryExists(Invalid):
    """The owner already has a repository of that name."""


class InternalNotPossible(Invalid):
    """Internal is for organizations: a person's repository is public, or private to whom they let in."""


@dataclass(frozen=True, slots=True)
class PossibleOwner:
    """An account under which somebody may make repositories."""

    login: str
    is_organization: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRepository:
    """What a person says of a repository to be."""

    name: str
    visibility: Visibility = Visibility.PUBLIC
    description: str = ""
    homepage: str = ""
    default_branch: str = "main"
    with_readme: bool = False
    gitignore: str = ""
    """The name of a list of ``life.gitignores``."""
    is_template: bool = False
    license: str = ""
    """The key of a licence of ``life.licences``."""
    has_wiki: bool = True
    owner: str | None = None
    """The organization or person to own it; None for the person who asks."""


async def create_repository(
    database: Database,
    engine: Engine,
    actor: Actor,
    wanted: NewRepository,
    *,
    also: Also | None = None,
    clock: Clock = utc_now,
) -> RepositoryView:
    """Create a repository under the actor's own account, or under ``wanted.owner``, and return it.

    What ``also`` does with its id happens in the same transaction: both are there afterwards or neither.
    With a README, a ``.gitignore`` or a licence it has one commit; if only that fails, the repository stays, empty, and
    Unavailable says so.
    Errors: Unauthenticated; NotFound for an owner nobody is; Forbidden, also for a token without the scope;
    RepositoryNameInvalid, RepositoryExists, InternalNotPossible, Invalid.
    """
    if actor.account_id is None:
        raise Unauthenticated("Sign in to create a repository.")
    check_repository_name(wanted.name)
    check_texts(description=wanted.description, homepage=wanted.homepage)
    _check_choices(wanted)
    async with database.write() as session:
        owner_id = actor.account_id
        if wanted.owner is not None:
            owner = await find_account(session, wanted.owner)
            if owner is None:
                raise NotFound(f"There is no account {wanted.owner[:60]!r}.")
            owner_id = owner.id
        repository_id = await insert_repository(session, engine, actor, owner_id, wanted)
        if also is not None:
            await also(session, repository_id)
        view = await find_repository_by_id(session, actor, repository_id, Action.REPOSITORY_SEE)
    moment = clock()
    files = _first_files(wanted, view, year=moment.year)
    if files:
        await land_first_commit(engine, actor, view, _add_files(database, engine, actor, view, files, moment))
    async with database.read() as session:
        return await find_repository_by_id(session, actor, repository_id, Action.REPOSITORY_SEE)


def check_texts(*, description: str | None = None, homepage: str | None = None) -> None:
    """Return if the texts fit; Invalid names the field. A homepage is an address a browser opens safely."""
    for field, value in (("description", description), ("homepage", homepage)):
        problem = None if value is None else problem_of_text(value, max_length=TEXT_LENGTH_MAX)
        if problem is not None:
            message = f"The {field} {problem}"
            raise Invalid(message, FieldProblem(field, "invalid", message, "Repository"))
    if homepage and not homepage.strip().lower().startswith(("http://", "https://")):
        message = "The homepage must start with http:// or https://."
        raise Invalid(message, FieldProblem("homepage", "invalid", message, "Repository"))


def require_reach(actor: Actor, scope: RepositoryScope) -> None:
    """Return if the actor could administer what it is about to make; Forbidden if its token ends before that.

    A token with only ``public_repo`` must not make what it may not even see.
    """
    if not decide(actor, Action.REPOSITORY_ADMINISTER, scope).allowed:
        raise Forbidden(f"This token lacks the scope for a {scope.visibility.value} repository; it needs: repo.")


def require_fitting(owner: Account, visibility: Visibility) -> None:
    """Return if a repository of this owner may have this visibility; else InternalNotPossible."""
    if visibility is Visibility.INTERNAL and owner.kind is not AccountKind.ORGANIZATION:
        message = f"Only organizations have internal repositories; {owner.login} is a person: choose public or private."
        raise InternalNotPossible(message, FieldProblem("visibility", "invalid", message, "Repository"))


async def list_possible_owners(session: AsyncSession, actor: Actor) -> list[PossibleOwner]:
    """Return the accounts under which the actor may make repositories: their own first, then organizations by name."""
    if actor.account_id is None:
        return []
    # ix_organization_member_account_id_organization_id, primary keys.
    rows = await session.execute(
        select(Account.login, Organization, OrganizationMember.role)
        .join(Organization, Organization.account_id == Account.id)
        .join(OrganizationMember, OrganizationMember.organization_id == Account.id)
        .where(OrganizationMember.account_id == actor.account_id)
        .order_by(Account.login_key)
    )
    found = [PossibleOwner(actor.login or "", is_organization=False)]
    for login, organization, role in rows:
        scope = OrganizationScope(
            organization.account_id,
            role,
            organization.members_can_create_repositories,
            organization.members_can_create_teams,
        )
        if decide(actor, Action.REPOSITORY_CREATE, scope).allowed:
            found.append(PossibleOwner(login, is_organization=True))
    return found


async def authorize_new(session: AsyncSession, actor: Actor, owner: Account) -> None:
    """Return if the actor may put a repository under an account: its own, or an organization's that lets members.

    Nobody deletes the account, or removes the actor from the organization, before the transaction ends: a removal that
    comes after takes away what the actor brought. Errors: Unauthenticated; NotFound if it is gone; Forbidden.
    """
    if owner.kind is AccountKind.ORGANIZATION:
        # Before the account, as everywhere.
        await hold_organization(session, owner.id)
    await hold_account(session, owner.id)
    if owner.kind is AccountKind.ORGANIZATION:
        await authorize_organization(session, actor, Action.REPOSITORY_CREATE, owner.id)
    else:
        await authorize(session, actor, Action.REPOSITORY_CREATE, AccountScope(owner.id))


async def admit_creator(session: AsyncSession, actor: Actor, repository: Repository) -> None:
    """Make a member who brings a repository into an organization its administrator; the owners are it anyway.

    Errors: Forbidden for a token that could not administer it.
    """
    scope = await load_scope(session, actor, repository.id)
    assert scope is not None, "it was inserted in this transaction"
    if effective_role(actor, scope) is not Role.ADMIN and actor.account_id is not None:
        moment = await database_now(session)
        grant = await session.get(Grant, (repository.id, actor.account_id))
        if grant is None:
            grant = Grant(repository_id=repository.id, account_id=actor.account_id)
            session.add(grant)
        grant.role, grant.granted_at, grant.granted_by_id = Role.ADMIN, moment, actor.account_id
        await session.flush()
        scope = replace(scope, role=Role.ADMIN)
    require_reach(actor, scope)


def name_taken(name: str) -> RepositoryExists:
    """Return the error for a name that the owner already uses."""
    message = f"The name {name!r} already exists on this account."
    return RepositoryExists(message, FieldProblem("name", "already_exists", message, "Repository"))


async def insert_repository(
    session: AsyncSession, engine: Engine, actor: Actor, owner_id: int, wanted: NewRepository
) -> int:
    """Make the rows of a repository under an account, its store empty, and return its id.

    Errors: Forbidden; RepositoryExists, InternalNotPossible. The caller has checked name and texts, unless they are
    another repository's.
    """
    owner = await session.get_one(Account, owner_id)
    await authorize_new(session, actor, owner)
    require_fitting(owner, wanted.visibility)
    key = wanted.name.lower()
    taken = select(Repository.id).where(Repository.owner_id == owner_id, Repository.name_key == key)
    if await session.scalar(taken) is not None:
        raise name_taken(wanted.name)
    head_target = branch_ref(wanted.default_branch)
    moment = await database_now(session)
    repository = Repository(
        owner_id=owner_id,
        name=wanted.name,
        name_key=key,
        store_id=await engine.create_store(session, head_target=head_target),
        visibility=wanted.visibility,
        description=wanted.description.strip(),
        homepage=wanted.homepage.strip(),
        is_archived=False,
        has_wiki=wanted.has_wiki,
        is_template=wanted.is_template,
        created_at=moment,
        updated_at=moment,
    )
    session.add(repository)
    try:
        await session.flush()
    except IntegrityError:
        # Two creations of one name at once: the unique key let the other one win.
        raise name_taken(wanted.name) from None
    await admit_creator(session, actor, repository)
    # The name is in use again: nobody who asks for it is sent elsewhere.
    await session.execute(
        delete(RepositoryRename).where(RepositoryRename.owner_id == owner_id, RepositoryRename.name_key == key)
    )
    full_name = f"{owner.login}/{repository.name}"
    emit(
        session,
        RepositoryCreated(
            repository_id=repository.id, owner_id=owner_id, full_name=full_name, actor_id=actor.account_id
        ),
    )
    details = {"visibility": wanted.visibility.value}
    record(session, actor, "repository.create", full_name, repository_id=repository.id, details=details)
    return repository.id


async def land_first_commit(engine: Engine, actor: Actor, view: RepositoryView, landing: Awaitable[None]) -> None:
    """``landing`` is done: the new repository has its first commit. Errors: Unavailable, and the repository stays."""
    try:
        await landing
    except CairnError as error:
        _log.warning("first_commit_failed", repository_id=view.id, reason=error.message)
        raise Unavailable(
            f"{view.full_name} was created, but its first commit could not be written: {error.message} "
            "Push one instead."
        ) from error


async def _add_files(
    database: Database, engine: Engine, actor: Actor, view: RepositoryView, files: Mapping[bytes, File], at: datetime
) -> None:
    async with database.read() as session:
        author = await commit_author(session, engine.settings.host, actor, at=at)

    async def write(quarantine: Quarantine) -> Sequence[RefUpdate]:
        commit = await commit_files(
            quarantine, parents=[], changes=files, author=author, committer=author, message="Initial commit"
        )
        return [RefUpdate(view.head_target, ZERO_OID, commit)]

    staged = await engine.stage(view.store_id, write)
    await land_change(engine, staged, actor, view.id, push_id=random_id())


def _first_files(wanted: NewRepository, view: RepositoryView, *, year: int) -> dict[bytes, File]:
    """Return what a repository begins with; the names were checked."""
    files: dict[bytes, File] = {}
    if wanted.with_readme:
        text = f"# {view.name}\n" + (f"\n{view.description}\n" if view.description else "")
        files[b"README.md"] = File(text.encode())
    ignored, licence = find_gitignore(wanted.gitignore), find_licence(wanted.license)
    if ignored is not None:
        files[b".gitignore"] = File(ignored[1].encode())
    if licence is not None:
        files[b"LICENSE"] = File(licence.text_for(view.owner, year).encode())
    return files


def _check_choices(wanted: NewRepository) -> None:
    """Return if there are such lists and licences; Invalid names the field."""
    for field, given, found in (
        ("gitignore_template", wanted.gitignore, find_gitignore(wanted.gitignore)),
        ("license_template", wanted.license, find_licence(wanted.license)),
    ):
        if given and found is None:
            message = f"There is no {field} {given[:60]!r}."
            raise Invalid(message, FieldProblem(field, "invalid", message, "Repository"))
