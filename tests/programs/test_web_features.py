"""The web program serves every feature: a package that is forgotten would be pages nobody finds."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

import cairn
from cairn.identity.names import unreserved
from cairn.identity.web_authentication import WebAuthentication
from cairn.programs.services import Services
from cairn.programs.web_features import WebFeatures, make_web_features
from cairn.web.app import WebApp, create_app
from cairn.web.routing import check_routes, declared_routes

ROOT = Path(cairn.__file__).parent
FEATURES = sorted({path.parent.name for path in ROOT.glob("*/*.py")} - {"web", "programs"})


@pytest.fixture
def features(services: Services) -> WebFeatures:
    """Every feature."""
    return make_web_features(services)


@pytest.fixture
def app(services: Services, features: WebFeatures) -> WebApp:
    """The app of every feature."""
    return create_app(
        settings=services.settings,
        database=services.database,
        authenticate=WebAuthentication(services.authenticator),
        signing_key=b"k" * 32,
        route_handlers=features.route_handlers,
        packages=features.packages,
    )


def decorated_handlers(path: Path) -> list[str]:
    """Return the names of the functions of a file that ``@page...`` or ``@api...`` make route handlers."""
    tree = ast.parse(path.read_text("utf-8"))
    return [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef)
        and any(
            isinstance(mark, ast.Call)
            and isinstance(mark.func, ast.Attribute)
            and isinstance(mark.func.value, ast.Name)
            and mark.func.value.id in {"page", "api"}
            for mark in node.decorator_list
        )
    ]


async def test_every_handler_that_is_written_is_served(features: WebFeatures) -> None:
    served = {(handler.fn.__module__, handler.fn.__name__) for handler in features.route_handlers}
    written = {
        (f"cairn.{feature}.{path.stem}", name)
        for feature in FEATURES
        for path in (ROOT / feature).glob("*.py")
        for name in decorated_handlers(path)
    }
    assert {module.split(".")[1] for module, _ in written} >= {"home", "identity", "repositories"}
    assert written - served == set()


async def test_no_handler_is_served_twice(features: WebFeatures) -> None:
    assert len(features.route_handlers) == len({id(handler) for handler in features.route_handlers})


async def test_every_package_with_templates_can_render_them(features: WebFeatures) -> None:
    with_templates = {f"cairn.{path.parent.name}" for path in ROOT.glob("*/templates")} - {"cairn.web", "cairn.mail"}
    assert set(features.packages) == with_templates
    for package in features.packages:
        import_module(package)


async def test_every_route_says_what_it_is_for(app: WebApp) -> None:
    check_routes(app.litestar)
    assert len(declared_routes(app.litestar)) > 100


async def test_no_login_can_take_the_place_of_a_page(app: WebApp) -> None:
    """Attack: sign up as ``explore`` or ``settings`` and own what everybody believes to be the site's page."""
    paths = [route.path for route in declared_routes(app.litestar)]
    assert "/explore" in paths
    assert unreserved(paths) == []


async def test_no_two_handlers_answer_the_same_method_and_path(app: WebApp) -> None:
    routes = [(route.method, route.path) for route in declared_routes(app.litestar)]
    assert len(routes) == len(set(routes))
