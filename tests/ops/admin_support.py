"""A forge with its administration pages, and somebody who administers it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.factories.authentication import quick_hasher
from tests.factories.forge import HANDLERS, PACKAGES, Forge, Person, open_forge

from cairn.base.secret_box import SecretBox
from cairn.base.settings import Settings
from cairn.identity.passwords import Passwords
from cairn.mail.outbox import Outbox
from cairn.ops import (
    admin_api,
    admin_audit,
    admin_backups,
    admin_deleted,
    admin_pages,
    admin_site,
    admin_users,
    organization_audit,
)

OUTBOX = Outbox(Settings(external_url="https://cairn.test"), SecretBox(["k" * 32]), ("cairn.identity",))

ADMIN_HANDLERS = (
    *HANDLERS,
    *admin_pages.route_handlers,
    *admin_api.make_route_handlers(Passwords(quick_hasher()), OUTBOX),
    *admin_site.route_handlers,
    *admin_backups.route_handlers,
    *admin_deleted.route_handlers,
    *admin_users.make_route_handlers(Passwords(quick_hasher())),
    *admin_audit.route_handlers,
    *organization_audit.route_handlers,
)


@pytest.fixture
async def site(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Forge]:
    """A forge that has administration pages."""
    async with open_forge(
        tmp_path / "forge",
        sqlite_template,
        route_handlers=ADMIN_HANDLERS,
        packages=tuple(dict.fromkeys((*PACKAGES, "cairn.identity", "cairn.ops"))),
    ) as forge:
        yield forge


async def administrator(site: Forge) -> Person:
    """Return somebody who administers the site."""
    return await site.person("root", is_site_admin=True)
