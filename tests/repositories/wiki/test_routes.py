"""Every page of wikis is reached by one list."""

from cairn.repositories import routes as repository_routes
from cairn.repositories.wiki import routes


def test_every_address_is_served_once_and_below_its_repository() -> None:
    ways = [(method, path) for handler in routes.PAGES for method in handler.http_methods for path in handler.paths]
    assert len(ways) == len(set(ways))
    assert {path.split("/")[3] for _, path in ways} == {"wiki", "settings"}
    assert set(routes.PAGES) <= set(repository_routes.PAGES)
