"""The real route table: every route of the web program with its declaration, as ``cairnd web`` puts it together."""

import asyncio
from collections.abc import Mapping

from cairn.base.settings import load_settings
from cairn.programs.services import open_services
from cairn.programs.web_features import make_web_features
from cairn.web.app import create_app
from cairn.web.routing import DeclaredRoute, declared_routes


def route_table(environment: Mapping[str, str]) -> list[DeclaredRoute]:
    """Return every route; ``environment`` is that of a migrated installation. RouteUndeclared if one says nothing."""
    return asyncio.run(_routes(environment))


async def _routes(environment: Mapping[str, str]) -> list[DeclaredRoute]:
    settings = load_settings({name: value for name, value in environment.items() if name.startswith("CAIRN_")})
    async with open_services(settings) as services:
        features = make_web_features(services)
        app = create_app(
            settings=settings,
            database=services.database,
            authenticate=None,  # type: ignore[arg-type]  # nothing is asked of this app
            signing_key=b"",
            route_handlers=features.route_handlers,
            packages=features.packages,
        )
        return declared_routes(app.litestar)
