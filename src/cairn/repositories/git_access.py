"""The hot path of git's doors: who asks, for which repository, in which state, by one statement.

``GitDoor.resolve`` reads the credential's account, the repository, its store and the strongest role that a grant, a
team or the owning organization gives together; ``decide`` then runs in Python. Only a name that is not there costs a
second look, for a rename.
"""

from dataclasses import dataclass, replace
from typing import Any

from cairn.access.actions import Action
from cairn.access.decide import Decision, decide, require_allowed
from cairn.access.grants import ROLE_OF_RANK, role_rank_sql
from cairn.access.roles import Visibility
from cairn.access.scopes import RepositoryScope
from cairn.base.actor import ANONYMOUS, Actor
from cairn.base.errors import NotFound, Unauthenticated
from cairn.db.database import Database, PointQuery, Row
from cairn.git.fail_points import Step, fail_point
from cairn.git.store_state import STATE_COLUMNS, StoreState, from_row
from cairn.identity.authenticate import (
    ACCOUNT_COLUMNS,
    KEY_COLUMNS,
    NARROWING_COLUMNS,
    Authenticator,
    BadCredentials,
)
from cairn.identity.credentials import Credential, KeyCredential, PasswordCredential, TokenCredential
from cairn.identity.names import is_login
from cairn.identity.token_format import hash_secret, is_well_formed_token
from cairn.repositories.names import is_repository_name
from cairn.repositories.wiki.access import decide_wiki_edit
from cairn.repositories.wiki.stores import NoWiki, ensure_wiki_store

_TARGET = (
    "r.id AS repository_id, r.owner_id AS owner_id, o.login AS owner, r.name AS name, r.visibility AS visibility, "
    "r.is_archived AS is_archived, r.is_withheld AS is_withheld, s.id AS store_id, s.object_format AS object_format, "
    + ", ".join(f"s.{column} AS {column}" for column in STATE_COLUMNS)
)
# uq_account_login_key, uq_repository_owner_id_name_key, primary key of git_store.
_REPOSITORY = (
    "LEFT JOIN account o ON o.login_key = :owner "
    "LEFT JOIN repository r ON r.owner_id = o.id AND r.name_key = :name "
    "LEFT JOIN git_store s ON s.id = r.store_id "
)
# The indexes are named in cairn.access.grants.
_ROLE = role_rank_sql("a.id", "r.id", "r.owner_id")

# Each statement gives exactly one row: what is not there is NULL, so that a wrong token and an absent repository can be
# told apart.
ANONYMOUSLY = PointQuery(f"SELECT {_TARGET} FROM (SELECT 1 AS one) one {_REPOSITORY}")  # noqa: S608 (constants)
# uq_account_token_token_sha256, primary key of account.
WITH_TOKEN = PointQuery(
    f"SELECT {_TARGET}, {NARROWING_COLUMNS}, {ACCOUNT_COLUMNS}, {_ROLE} AS role_rank "  # noqa: S608 (constants)
    "FROM (SELECT 1 AS one) one "
    f"LEFT JOIN account_token t ON t.token_sha256 = :token LEFT JOIN account a ON a.id = t.account_id {_REPOSITORY}"
)
# uq_account_ssh_key_fingerprint, primary key of account.
WITH_KEY = PointQuery(
    f"SELECT {_TARGET}, {KEY_COLUMNS}, {ACCOUNT_COLUMNS}, {_ROLE} AS role_rank "  # noqa: S608 (constants)
    "FROM (SELECT 1 AS one) one LEFT JOIN account_ssh_key k ON k.fingerprint = :fingerprint "
    f"LEFT JOIN account a ON a.id = k.account_id {_REPOSITORY}"
)
# Primary key of account.
WITH_ACCOUNT = PointQuery(
    f"SELECT {_TARGET}, {ACCOUNT_COLUMNS}, {_ROLE} AS role_rank FROM (SELECT 1 AS one) one "  # noqa: S608 (constants)
    f"LEFT JOIN account a ON a.id = :account {_REPOSITORY}"
)
# The same for the second store of a repository; None in place of the store where nobody wrote a wiki.
_OF_WIKI = {
    query: PointQuery(
        query.sql.replace("s.id = r.store_id", "s.id = r.wiki_store_id").replace(
            "SELECT ", "SELECT r.has_wiki AS has_wiki, r.is_wiki_open AS is_wiki_open, ", 1
        )
    )
    for query in (ANONYMOUSLY, WITH_TOKEN, WITH_KEY, WITH_ACCOUNT)
}
WIKI_ENDING = ".wiki"
# Primary keys of repository_rename and account_rename: where did owner/name go?
RENAMED = PointQuery(
    "SELECT o.login AS owner, r.name AS name FROM repository_rename m "
    "JOIN repository r ON r.id = m.repository_id JOIN account o ON o.id = r.owner_id "
    "WHERE m.name_key = :name AND m.owner_id IN ("
    "SELECT f.id FROM account f WHERE f.login_key = :owner "
    "UNION ALL SELECT n.account_id FROM account_rename n WHERE n.login_key = :owner) "
    "UNION ALL SELECT o.login, r.name FROM account_rename n JOIN account o ON o.id = n.account_id "
    "JOIN repository r ON r.owner_id = o.id AND r.name_key = :name WHERE n.login_key = :owner"
)


_NO_STORE = StoreState(0, b"", 0, 0, 0, 0)


class SignInMayHelp(Unauthenticated):
    """Nobody is signed in, and the repository is absent or hidden: a door answers with its challenge."""


@dataclass(frozen=True, slots=True)
class GitTarget:
    """A repository a git client asked for, who the client is, and everything the engine needs to answer.

    ``was_renamed``: the client used an old name; ``full_name`` is the present one, to which HTTP redirects. Of its wiki
    (``is_wiki``) the store is the second one of the repository.
    """

    actor: Actor
    scope: RepositoryScope
    owner: str
    name: str
    state: StoreState
    object_format: str
    was_renamed: bool = False
    is_wiki: bool = False
    is_wiki_open: bool = False
    """Everybody who is signed in may write the wiki while the repository is public."""

    @property
    def repository_id(self) -> int:
        """The repository's row."""
        return self.scope.repository_id

    @property
    def has_store(self) -> bool:
        """False of a wiki that nobody wrote."""
        return self.state is not _NO_STORE

    @property
    def store_id(self) -> int:
        """The engine's store."""
        return self.state.id

    @property
    def full_name(self) -> str:
        """Owner and name, as they are written now; of a wiki with its ending."""
        return f"{self.owner}/{self.name}{WIKI_ENDING if self.is_wiki else ''}"

    def decide(self, action: Action) -> Decision:
        """Return whether who asks may do this, and why not: a wiki has a rule of its own for who may write."""
        if self.is_wiki and action is Action.REPOSITORY_PUSH:
            return decide_wiki_edit(self.actor, self.scope, is_open=self.is_wiki_open)
        return decide(self.actor, action, self.scope)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A statement, its values, and who asks if that is known before (a proven password, nobody)."""

    query: PointQuery
    values: dict[str, object]
    actor: Actor | None = None
    is_wiki: bool = False


class GitDoor:
    """Resolves what git clients ask for; one for all doors of a program."""

    def __init__(self, database: Database, authenticator: Authenticator) -> None:
        self._database = database
        self._authenticator = authenticator

    async def resolve(
        self, owner: str, name: str, credential: Credential | None, *, action: Action = Action.REPOSITORY_READ
    ) -> GitTarget:
        """Return the repository if the credential's owner may do ``action`` to it.

        ``name`` may end in ``.git``, and before that in ``.wiki`` for the repository's wiki: that is made when somebody
        who may write it first wants to, and until then NoWiki for who may see the repository. Errors: BadCredentials;
        AccountSuspended; RateLimited (passwords); SignInMayHelp for an anonymous client where there is nothing to see,
        NotFound for a known one; Unauthenticated, Forbidden where the repository may be seen but not this done.
        """
        name = name[:-4] if name.lower().endswith(".git") else name
        is_wiki = name.lower().endswith(WIKI_ENDING)
        name = name[: -len(WIKI_ENDING)] if is_wiki else name
        prepared = await self._prepare(credential)
        if is_wiki:
            prepared = replace(prepared, is_wiki=True)
        target = await self._find(prepared, owner, name)
        if target is None:
            moved = await self._find_renamed(owner, name)
            if moved is not None:
                target = await self._find(prepared, *moved, was_renamed=True)
        actor = target.actor if target is not None else await self._known(prepared)
        if target is not None:
            verdict = target.decide(action)
            if verdict.may_see:
                require_allowed(actor, verdict)
                return target if not is_wiki else await self._with_wiki(prepared, target, action)
        # Absent and hidden are one answer, with or without a credential.
        if not actor.is_anonymous:
            if not name:
                raise NotFound(f"Repository {owner[:60]!r} not found: an address ends in OWNER/NAME.git.")
            raise NotFound(f"Repository {owner[:60]}/{name[:120]} not found.")
        raise SignInMayHelp("Sign in to see whether this repository exists.")

    async def _with_wiki(self, prepared: _Prepared, target: GitTarget, action: Action) -> GitTarget:
        """Return the target with its wiki's store, which a first writer's wish makes; NoWiki."""
        if target.has_store:
            return target
        if action is not Action.REPOSITORY_PUSH:
            raise NoWiki
        async with self._database.write() as session:
            await ensure_wiki_store(session, target.actor, target.repository_id)
        found = await self._find(prepared, target.owner, target.name, was_renamed=target.was_renamed)
        if found is None or not found.has_store:
            raise NoWiki
        return found

    async def _prepare(self, credential: Credential | None) -> _Prepared:
        match credential:
            case None:
                return _Prepared(ANONYMOUSLY, {}, ANONYMOUS)
            case TokenCredential(token):
                if not is_well_formed_token(token):
                    raise BadCredentials("Bad credentials")
                return _Prepared(WITH_TOKEN, {"token": hash_secret(token)})
            case KeyCredential(fingerprint):
                return _Prepared(WITH_KEY, {"fingerprint": fingerprint})
            case PasswordCredential(login, password, address):
                proven = await self._authenticator.actor_of_password(login, password, address=address)
                return _Prepared(WITH_ACCOUNT, {"account": proven.actor.account_id}, proven.actor)

    async def _find(self, prepared: _Prepared, owner: str, name: str, *, was_renamed: bool = False) -> GitTarget | None:
        if not is_login(owner) or not is_repository_name(name):
            return None
        await fail_point(Step.RIGHTS_READ)
        query = _OF_WIKI[prepared.query] if prepared.is_wiki else prepared.query
        row = await self._database.fetch(query, **prepared.values, owner=owner.lower(), name=name.lower())
        assert row is not None, "every variant starts from a constant row"
        actor = prepared.actor or self._actor(prepared.query, row)
        if row["repository_id"] is None or (prepared.is_wiki and not row["has_wiki"]):
            return None
        return _target(actor, row, was_renamed=was_renamed, is_wiki=prepared.is_wiki)

    def _actor(self, query: PointQuery, row: Row) -> Actor:
        if row["token_id" if query is WITH_TOKEN else "key_id"] is None:
            raise BadCredentials("Bad credentials")
        if query is WITH_TOKEN:
            return self._authenticator.token_from_row(row).actor
        return self._authenticator.key_from_row(row).actor

    async def _known(self, prepared: _Prepared) -> Actor:
        """Say who asks where no repository row could: a name that cannot exist needs the credential checked alike."""
        if prepared.actor is not None:
            return prepared.actor
        row = await self._database.fetch(prepared.query, **prepared.values, owner="", name="")
        assert row is not None, "every variant starts from a constant row"
        return self._actor(prepared.query, row)

    async def _find_renamed(self, owner: str, name: str) -> tuple[str, str] | None:
        if not is_login(owner) or not is_repository_name(name):
            return None
        row = await self._database.fetch(RENAMED, owner=owner.lower(), name=name.lower())
        return None if row is None else (str(row["owner"]), str(row["name"]))


def _target(actor: Actor, row: Row, *, was_renamed: bool, is_wiki: bool) -> GitTarget:
    fields: dict[str, Any] = dict(row)
    rank = fields.get("role_rank")
    scope = RepositoryScope(
        repository_id=int(fields["repository_id"]),
        owner_id=int(fields["owner_id"]),
        visibility=Visibility(fields["visibility"]),
        role=None if rank is None else ROLE_OF_RANK[int(rank)],
        is_archived=bool(fields["is_archived"]),
        is_withheld=bool(fields["is_withheld"]),
    )
    return GitTarget(
        actor=actor,
        scope=scope,
        owner=str(fields["owner"]),
        name=str(fields["name"]),
        state=_NO_STORE if fields["store_id"] is None else from_row(row, store_id=int(fields["store_id"])),
        object_format=str(fields["object_format"]),
        was_renamed=was_renamed,
        is_wiki=is_wiki,
        is_wiki_open=is_wiki and bool(fields["is_wiki_open"]),
    )
