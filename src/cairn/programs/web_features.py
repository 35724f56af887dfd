"""The route handlers of all features, with what they are made of."""

from dataclasses import dataclass

from litestar.handlers import HTTPRouteHandler

from cairn.home import api as home_api
from cairn.home import pages as home_pages
from cairn.identity import api as identity_api
from cairn.identity import pages as identity_pages
from cairn.identity import settings_pages as identity_settings_pages
from cairn.programs.services import Services
from cairn.repositories import api as repositories_api
from cairn.repositories import pages as repositories_pages
from cairn.repositories import settings_pages as repositories_settings_pages
from cairn.repositories.queries import count_repositories


@dataclass(frozen=True, slots=True)
class WebFeatures:
    """What the web program's app is built from: routes, and the packages whose templates they render."""

    route_handlers: tuple[HTTPRouteHandler, ...]
    packages: tuple[str, ...]


def make_web_features(services: Services) -> WebFeatures:
    """Return every feature that has pages or an API."""
    who = (services.authenticator, services.passwords)
    handlers = [
        *home_pages.route_handlers,
        *home_api.route_handlers,
        *identity_pages.make_route_handlers(*who),
        *identity_settings_pages.make_route_handlers(*who),
        *identity_api.make_route_handlers(count_repositories),
        *repositories_pages.route_handlers,
        *repositories_settings_pages.route_handlers,
        *repositories_api.route_handlers,
    ]
    return WebFeatures(tuple(handlers), ("cairn.home", "cairn.identity", "cairn.repositories"))
