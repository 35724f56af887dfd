"""Pages and API operations of mirrors."""

from litestar.handlers import HTTPRouteHandler

from cairn.repositories.mirrors import api, pages

PAGES: tuple[HTTPRouteHandler, ...] = tuple(pages.route_handlers)
API: tuple[HTTPRouteHandler, ...] = tuple(api.route_handlers)
