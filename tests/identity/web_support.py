"""Cairn's web program with the identity pages and API, on a test's database, with real authentication."""

import builtins
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from litestar.handlers import HTTPRouteHandler
from sqlalchemy.ext.asyncio import AsyncSession
from tests.factories.accounts import actor_of, make_account
from tests.factories.authentication import PASSWORD, Authentication, make_authentication
from tests.web.support import ORIGIN, Browser, Running, open_app

from cairn.base.actor import SYSTEM, Actor
from cairn.base.secret_box import SecretBox
from cairn.base.settings import Settings
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity import (
    account_pages,
    api,
    email_pages,
    emails_api,
    invitation_pages,
    organization_pages,
    outgoing_keys_api,
    outgoing_keys_pages,
    pages,
    password_pages,
    profile_pages,
    settings_pages,
    signing_keys_api,
    signing_keys_pages,
    sudo,
    token_pages,
)
from cairn.identity.queries import RepositoryCounts
from cairn.identity.tokens import create_token
from cairn.identity.web_authentication import WebAuthentication
from cairn.mail.compose import Composed
from cairn.mail.outbox import Outbox, list_mails
from cairn.storage.storage import Storage, open_storage

COUNTS = RepositoryCounts(public=2, private=3, disk_kib=40)


async def count_repositories(session: AsyncSession, account_id: int) -> RepositoryCounts:
    """Stand for the counting that ``repositories`` does."""
    assert account_id
    assert session.is_active
    return COUNTS


class Repositories:
    """Stand for the repositories that accounts own."""

    def __init__(self) -> None:
        self.owned: dict[int, list[tuple[int, str]]] = {}
        self.asked_for: set[frozenset[int]] = set()

    async def list(self, session: AsyncSession, account_id: int) -> builtins.list[tuple[int, str]]:
        """Return id and name of what an account owns."""
        assert session.is_active
        return builtins.list(self.owned.get(account_id, []))

    async def find(
        self, session: AsyncSession, actor: Actor, owner_id: int, text: str, chosen: frozenset[int]
    ) -> builtins.list[tuple[int, str]]:
        """Return id and name of what was chosen already, and of what has the text in its name."""
        assert actor.account_id is not None
        assert session.is_active
        self.asked_for.add(chosen)
        owned = self.owned.get(owner_id, [])
        return [one for one in owned if one[0] in chosen or text in one[1]]

    async def delete(self, actor: Actor, repository_id: int) -> None:
        """Delete one."""
        assert actor.account_id is not None
        self.owned[actor.account_id] = [one for one in self.owned[actor.account_id] if one[0] != repository_id]


class People:
    """The running program, and people who use it."""

    def __init__(
        self,
        running: Running,
        parts: Authentication,
        outbox: Outbox,
        storage: Storage,
        repositories: "Repositories",
    ) -> None:
        self.running = running
        self.parts = parts
        self.outbox = outbox
        self.storage = storage
        self.repositories = repositories
        self.database = running.database

    async def mails(self, to: str = "") -> list[Composed]:
        """Return what stands in the outbox, the oldest first: all of it, or what goes to one address."""
        async with self.database.read() as session:
            rows = [row for row in await list_mails(session, SYSTEM) if to in {"", row.recipient}]
            return [await self.outbox.read(session, SYSTEM, row.id) for row in reversed(rows)]

    async def link(self, to: str) -> str:
        """Return the path of the link in the last mail to an address that has one."""
        found = [
            match[1] for mail in await self.mails(to) if (match := re.search(rf"{ORIGIN}(/\S*secret=\S+)", mail.text))
        ]
        return found[-1]

    async def account(self, login: str, *, is_site_admin: bool = False, is_suspended: bool = False) -> Actor:
        """Return a new account with ``PASSWORD``."""
        password_hash = await self.parts.passwords.hash(PASSWORD)
        async with self.database.write() as session:
            at = await database_now(session) if is_suspended else None
            account = await make_account(
                session, login, is_site_admin=is_site_admin, password_hash=password_hash, suspended_at=at
            )
            return actor_of(account)

    async def token(self, owner: Actor, *scopes: str) -> str:
        """Return a new token of somebody."""
        assert owner.account_id is not None
        async with self.database.write() as session:
            made = await create_token(session, owner, owner.account_id, name="test", scopes=scopes)
        return made.secret

    def browser(self) -> Browser:
        """Return a browser of a stranger."""
        return self.running.browser()

    async def signed_in(self, login: str, **headers: str) -> Browser:
        """Return a browser in which somebody has signed in through the page."""
        browser = Browser(self.running.client(**headers), self.running.settings.origin)
        answer = await browser.submit("/login", {"name": login, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return browser

    def program(self, token: str = "") -> httpx2.AsyncClient:
        """Return an API client with a token, or without any credential."""
        return self.running.client(**({"authorization": f"token {token}"} if token else {}))


@asynccontextmanager
async def open_people(
    folder: Path,
    database: Database,
    *,
    handlers: Sequence[HTTPRouteHandler] = (),
    packages: tuple[str, ...] = (),
    **settings: Any,
) -> AsyncIterator[People]:
    """Yield the program with the identity package in it, and ``handlers`` besides."""
    parts = make_authentication(database)
    values: dict[str, Any] = {"data_dir": folder, "external_url": ORIGIN} | settings
    chosen = Settings(**values)
    outbox, storage = Outbox(chosen, SecretBox(["k" * 32]), ("cairn.identity",)), open_storage(chosen)
    repositories = Repositories()
    all_handlers = [
        *handlers,
        *pages.make_route_handlers(parts.authenticator, parts.passwords, outbox),
        *password_pages.make_route_handlers(parts.authenticator, parts.passwords, outbox),
        *profile_pages.make_route_handlers(storage),
        *email_pages.make_route_handlers(outbox),
        *emails_api.make_route_handlers(outbox),
        *account_pages.make_route_handlers(outbox, repositories.list, repositories.delete),
        *settings_pages.route_handlers,
        *signing_keys_pages.route_handlers,
        *signing_keys_api.route_handlers,
        *outgoing_keys_pages.route_handlers,
        *outgoing_keys_api.route_handlers,
        *token_pages.make_route_handlers(repositories.find),
        *organization_pages.route_handlers,
        *invitation_pages.make_route_handlers(outbox),
        *sudo.make_route_handlers(parts.authenticator),
        *api.make_route_handlers(count_repositories),
    ]
    async with open_app(
        folder,
        all_handlers,
        packages=("cairn.identity", *packages),
        authenticate=WebAuthentication(parts.authenticator),
        database=database,
        settings=settings,
    ) as running:
        yield People(running, parts, outbox, storage, repositories)
