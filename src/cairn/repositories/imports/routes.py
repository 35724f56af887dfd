"""Pages and API operations of imports."""

from litestar.handlers import HTTPRouteHandler

from cairn.repositories.imports import api, pages

PAGES: tuple[HTTPRouteHandler, ...] = tuple(pages.route_handlers)
API: tuple[HTTPRouteHandler, ...] = tuple(api.route_handlers)
