"""An organization with everybody who can come, around the program's own app in process; no commit keeps anything."""

import os
import re
import secrets
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncssh
import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session as OrmSession
from tests.factories.accounts import make_account
from tests.factories.organizations import grant_team, join_organization, join_team, make_organization, make_team
from tests.factories.raw_packs import object_id
from tests.stories.actor_table import (
    Asker,
    Place,
    Rank,
    Token,
)
from tests.stories.installation import run_cairnd
from tests.stories.walked_addresses import QUERIES, address_of

from cairn.access.models import Grant
from cairn.access.roles import OrganizationRole, Role, TeamRole, Visibility
from cairn.base.actor import Actor, ActorKind
from cairn.base.clock import utc_now
from cairn.base.settings import Settings
from cairn.git.engine import Engine
from cairn.git.quarantine import Quarantine
from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import ZERO_OID, Oid, RefName, Signature
from cairn.git.writing import File, commit_files
from cairn.git_server.lfs_http import LfsHttp
from cairn.git_server.smart_http import SmartHttp
from cairn.git_server.ssh import SshDoor, listen_ssh
from cairn.git_server.ssh_limits import ConnectionLimits
from cairn.identity.models import Account, Session, SshKey
from cairn.identity.models import Token as TokenRow
from cairn.identity.token_format import hash_secret, make_token
from cairn.identity.web_authentication import WebAuthentication
from cairn.programs.services import Services, open_services
from cairn.programs.web_features import make_web_features
from cairn.repositories.create import NewRepository, create_repository
from cairn.repositories.models import Repository
from cairn.web.app import WebApp, create_app
from cairn.web.routing import DeclaredRoute, declared_routes

ORIGIN = "http://cairn.test:3000"
CLASSIC = frozenset(
    {
        *("repo", "public_repo", "delete_repo", "user", "admin:org", "write:org", "read:org"),
        *("admin:public_key", "write:public_key"),
    }
)
FINE = {
    **dict.fromkeys(("contents", "administration", "issues", "members", "organization_administration"), "write"),
    "metadata": "read",
}


KEY = {"title": "laptop", "key": "ssh-ed25519 " + b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + b"k" * 32).decode()}
FILES = {b"README.md": b"# Hello\n", b"src/main.py": b"print()\n", b"src/README.md": b"# Source\n"}
_is_asked = ContextVar("is_asked", default=False)
"""Not so in what runs beside the test, such as the program's notes of what was used last."""
LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass
class Somebody:
    """An asker with what it carries: ``cookie`` for pages, ``secret`` for API and git and for pages without one."""

    asker: Asker
    cookie: str = ""
    secret: str = ""
    key: asyncssh.SSHKey | None = None
    pages: httpx2.AsyncClient = field(init=False, repr=False)
    api: httpx2.AsyncClient = field(init=False, repr=False)
    csrf: str = ""


@dataclass
class World:
    """The app, everybody, and what stands for the parameters of paths."""

    app: WebApp
    services: Services
    routes: list[DeclaredRoute]
    ssh_port: int
    everybody: list[Somebody] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    commits: int = 0
    """How many of them there were because somebody asked."""

    def url(self, route: DeclaredRoute, repository: str) -> str:
        """Return the address of a route about one of the repositories."""
        values = self.values | {
            "repo": repository,
            "address": address_of(route),
            "repository_id": str(self.ids[repository]),
        }
        if "gitignore" in route.path:
            values["name"] = "Python"
        if "emoji" in route.path:
            values["file_name"] = "1f680.svg"
        # A number of nothing: what is refused must be refused before anybody looks for it.
        filled = re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], "999999"), route.path)
        return filled + QUERIES.get(route.path, "")


@asynccontextmanager
async def open_world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Yield the world; once it is there, every commit takes back what it should have kept."""
    # The code under test is what this process imports, wherever it lies.
    found = {"PATH": "/usr/bin:/bin", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    run_cairnd({"CAIRN_DATA_DIR": str(folder), **found}, "migrate")
    settings = Settings(
        data_dir=folder, external_url=ORIGIN, rate_api_per_hour=10**8, rate_pages_per_minute=10**8,
        rate_git_per_minute=10**8,
    )  # fmt: skip
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(open_services(settings))
        features = make_web_features(services)
        git = SmartHttp(settings=settings, engine=services.engine, door=services.git_door, limits=services.limits)
        lfs = LfsHttp(
            settings=settings,
            database=services.database,
            storage=services.storage,
            door=services.git_door,
            words=services.words,
            limits=services.limits,
        )
        app = create_app(
            settings=settings,
            database=services.database,
            authenticate=WebAuthentication(services.authenticator),
            signing_key=b"k" * 32,
            route_handlers=features.route_handlers,
            packages=features.packages,
            engine=services.engine,
            limits=services.limits,
            fronts=[git.front, lfs.front],
        )
        door = SshDoor(
            settings=settings,
            engine=services.engine,
            door=services.git_door,
            authenticator=services.authenticator,
            limits=ConnectionLimits(per_address=1000, total=1000),
            rates=services.limits,
            words=services.words,
        )
        host_key = asyncssh.generate_private_key("ssh-ed25519")
        listener = await stack.enter_async_context(listen_ssh(door, [host_key], host="127.0.0.1", port=0))
        world = World(app, services, declared_routes(app.litestar), listener.get_port())
        await _people(world)

        def take_back(session: OrmSession) -> None:
            session.flush()
            world.commits += _is_asked.get()
            session.expunge_all()  # what was read stays readable, as after a commit
            session.rollback()

        monkeypatch.setattr(OrmSession, "commit", take_back)
        _is_asked.set(True)
        yield world


async def _people(world: World) -> None:
    database, engine = world.services.database, world.services.engine
    logins = ["olga", "mia", "nell", "max", "otto", "sam", "tria", "manu", "susi", "adam"]
    async with database.write() as session:
        people = {login: await make_account(session, login, is_site_admin=login == "adam") for login in logins}
        people["susi"].suspended_at = utc_now()
        acme = await make_organization(session, "acme", owner=people["olga"])
        for login in ("mia", "nell", "max", "tria", "manu"):
            await join_organization(session, acme, people[login])
        await join_organization(session, acme, people["susi"], OrganizationRole.OWNER)
        core = await make_team(session, acme, "core")
        inner = await make_team(session, acme, "inner", parent=core)
        await join_team(session, core, people["mia"], TeamRole.MAINTAINER)
        await join_team(session, inner, people["nell"])
    olga = Actor(ActorKind.USER, people["olga"].id, "olga")
    for name, visibility in (
        ("secret", Visibility.PRIVATE),
        ("open", Visibility.PUBLIC),
        ("other", Visibility.PRIVATE),
    ):
        wanted = NewRepository(name=name, owner="acme", visibility=visibility, default_branch="main")
        made = await create_repository(database, engine, olga, wanted)
        head = await _commit(engine, made.store_id)
        world.ids[name] = made.id
        async with database.write() as session:
            row = await session.get_one(Repository, made.id)
            if name == "other":
                continue
            await grant_team(session, row, core, Role.TRIAGE)
            for login, role in (("otto", Role.WRITE), ("tria", Role.TRIAGE), ("manu", Role.MAINTAIN)):
                session.add(Grant(repository_id=made.id, account_id=people[login].id, role=role, granted_at=utc_now()))
    world.values = {
        "owner": "acme", "org": "acme", "login": "max", "username": "max", "slug": "core", "team_id": str(core.id),
        "organization_id": str(acme.id), "account_id": str(people["max"].id), "oid": head, "commit_sha": head,
        "file_sha": object_id("blob", FILES[b"README.md"]), "tag_sha": "0" * 40,
        "secret": "unknown", "file_name": "acme.svg", "key": "mit",
    }  # fmt: skip
    reached = [world.ids["secret"], world.ids["open"]]
    everything = Token(CLASSIC)
    askers: list[tuple[Asker, str]] = [
        (Asker("anonymous", is_known=False), ""),
        (Asker("stranger", token=everything), "sam"),
        (Asker("organization member", place=Place.MEMBER, token=everything), "max"),
        (Asker("organization owner", Rank.ADMIN, Place.OWNER, Place.OWNER, token=everything), "olga"),
        (Asker("team maintainer", Rank.TRIAGE, Place.MEMBER, Place.OWNER, token=everything), "mia"),
        (Asker("member of a nested team", Rank.TRIAGE, Place.MEMBER, Place.MEMBER, token=everything), "nell"),
        (Asker("outside collaborator", Rank.WRITE, token=everything), "otto"),
        (Asker("triager", Rank.TRIAGE, Place.MEMBER, token=everything), "tria"),
        (Asker("maintainer", Rank.MAINTAIN, Place.MEMBER, token=everything), "manu"),
        (Asker("suspended owner", is_known=False, is_refused=True), "susi"),
        (Asker("site administrator", administers=True, token=Token(CLASSIC | {"site_admin"})), "adam"),
    ]
    for asker, login in askers:
        account = people.get(login)
        await _equip(world, asker, account, scopes=asker.token.scopes if asker.token else CLASSIC)
    expanded = frozenset(f"{name}:{level}" for name in FINE for level in ("read", FINE[name]))
    owner, adam = people["olga"], people["adam"]
    as_owner = Asker("", Rank.ADMIN, Place.OWNER, Place.OWNER)
    fine = Token(permissions=expanded, is_single=True)
    reading = Token(permissions=frozenset({"metadata:read", "contents:read"}), is_single=True)
    for name, asker, owner_of_token, columns in (
        ("token for chosen repositories", replace(as_owner, token=fine), owner,
         {"owner_id": acme.id, "permissions": FINE, "repository_ids": reached}),
        ("token for another repository", replace(as_owner, token=replace(fine, reaches=False)), owner,
         {"owner_id": acme.id, "permissions": FINE, "repository_ids": [world.ids["other"]]}),
        ("token of another resource owner", replace(as_owner, token=Token(permissions=frozenset(), reaches=False)),
         owner, {"owner_id": owner.id, "permissions": FINE}),
        ("token for all repositories", replace(as_owner, token=replace(fine, is_single=False)), owner,
         {"owner_id": acme.id, "permissions": FINE}),
        ("token that may only read", replace(as_owner, token=reading), owner,
         {"owner_id": acme.id, "permissions": {"contents": "read"}, "repository_ids": reached}),
        ("administrator's token without site_admin", Asker("", token=everything), adam, {"scopes": sorted(CLASSIC)}),
        ("narrow token", replace(as_owner, token=Token(frozenset({"read:user"}))), owner, {"scopes": ["read:user"]}),
        ("expired token", Asker("", is_known=False, is_refused=True), owner,
         {"scopes": sorted(CLASSIC), "expires_at": utc_now() - timedelta(days=1)}),
    ):  # fmt: skip
        await _equip_with_token(world, replace(asker, name=name), owner_of_token, **columns)
    await _deploy_keys(world, acme)


async def _commit(engine: Engine, store_id: int) -> Oid:
    """Land the first commit on ``main`` and on a branch beside it; the same in every store."""
    made: list[Oid] = []

    async def write(quarantine: Quarantine) -> list[RefUpdate]:
        by = Signature("Olga", "olga@example.test", LONG_AGO)
        files = {path: File(data) for path, data in FILES.items()}
        made.append(await commit_files(quarantine, parents=[], changes=files, author=by, committer=by, message="One"))
        return [RefUpdate(b"refs/heads/" + name, ZERO_OID, made[0]) for name in (b"main", b"walked-away")]

    async def allow(session: AsyncSession, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
        return {}

    staged = await engine.stage(store_id, write)
    outcomes = await engine.land(staged, push_id=secrets.token_hex(16), actor="test", within=allow)
    assert all(outcome.moved for outcome in outcomes)
    return made[0]


async def _equip(world: World, asker: Asker, account: Account | None, *, scopes: frozenset[str]) -> None:
    """Add somebody with a browser's session for pages, a classic token for the API and git, and an SSH key."""
    somebody = Somebody(asker)
    if account is not None:
        now, somebody.cookie = utc_now(), secrets.token_urlsafe(32)
        async with world.services.database.write() as session:
            session.add(
                Session(
                    cookie_sha256=hash_secret(somebody.cookie), account_id=account.id, created_at=now, last_used_at=now,
                    proved_at=now, expires_at=now + timedelta(days=1), address="192.0.2.7", user_agent="test",
                )
            )  # fmt: skip
            somebody.secret = await _token(session, account, scopes=sorted(scopes))
            somebody.key = await _key(session, account_id=account.id)
    _connect(world, somebody)


async def _equip_with_token(world: World, asker: Asker, account: Account, **columns: Any) -> None:
    """Add somebody who has nothing but a token."""
    async with world.services.database.write() as session:
        somebody = Somebody(asker, secret=await _token(session, account, **columns))
    _connect(world, somebody)


async def _token(session: AsyncSession, account: Account, **columns: Any) -> str:
    secret = make_token()
    values = {"scopes": [], "created_at": utc_now(), "name": "walk"} | columns
    session.add(
        TokenRow(account_id=account.id, token_sha256=hash_secret(secret), last_characters=secret[-4:], **values)
    )
    return secret


async def _key(session: AsyncSession, **columns: Any) -> asyncssh.SSHKey:
    key = asyncssh.generate_private_key("ssh-ed25519")
    session.add(
        SshKey(
            fingerprint=key.get_fingerprint(), algorithm="ssh-ed25519", title="walk", created_at=utc_now(),
            public_key=key.export_public_key().decode().strip(), **columns,
        )
    )  # fmt: skip
    return key


async def _deploy_keys(world: World, acme: Account) -> None:
    """Add the keys of ``secret`` and ``other``: they open nothing but git over SSH."""
    del acme
    for name, repository, can_write in (
        ("deploy key that reads", "secret", False),
        ("deploy key that writes", "secret", True),
        ("deploy key of another repository", "other", True),
    ):
        async with world.services.database.write() as session:
            made = await _key(session, repository_id=world.ids[repository], can_write=can_write)
        world.everybody.append(Somebody(Asker(name), key=made))


def _connect(world: World, somebody: Somebody) -> None:
    transport = httpx2.ASGITransport(app=world.app, client=("192.0.2.7", 5000))
    bearer = {"authorization": f"Bearer {somebody.secret}"} if somebody.secret else {}
    somebody.api = httpx2.AsyncClient(transport=transport, base_url=ORIGIN, headers=bearer)
    somebody.pages = httpx2.AsyncClient(
        transport=transport, base_url=ORIGIN, headers={} if somebody.cookie or not somebody.secret else bearer
    )
    if somebody.cookie:
        somebody.pages.cookies.set("cairn_session", somebody.cookie)
    world.everybody.append(somebody)
