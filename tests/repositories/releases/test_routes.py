"""Everything about releases is in the program, and says whom it is for."""

from cairn.access.actions import Action
from cairn.repositories import routes as all_routes
from cairn.repositories.releases import api, assets_api, pages, writing_pages
from cairn.repositories.releases.routes import API, PAGES


def test_every_route_is_in_the_program() -> None:
    assert {*pages.route_handlers, *writing_pages.route_handlers} == set(PAGES) <= set(all_routes.PAGES)
    assert {*api.route_handlers, *assets_api.route_handlers} == set(API) <= set(all_routes.API)


def test_reading_is_for_readers_and_everything_else_for_who_may_push() -> None:
    shown = {handler for handler in (*PAGES, *API) if handler.http_methods <= {"GET", "HEAD", "OPTIONS"}}
    forms = {writing_pages.new, writing_pages.edit}
    for handler in (*PAGES, *API):
        is_read = handler in shown and handler not in forms
        wanted = Action.REPOSITORY_READ if is_read else Action.REPOSITORY_PUSH
        assert handler.opt["cairn.declaration"].action is wanted, handler.paths
