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
from cairn.repositories.archives import routes as archives
from cairn.repositories.code import routes as code
from cairn.repositories.editing import routes as editing
from cairn.repositories.imports import routes as imports
from cairn.repositories.life import routes as life
from cairn.repositories.mirrors import routes as mirrors
from cairn.repositories.releases import routes as releases
from cairn.repositories.rules import routes as rules
from cairn.repositories.wiki import routes as wiki

PAGES: tuple[HTTPRouteHandler, ...] = (
    *code.PAGES,
    *archives.PAGES,
    *imports.PAGES,
    *releases.PAGES,
    *settings_pages.route_handlers,
    *access_pages.route_handlers,
    *deploy_keys_pages.route_handlers,
    *editing.PAGES,
    *fork_pages.route_handlers,
    *lfs_pages.route_handlers,
    *life.PAGES,
    *mirrors.PAGES,
    *purge_pages.route_handlers,
    *rules.PAGES,
    *wiki.PAGES,
)
API: tuple[HTTPRouteHandler, ...] = (
    *code.API,
    *archives.API,
    *imports.API,
    *releases.API,
    *api.route_handlers,
    *editing.API,
    *life.API,
    *mirrors.API,
    *rules.API,
    *wiki.API,
)
