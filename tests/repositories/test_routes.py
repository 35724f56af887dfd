"""Every page and operation of the package is reached by one list each."""

from cairn.repositories import routes


def test_every_address_is_served_once() -> None:
    handlers = [*routes.PAGES, *routes.API]
    ways = [(method, path) for handler in handlers for method in handler.http_methods for path in handler.paths]
    assert len(ways) == len(set(ways))
