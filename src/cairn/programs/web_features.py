"""The route handlers of all features, with what they are made of."""

from dataclasses import dataclass

from litestar.handlers import HTTPRouteHandler

from cairn.base.actor import Actor
from cairn.home import api as home_api
from cairn.home import pages as home_pages
from cairn.identity import (
    account_pages,
    email_pages,
    emails_api,
    invitation_pages,
    invitations_api,
    memberships_api,
    password_pages,
    profile_pages,
)
from cairn.identity import api as identity_api
from cairn.identity import organization_pages as identity_organization_pages
from cairn.identity import organization_settings_pages as identity_organization_settings_pages
from cairn.identity import organizations_api as identity_organizations_api
from cairn.identity import outgoing_keys_api as identity_outgoing_keys_api
from cairn.identity import outgoing_keys_pages as identity_outgoing_keys_pages
from cairn.identity import pages as identity_pages
from cairn.identity import settings_pages as identity_settings_pages
from cairn.identity import signing_keys_api as identity_signing_keys_api
from cairn.identity import signing_keys_pages as identity_signing_keys_pages
from cairn.identity import sudo as identity_sudo
from cairn.identity import team_pages as identity_team_pages
from cairn.identity import teams_api as identity_teams_api
from cairn.identity import token_pages as identity_token_pages
from cairn.ops import (
    admin_api,
    admin_audit,
    admin_backups,
    admin_deleted,
    admin_pages,
    admin_site,
    admin_users,
    mail_pages,
    organization_audit,
)
from cairn.programs.services import Services
from cairn.repositories import organization_tokens_api as repositories_organization_tokens_api
from cairn.repositories import organization_tokens_pages as repositories_organization_tokens_pages
from cairn.repositories import outside_collaborators_pages as repositories_outside_collaborators_pages
from cairn.repositories import routes as repositories_routes
from cairn.repositories import team_pages as repositories_team_pages
from cairn.repositories import transfer_api as repositories_transfer_api
from cairn.repositories import transfer_pages as repositories_transfer_pages
from cairn.repositories.delete import delete_repository
from cairn.repositories.lists import count_repositories, list_owned
from cairn.repositories.token_choice import repositories_for_token


@dataclass(frozen=True, slots=True)
class WebFeatures:
    """What the web program's app is built from: routes, and the packages whose templates they render."""

    route_handlers: tuple[HTTPRouteHandler, ...]
    packages: tuple[str, ...]


def make_web_features(services: Services) -> WebFeatures:
    """Return every feature that has pages or an API."""
    who = (services.authenticator, services.passwords)

    async def delete_one(actor: Actor, repository_id: int) -> None:
        async with services.database.write() as session:
            await delete_repository(session, services.engine, actor, repository_id)

    handlers = [
        *home_pages.route_handlers,
        *home_api.route_handlers,
        *identity_pages.make_route_handlers(*who, services.outbox),
        *password_pages.make_route_handlers(*who, services.outbox),
        *profile_pages.make_route_handlers(services.storage),
        *email_pages.make_route_handlers(services.outbox),
        *emails_api.make_route_handlers(services.outbox),
        *account_pages.make_route_handlers(services.outbox, list_owned, delete_one),
        *identity_sudo.make_route_handlers(services.authenticator),
        *admin_pages.route_handlers,
        *admin_backups.route_handlers,
        *admin_deleted.route_handlers,
        *admin_api.make_route_handlers(services.passwords, services.outbox),
        *admin_site.route_handlers,
        *admin_users.make_route_handlers(services.passwords),
        *admin_audit.route_handlers,
        *organization_audit.route_handlers,
        *mail_pages.make_route_handlers(services.outbox),
        *identity_settings_pages.route_handlers,
        *identity_signing_keys_pages.route_handlers,
        *identity_outgoing_keys_pages.route_handlers,
        *identity_token_pages.make_route_handlers(repositories_for_token),
        *identity_api.make_route_handlers(count_repositories),
        *identity_signing_keys_api.route_handlers,
        *identity_outgoing_keys_api.route_handlers,
        *identity_organizations_api.make_route_handlers(count_repositories),
        *identity_teams_api.route_handlers,
        *memberships_api.make_route_handlers(services.outbox),
        *invitations_api.make_route_handlers(services.outbox),
        *invitation_pages.make_route_handlers(services.outbox),
        *identity_organization_pages.route_handlers,
        *identity_organization_settings_pages.route_handlers,
        *identity_team_pages.route_handlers,
        *repositories_routes.PAGES,
        *repositories_routes.API,
        *repositories_transfer_pages.make_route_handlers(services.outbox),
        *repositories_transfer_api.make_route_handlers(services.outbox),
        *repositories_team_pages.route_handlers,
        *repositories_outside_collaborators_pages.route_handlers,
        *repositories_organization_tokens_pages.route_handlers,
        *repositories_organization_tokens_api.route_handlers,
    ]
    return WebFeatures(tuple(handlers), ("cairn.home", "cairn.identity", "cairn.ops", "cairn.repositories"))
