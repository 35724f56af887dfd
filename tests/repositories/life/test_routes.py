"""No page and no operation of this part is forgotten on the way into the program."""

from importlib import import_module
from pkgutil import iter_modules

from cairn.repositories import life
from cairn.repositories import routes as all_routes
from cairn.repositories.life.routes import API, PAGES


def test_every_module_with_routes_is_in_the_program() -> None:
    modules = [import_module(f"{life.__name__}.{one.name}") for one in iter_modules(life.__path__)]
    for kind, listed, whole in (("_pages", PAGES, all_routes.PAGES), ("_api", API, all_routes.API)):
        written = {one for module in modules if module.__name__.endswith(kind) for one in module.route_handlers}
        assert written == set(listed)
        assert written <= set(whole)


def test_every_route_says_whom_it_is_for() -> None:
    assert all("cairn.declaration" in handler.opt for handler in (*PAGES, *API))
