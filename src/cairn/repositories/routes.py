"""Every page and every operation of the API that the parts of this package answer, one line a part.

What needs something of the program (an outbox) is put together by ``programs`` instead.
"""

from litestar.handlers import HTTPRouteHandler

from cairn.repositories import (
    access_pages,
    api,
    deploy_keys_pages,
    fork_pages,
    lfs_pages,
    purge_pages,
    settings_pages,
)
from cairn.repositories.code import routes as code

PAGES: tuple[HTTPRouteHandler, ...] = (
    *code.PAGES,
    *settings_pages.route_handlers,
    *access_pages.route_handlers,
    *deploy_keys_pages.route_handlers,
    *fork_pages.route_handlers,
    *lfs_pages.route_handlers,
    *purge_pages.route_handlers,
)
API: tuple[HTTPRouteHandler, ...] = (
    *code.API,
    *api.route_handlers,
)
