"""For tests of pages and API: an app in process, people to sign in as, and a browser that fills in forms.

    async with open_app(tmp_path, route_handlers) as running:
        browser = running.browser(user(1, "ada"))
        answer = await browser.get("/new")
        answer = await browser.submit("/new", {"name": "engine"})

``open_app`` takes the feature's route handlers and packages. Tests of ``identity`` pass its own ``authenticate``
instead of the one here, which believes a header.
"""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from litestar import Response
from litestar.handlers import HTTPRouteHandler

from cairn.base.actor import ANONYMOUS, Actor, ActorKind, TokenLimits
from cairn.base.errors import Unauthenticated
from cairn.base.settings import Settings
from cairn.db.database import Database, open_database
from cairn.web.app import WebApp, create_app
from cairn.web.context import Authenticate, Authentication, RequestContext, Via, WebRequest

ORIGIN = "http://cairn.test:3000"
SIGNING_KEY = b"k" * 32


def user(account_id: int, login: str, *, is_site_admin: bool = False) -> Actor:
    """Return a person with a session."""
    return Actor(ActorKind.USER, account_id, login, is_site_admin=is_site_admin)


class HeaderAuthentication:
    """Believes ``X-Test-Actor: ID LOGIN`` as a session, ``Authorization: token SCOPE,…`` as account 1's."""

    async def __call__(self, request: WebRequest) -> Authentication:
        """Return who asks."""
        carried = request.headers.get("authorization")
        if carried:
            kind, _, scopes = carried.partition(" ")
            if kind != "token" or scopes == "wrong":
                raise Unauthenticated("Bad credentials")
            limits = TokenLimits(frozenset(scope for scope in scopes.split(",") if scope), token_id=7)
            return Authentication(Actor(ActorKind.USER, 1, "ada", limits=limits), Via.TOKEN)
        named = request.headers.get("x-test-actor")
        if not named:
            return Authentication(ANONYMOUS)
        account_id, login = named.split(" ")
        return Authentication(user(int(account_id), login), Via.SESSION, session_key=f"session-of-{login}")

    async def ask_again(self, context: RequestContext) -> Response[Any] | None:
        """Believe that everybody proved who they are just now."""
        del context
        return None


@dataclass(slots=True)
class Running:
    """An app under test."""

    app: WebApp
    database: Database
    settings: Settings

    def client(self, **headers: str) -> httpx2.AsyncClient:
        """Return a plain HTTP client of the app; redirects are not followed."""
        transport = httpx2.ASGITransport(app=self.app, client=("192.0.2.7", 5000))
        return httpx2.AsyncClient(transport=transport, base_url=self.settings.origin, headers=headers)

    def browser(self, actor: Actor = ANONYMOUS) -> "Browser":
        """Return a browser of ``actor``, signed in by the test's header."""
        headers = {"x-test-actor": f"{actor.account_id} {actor.login}"} if actor.is_signed_in else {}
        return Browser(self.client(**headers), self.settings.origin)


class Browser:
    """Keeps cookies, sends Origin with forms, takes the CSRF token from the page the form is on."""

    def __init__(self, client: httpx2.AsyncClient, origin: str) -> None:
        self.client = client
        self._origin = origin

    async def get(self, path: str, **options: Any) -> httpx2.Response:
        """Open a page."""
        return await self.client.get(path, **options)

    async def submit(self, path: str, fields: dict[str, Any], *, page: str | None = None) -> httpx2.Response:
        """Open ``page`` (or ``path``), then post the fields to ``path`` with that page's token."""
        token = csrf_token_of((await self.get(page or path)).text)
        return await self.post(path, fields | {"csrf_token": token})

    async def post(self, path: str, fields: dict[str, Any], **headers: str) -> httpx2.Response:
        """Post the fields as they are, from our own origin unless ``headers`` say otherwise."""
        sent = {"origin": self._origin, "sec-fetch-site": "same-origin"} | headers
        return await self.client.post(path, data=fields, headers=sent)


def csrf_token_of(html: str) -> str:
    """Return the first form token of a page."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', html)
    assert found, f"no form token on this page: {html[:500]}"
    return found[1]


@asynccontextmanager
async def open_app(
    folder: Path,
    route_handlers: Sequence[HTTPRouteHandler] = (),
    *,
    packages: tuple[str, ...] = (),
    authenticate: Authenticate | None = None,
    database: Database | None = None,
    settings: dict[str, Any] | None = None,
    **options: Any,
) -> AsyncIterator[Running]:
    """Yield the app on a SQLite file in ``folder`` (or on ``database``); tables are the caller's."""
    values: dict[str, Any] = {"data_dir": folder, "external_url": ORIGIN} | (settings or {})
    chosen = Settings(**values)
    store = database or open_database(f"sqlite:///{folder / 'web.db'}", pool_size=3)
    app = create_app(
        settings=chosen,
        database=store,
        authenticate=authenticate or HeaderAuthentication(),
        signing_key=SIGNING_KEY,
        route_handlers=route_handlers,
        packages=packages,
        **options,
    )
    try:
        yield Running(app, store, chosen)
    finally:
        if database is None:
            await store.close()
