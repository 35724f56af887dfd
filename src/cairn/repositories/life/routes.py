"""Every page and every operation of this part."""

from litestar.handlers import HTTPRouteHandler

from cairn.repositories.life import (
    activity_api,
    activity_pages,
    deleted_api,
    deleted_pages,
    fan_pages,
    fans_api,
    pins_pages,
    templates_api,
    templates_pages,
)

PAGES: tuple[HTTPRouteHandler, ...] = (
    *fan_pages.route_handlers,
    *deleted_pages.route_handlers,
    *templates_pages.route_handlers,
    *pins_pages.route_handlers,
    *activity_pages.route_handlers,
)
API: tuple[HTTPRouteHandler, ...] = (
    *fans_api.route_handlers,
    *deleted_api.route_handlers,
    *templates_api.route_handlers,
    *activity_api.route_handlers,
)
