"""An organization, ``acme``, in a forge: everybody who may ask about it, with tokens that reach organizations."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.factories.forge import HANDLERS, ApiClient, Forge, Person, open_forge
from tests.web.support import ORIGIN

from cairn.access.roles import OrganizationRole, TeamPrivacy, TeamRole
from cairn.base.actor import SYSTEM
from cairn.base.secret_box import SecretBox
from cairn.base.settings import Settings
from cairn.identity import api as identity_api
from cairn.identity import (
    invitation_pages,
    invitations_api,
    memberships_api,
    organization_pages,
    organization_settings_pages,
    organizations_api,
    team_pages,
    teams_api,
)
from cairn.identity.models import Account
from cairn.identity.organization_members import put_member
from cairn.identity.organizations import create_organization
from cairn.identity.team_members import put_team_member
from cairn.identity.teams import create_team
from cairn.mail.compose import Composed
from cairn.mail.outbox import Outbox, list_mails
from cairn.repositories import (
    organization_tokens_api,
    organization_tokens_pages,
    outside_collaborators_pages,
    transfer_api,
    transfer_pages,
)
from cairn.repositories import team_pages as repository_team_pages
from cairn.repositories.lists import count_repositories

PEOPLE = ("olga", "mia", "max", "sam", "sue")
"""Owner; maintainer of the team ``core``; member; stranger; suspended owner."""
SCOPES = ("repo", "delete_repo", "user", "admin:org")


@dataclass(slots=True)
class Company:
    """The forge with ``acme`` in it: a visible team ``core`` and a secret one, ``vault``, of Olga's."""

    forge: Forge
    id: int
    teams: dict[str, int]
    outbox: Outbox
    tokens: dict[str, str] = field(default_factory=dict)

    def api(self, name: str) -> ApiClient:
        """Return the client of somebody; ``anonymous`` and ``narrow`` (Olga's token without admin:org) too."""
        return self.forge.api(self.tokens.get(name))

    async def mails(self, to: str = "") -> list[Composed]:
        """Return the mails that wait, the oldest first: all, or those to one address."""
        async with self.forge.database.read() as session:
            rows = [row for row in await list_mails(session, SYSTEM) if to in {"", row.recipient}]
            return [await self.outbox.read(session, SYSTEM, row.id) for row in reversed(rows)]

    async def statuses(self, method: str, path: str, *names: str, **options: object) -> dict[str, int]:
        """Return what each of them is answered."""
        return {name: (await self.api(name).call(method, path, **options)).status_code for name in names}


@pytest.fixture
async def company(tmp_path: Path, sqlite_template: Path) -> AsyncIterator[Company]:
    """A forge of this test's own with ``acme``."""
    settings = Settings(data_dir=tmp_path, external_url=ORIGIN)
    outbox = Outbox(settings, SecretBox(["k" * 32]), ("cairn.identity", "cairn.repositories"))
    handlers = [
        *HANDLERS,
        *identity_api.make_route_handlers(count_repositories),
        *organizations_api.make_route_handlers(count_repositories),
        *teams_api.route_handlers,
        *team_pages.route_handlers,
        *repository_team_pages.route_handlers,
        *outside_collaborators_pages.route_handlers,
        *transfer_pages.make_route_handlers(outbox),
        *transfer_api.make_route_handlers(outbox),
        *memberships_api.make_route_handlers(outbox),
        *invitations_api.make_route_handlers(outbox),
        *invitation_pages.make_route_handlers(outbox),
        *organization_pages.route_handlers,
        *organization_settings_pages.route_handlers,
        *organization_tokens_api.route_handlers,
        *organization_tokens_pages.route_handlers,
    ]
    packages = ("cairn.home", "cairn.identity", "cairn.repositories")
    async with open_forge(tmp_path / "forge", sqlite_template, route_handlers=handlers, packages=packages) as forge:
        yield await _found(forge, outbox)


async def _found(forge: Forge, outbox: Outbox) -> Company:
    people: dict[str, Person] = {name: await forge.person(name) for name in PEOPLE}
    people["root"] = await forge.person("root", is_site_admin=True)
    olga, root = people["olga"].actor, people["root"].actor
    async with forge.database.write() as session:
        made = await create_organization(session, olga, login="acme", name="Acme")
        for name, role in (("mia", OrganizationRole.MEMBER), ("max", OrganizationRole.MEMBER)):
            await put_member(session, root, made.id, login=name, role=role)
        await put_member(session, root, made.id, login="sue", role=OrganizationRole.OWNER)
        core = await create_team(session, olga, made.id, name="Core")
        vault = await create_team(session, olga, made.id, name="Vault", privacy=TeamPrivacy.SECRET)
        await put_team_member(session, olga, core.id, login="mia", role=TeamRole.MAINTAINER)
        sue = await session.get_one(Account, people["sue"].account.id)
        sue.suspended_at = made.created_at
    company = Company(forge, made.id, {"core": core.id, "vault": vault.id}, outbox)
    for name, person in people.items():
        scopes = (*SCOPES, "site_admin") if name == "root" else SCOPES
        company.tokens[name] = await forge.token(person.account, *scopes)
    company.tokens["narrow"] = await forge.token(people["olga"].account, "read:user")
    return company
