"""Every page and every operation of the API that commits or changes refs on the server."""

from litestar.handlers import HTTPRouteHandler

from cairn.repositories.editing import (
    contents_api,
    delete_pages,
    edit_pages,
    objects_api,
    ref_pages,
    refs_api,
    upload_pages,
)

PAGES: tuple[HTTPRouteHandler, ...] = (
    *edit_pages.route_handlers,
    *delete_pages.route_handlers,
    *upload_pages.route_handlers,
    *ref_pages.route_handlers,
)
API: tuple[HTTPRouteHandler, ...] = (
    *contents_api.route_handlers,
    *objects_api.route_handlers,
    *refs_api.route_handlers,
)
