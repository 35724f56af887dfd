"""The whole web program in process, served on a free port, and the system's Chromium in front of it."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server
from sqlalchemy import update
from tests.factories.forge import patient_pages
from tests.services.ports import eventually, free_port

from cairn.base.settings import Settings
from cairn.git_server.smart_http import SmartHttp
from cairn.identity.web_authentication import WebAuthentication
from cairn.programs.services import Services, open_services
from cairn.programs.web_features import make_web_features
from cairn.repositories.models import Repository
from cairn.web.app import create_app
from cairn.web.static_files import StaticFiles

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page

__all__ = ["patient_pages"]

CHROMIUM = Path("/usr/bin/chromium")
PASSWORD = "correct horse battery"
START_SECONDS = 10


@dataclass
class Site:
    """A served forge; ``services`` are the program's own, for what no page can bring about."""

    origin: str
    services: Services
    libraries: tuple[str, ...] = ()
    """The browser libraries that are installed."""

    def git_url(self, login: str, name: str) -> str:
        """Return a repository's HTTP address with its owner's password in it."""
        secret = PASSWORD.replace(" ", "%20")
        return self.origin.replace("://", f"://{login}:{secret}@") + f"/{login}/{name}.git"

    async def let_objects_be_lost(self, name: str) -> None:
        """Let pushes into a repository bring pointers of Git LFS alone."""
        async with self.services.database.write() as session:
            # Names are few here.
            await session.execute(update(Repository).where(Repository.name == name).values(allows_lost_lfs=True))


@pytest.fixture
def site_settings() -> dict[str, Any]:
    """What a module's forge has set otherwise."""
    return {}


@pytest.fixture
async def site(tmp_path: Path, sqlite_template: Path, site_settings: dict[str, Any]) -> AsyncIterator[Site]:
    """A forge with nobody in it."""
    port = free_port()
    settings = Settings(data_dir=tmp_path / "data", external_url=f"http://127.0.0.1:{port}", **site_settings)
    settings.data_dir.mkdir()
    shutil.copyfile(sqlite_template, settings.effective_database_url.removeprefix("sqlite:///"))
    async with open_services(settings) as services:
        features = make_web_features(services)
        git = SmartHttp(settings=settings, engine=services.engine, door=services.git_door)
        app = create_app(
            settings=settings,
            database=services.database,
            authenticate=WebAuthentication(services.authenticator),
            signing_key=b"k" * 32,
            route_handlers=features.route_handlers,
            packages=features.packages,
            fronts=[git.front],
            engine=services.engine,
        )
        server = Server(app, "127.0.0.1", port, interface=Interfaces.ASGI, http=HTTPModes.http1, log_enabled=False)
        serving = asyncio.create_task(server.serve())
        try:
            await _wait_until_open(port)
            yield Site(settings.origin, services, tuple(StaticFiles(("cairn.web",)).libraries))
        finally:
            server.stop()  # type: ignore[no-untyped-call]  # granian's gap
            await asyncio.wait({serving}, timeout=START_SECONDS)
            serving.cancel()


async def _wait_until_open(port: int) -> None:
    async with asyncio.timeout(START_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


@dataclass
class Visitor:
    """One browser profile on the site; ``complaints`` are errors the browser reported (scripts, content policy)."""

    page: "Page"
    context: "BrowserContext"
    site: Site
    complaints: list[str] = field(default_factory=list)

    async def open(self, path: str) -> None:
        """Open a page of the site."""
        await self.page.goto(self.site.origin + path)

    async def join(self, login: str) -> None:
        """Make an account and be signed in."""
        await self.open("/join")
        await self.page.fill("[name=login]", login)
        await self.page.fill("[name=email]", f"{login}@example.org")
        await self.page.fill("[name=password]", PASSWORD)
        await self.page.click("main form button[type=submit]")
        await self.page.wait_for_selector(f"summary[aria-label='Your menu, {login}']")

    async def create(self, name: str, **fields: str) -> None:
        """Create a repository by its form; ``readme="yes"`` ticks the box."""
        await self.open("/new")
        await self.page.fill("[name=name]", name)
        if "readme" in fields:
            await self.page.check("[name=readme]")
        if "visibility" in fields:
            await self.page.check(f"[name=visibility][value={fields['visibility']}]")
        await self.page.click("main form button[type=submit]")
        await self.page.wait_for_url(re.compile(rf"/{name}$"))

    async def until(self, expression: str) -> None:
        """Return as soon as a JavaScript expression is true on the page; TimeoutError when it does not become so.

        Asked from outside each time: what the browser itself asks again (``wait_for_function``) is an eval within the
        page, which our content policy forbids.
        """

        async def is_so() -> bool:
            return bool(await self.page.evaluate(expression))

        await eventually(is_so, within_seconds=START_SECONDS, what=expression)

    async def overflow(self) -> int:
        """Return by how many pixels the page is wider than the window."""
        found: Any = await self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        return int(found)


@pytest.fixture
async def chromium() -> AsyncIterator["Browser"]:
    """The system's Chromium; without it the test is skipped."""
    if not CHROMIUM.exists():
        pytest.skip(f"Chromium is not installed at {CHROMIUM}")
    playwright = pytest.importorskip("playwright.async_api")
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        await browser.close()


async def visit(browser: "Browser", site: Site, **options: Any) -> Visitor:
    """Return a new visitor; ``options`` are Playwright's for a context."""
    context = await browser.new_context(**options)
    context.set_default_timeout(START_SECONDS * 1000)
    page = await context.new_page()
    visitor = Visitor(page, context, site)
    page.on("console", lambda message: visitor.complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: visitor.complaints.append(str(error)))
    return visitor


@pytest.fixture
async def visitor(chromium: "Browser", site: Site) -> AsyncIterator[Visitor]:
    """Somebody at a desk; whatever the browser complained about fails the test."""
    found = await visit(chromium, site, viewport={"width": 1280, "height": 800})
    yield found
    assert found.complaints == []
