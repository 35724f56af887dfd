"""Every page of wikis. The API of GitHub has none but ``has_wiki`` of a repository: wikis are pushed."""

from litestar.handlers import HTTPRouteHandler

from cairn.repositories.wiki import edit_pages, pages, picture_pages, settings_pages

PAGES: tuple[HTTPRouteHandler, ...] = (
    *pages.route_handlers,
    *edit_pages.route_handlers,
    *picture_pages.route_handlers,
    *settings_pages.route_handlers,
)
API: tuple[HTTPRouteHandler, ...] = ()
