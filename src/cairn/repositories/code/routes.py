"""Every page and every operation of the API that reads a repository's code."""

from litestar.handlers import HTTPRouteHandler

from cairn.repositories.code import (
    blame_pages,
    commits_api,
    compare_api,
    compare_pages,
    contents_api,
    contributors_api,
    contributors_pages,
    file_pages,
    find_pages,
    folder_pages,
    git_data_api,
    history_pages,
    markup_api,
    range_diff_pages,
    ref_pages,
    search_pages,
)

PAGES: tuple[HTTPRouteHandler, ...] = (
    *folder_pages.route_handlers,
    *file_pages.route_handlers,
    *find_pages.route_handlers,
    *history_pages.route_handlers,
    *ref_pages.route_handlers,
    *contributors_pages.route_handlers,
    *blame_pages.route_handlers,
    *compare_pages.route_handlers,
    *range_diff_pages.route_handlers,
    *search_pages.route_handlers,
)
API: tuple[HTTPRouteHandler, ...] = (
    *commits_api.route_handlers,
    *compare_api.route_handlers,
    *contents_api.route_handlers,
    *git_data_api.route_handlers,
    *markup_api.route_handlers,
    *contributors_api.route_handlers,
)
