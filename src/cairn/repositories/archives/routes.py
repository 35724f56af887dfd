"""Every page and every operation of the API that this package answers."""

from litestar.handlers import HTTPRouteHandler

from cairn.repositories.archives import api, pages

PAGES: tuple[HTTPRouteHandler, ...] = (*pages.route_handlers,)
API: tuple[HTTPRouteHandler, ...] = (*api.route_handlers,)
