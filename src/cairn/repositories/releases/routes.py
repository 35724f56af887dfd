"""Every page and every operation of the API that this package answers."""

from litestar.handlers import HTTPRouteHandler

from cairn.repositories.releases import api, assets_api, pages, writing_pages

PAGES: tuple[HTTPRouteHandler, ...] = (*pages.route_handlers, *writing_pages.route_handlers)
API: tuple[HTTPRouteHandler, ...] = (*api.route_handlers, *assets_api.route_handlers)
