"""Everything that reads code is reached by one list of pages and one of operations."""

from cairn.repositories.code import routes


def test_every_address_is_served_once() -> None:
    handlers = [*routes.PAGES, *routes.API]
    ways = [(method, path) for handler in handlers for method in handler.http_methods for path in handler.paths]
    assert len(ways) == len(set(ways))
    assert all("/{repo:str}" in path or "/{repository_id:" in path for _, path in ways), ways
