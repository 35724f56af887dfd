"""A whole forge in process: pages, API and engine on SQLite and a folder, people with sessions and tokens of theirs.

async with open_forge(tmp_path, sqlite_template) as forge:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"README.md": b"# Engine"})
    answer = await forge.api(ada).get(f"/repos/{repository.full_name}")
"""

import secrets
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from litestar.handlers import HTTPRouteHandler
from tests.factories.accounts import actor_of, make_account
from tests.factories.authentication import make_authentication
from tests.factories.git_repositories import StockRepository
from tests.factories.pushes import push
from tests.web.support import ORIGIN, Browser, Running, open_app

from cairn.access.models import Grant
from cairn.access.roles import Role, Visibility
from cairn.base.actor import ANONYMOUS, Actor
from cairn.base.clock import utc_now
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git.engine import Engine, open_engine
from cairn.git.quarantine import Quarantine
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID, Oid, Signature
from cairn.git.writing import File, commit_files
from cairn.home import api as home_api
from cairn.home import pages as home_pages
from cairn.identity.models import Account, Session, Token
from cairn.identity.token_format import hash_secret, make_token
from cairn.identity.web_authentication import WebAuthentication
from cairn.repositories import routes as repositories_routes
from cairn.repositories.accept_push import Arrival, make_within
from cairn.repositories.code import folder_pages, ref_lists
from cairn.repositories.create import NewRepository, create_repository
from cairn.repositories.life import activity
from cairn.repositories.queries import RepositoryView
from cairn.repositories.rules.examine import make_examine
from cairn.storage.storage import open_storage

MAIN = b"refs/heads/main"
API = "/api/v3"
ALL_SCOPES = ("repo", "delete_repo", "user")

HANDLERS: tuple[HTTPRouteHandler, ...] = (
    *home_pages.route_handlers,
    *home_api.route_handlers,
    *repositories_routes.PAGES,
    *repositories_routes.API,
)
PACKAGES = ("cairn.home", "cairn.repositories")


@dataclass(slots=True)
class Person:
    """Somebody with an account, a browser session and a token that carries everything."""

    account: Account
    cookie: str
    token: str

    @property
    def actor(self) -> Actor:
        """The person at the keyboard."""
        return actor_of(self.account)


@dataclass(slots=True)
class Forge:
    """A running forge; ``running`` is its app."""

    running: Running
    engine: Engine
    people: dict[str, Person] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        """The forge's database."""
        return self.running.database

    async def person(self, login: str, *, is_site_admin: bool = False, suspended_at: datetime | None = None) -> Person:
        """Return a new person, signed in."""
        async with self.database.write() as session:
            account = await make_account(session, login, is_site_admin=is_site_admin, suspended_at=suspended_at)
            cookie = secrets.token_urlsafe(32)
            now = utc_now()
            session.add(
                Session(
                    cookie_sha256=hash_secret(cookie),
                    account_id=account.id,
                    created_at=now,
                    last_used_at=now,
                    proved_at=now,
                    expires_at=now + timedelta(days=1),
                    address="192.0.2.7",
                    user_agent="test",
                )
            )
        person = Person(account, cookie, await self.token(account, *ALL_SCOPES))
        self.people[login] = person
        return person

    async def token(
        self,
        account: Account,
        *scopes: str,
        repository_ids: Sequence[int] | None = None,
        expires_at: datetime | None = None,
    ) -> str:
        """Return a new token of an account."""
        secret = make_token()
        async with self.database.write() as session:
            session.add(
                Token(
                    account_id=account.id,
                    token_sha256=hash_secret(secret),
                    name="test",
                    last_characters=secret[-8:],
                    scopes=list(scopes),
                    repository_ids=None if repository_ids is None else list(repository_ids),
                    created_at=utc_now(),
                    expires_at=expires_at,
                )
            )
        return secret

    async def repository(
        self,
        owner: Person,
        name: str,
        *,
        visibility: Visibility = Visibility.PUBLIC,
        files: Mapping[str, bytes] | None = None,
        description: str = "",
        may_lack_objects: bool = False,
    ) -> RepositoryView:
        """Return a new repository, with one commit if there are files."""
        wanted = NewRepository(name=name, visibility=visibility, description=description)
        made = await create_repository(self.database, self.engine, owner.actor, wanted)
        if files is not None:
            await self.commit(owner, made, files, may_lack_objects=may_lack_objects)
        return made

    async def commit(
        self,
        person: Person,
        repository: RepositoryView,
        files: Mapping[str, bytes | None],
        message: str = "First stone",
        *,
        branch: bytes = MAIN,
        may_lack_objects: bool = False,
    ) -> Oid:
        """Land a commit on a branch (begun where main is, if it is new) and return it.

        ``may_lack_objects`` lets it have pointers whose large objects are not there.
        """
        snapshot = await self.engine.snapshot(await self.engine.state(repository.store_id))
        here, main = snapshot.find(branch), snapshot.find(MAIN)
        base = here or main
        author = Signature(person.account.login.capitalize(), f"{person.account.login}@example.test", _MOMENT)
        made: list[Oid] = []

        async def write(quarantine: Quarantine) -> list[RefUpdate]:
            oid = await commit_files(
                quarantine,
                parents=[base.oid] if base else [],
                changes={path.encode(): None if data is None else File(data) for path, data in files.items()},
                author=author,
                committer=author,
                message=message,
            )
            made.append(oid)
            return [RefUpdate(branch, here.oid if here else ZERO_OID, oid)]

        staged = await self.engine.stage(repository.store_id, write)
        arrival = Arrival.COPIED if may_lack_objects else Arrival.PUSHED
        within = make_within(person.actor, repository.id, arrival=arrival)
        outcomes = await self.engine.land(staged, push_id=secrets.token_hex(16), actor="test", within=within)
        assert [outcome.refusal for outcome in outcomes] == [""]
        return made[0]

    async def land_deletion(self, person: Person, repository: RepositoryView, name: bytes) -> None:
        """Delete a ref as its pusher."""
        state = await self.engine.state(repository.store_id)
        found = (await self.engine.snapshot(state)).find(name)
        assert found is not None
        update = RefUpdate(name, found.oid, ZERO_OID)
        staged = await self.engine.stager.stage_deletions(state, [update], is_atomic=True)
        outcomes = await self.engine.land(
            staged, push_id=secrets.token_hex(16), actor="test", within=make_within(person.actor, repository.id)
        )
        assert [outcome.refusal for outcome in outcomes] == [""]

    async def push_refs(self, repository: RepositoryView, client: StockRepository, *names: str) -> None:
        """Push whole refs (``refs/heads/main``) of a stock repository, all of them new here."""
        refs = [(name.encode(), ZERO_OID, client.oid(name)) for name in names]
        report = await push(self.engine, repository.store_id, refs, client.pack(list(names)))
        assert report.is_ok, report

    async def grant(self, repository: RepositoryView, person: Person, role: Role) -> None:
        """Make somebody a collaborator."""
        async with self.database.write() as session:
            session.add(
                Grant(repository_id=repository.id, account_id=person.account.id, role=role, granted_at=utc_now())
            )

    def browser(self, person: Person | None = None) -> Browser:
        """Return a browser, signed in by its cookie."""
        browser = self.running.browser(ANONYMOUS)
        if person is not None:
            browser.client.cookies.set("cairn_session", person.cookie)
        return browser

    def api(self, person: Person | str | None = None, **headers: str) -> "ApiClient":
        """Return a client of the API with a person's token, or the token given, or none."""
        token = person.token if isinstance(person, Person) else person
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        return ApiClient(self.running.client(**headers))


_MOMENT = datetime.fromisoformat("2024-05-06T07:08:09+02:00")


@dataclass(slots=True)
class ApiClient:
    """Calls the API by its short paths (``/user/repos``)."""

    client: httpx2.AsyncClient

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        """GET."""
        return await self.call("GET", path, **options)

    async def call(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """Call a path; one that starts with http is taken as it is."""
        return await self.client.request(method, path if path.startswith("http") else API + path, **options)


@asynccontextmanager
async def open_forge(folder: Path, template: Path, **options: Any) -> AsyncIterator[Forge]:
    """Yield a forge whose data lies in ``folder``; ``template`` is a migrated SQLite file."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(template, folder / "web.db")
    values: dict[str, Any] = {"data_dir": folder, "external_url": ORIGIN} | options.pop("settings", {})
    settings = Settings(**values)
    database = Database(f"sqlite:///{folder / 'web.db'}", pool_size=3)
    try:
        async with open_engine(settings, database, open_storage(settings), make_examine=make_examine) as engine:
            app: dict[str, Any] = {
                "route_handlers": HANDLERS,
                "packages": PACKAGES,
                "authenticate": WebAuthentication(make_authentication(database).authenticator),
                "database": database,
                "settings": values,
                "engine": engine,
            }
            async with open_app(folder, **(app | options)) as running:
                yield Forge(running, engine)
    finally:
        await database.close()


@pytest.fixture
async def forge(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Forge]:
    """A forge of this test's own."""
    async with open_forge(tmp_path / "forge", sqlite_template) as opened:
        yield opened


@pytest.fixture(autouse=True)
def patient_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page shows all it has however busy the machine is; the tests of what a page leaves for later say so."""
    monkeypatch.setattr(folder_pages, "_PATIENCE_SECONDS", 300.0)
    monkeypatch.setattr(ref_lists, "PATIENCE_SECONDS", 300.0)
    monkeypatch.setattr(activity, "PATIENCE_SECONDS", 300.0)
