"""The route handlers of all features, with what they are made of."""

from dataclasses import dataclass

from litestar.handlers import HTTPRouteHandler

from cairn.programs.services import Services


@dataclass(frozen=True, slots=True)
class Features:
    """What the web program's app is built from: routes, and the packages whose templates they render."""

    route_handlers: tuple[HTTPRouteHandler, ...]
    packages: tuple[str, ...]


def make_features(services: Services) -> Features:
    """Return every feature that has pages or an API."""
    from cairn.identity import pages as identity_pages

    return Features(
        route_handlers=tuple(identity_pages.make_route_handlers(services.authenticator, services.passwords)),
        packages=("cairn.identity", "cairn.repositories"),
    )
