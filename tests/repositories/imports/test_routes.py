"""No page and no operation of imports is forgotten on the way into the program."""

from cairn.repositories import routes as all_routes
from cairn.repositories.imports import api, pages
from cairn.repositories.imports.routes import API, PAGES


def test_every_route_is_in_the_program() -> None:
    assert set(pages.route_handlers) == set(PAGES) <= set(all_routes.PAGES)
    assert set(api.route_handlers) == set(API) <= set(all_routes.API)


def test_every_route_says_whom_it_is_for() -> None:
    assert all("cairn.declaration" in handler.opt for handler in (*PAGES, *API))
