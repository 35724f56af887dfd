"""Everything that reads code is reached by one list of pages and one of operations."""

from cairn.repositories.code import routes
from cairn.web.costs import Cost


def test_every_address_is_served_once() -> None:
    handlers = [*routes.PAGES, *routes.API]
    ways = [(method, path) for handler in handlers for method in handler.http_methods for path in handler.paths]
    assert len(ways) == len(set(ways))
    of_a_text = ("/api/v3/markdown",)  # may name a repository in its body
    assert all("/{repo" in path or path.startswith(of_a_text) for _, path in ways), ways


WALKING = ("blame", "commits", "commit/", "compare/", "range-diff/", "search", "contributors", "branches")
"""How addresses begin, after the repository's, of pages that walk history or read a whole revision."""

WITHOUT_VERSIONS = {"raw/{address:path}", "paths/{address:path}", "compare", "range-diff", "search"}
"""Bytes and lists with validators of their own, forms, and what depends on more than the repository's versions."""


def test_what_walks_history_has_a_cost_and_what_shows_code_has_a_validator() -> None:
    pages = [handler for handler in routes.PAGES if handler.opt["cairn.declaration"].kind == "page"]
    for handler in pages:
        declared = handler.opt["cairn.declaration"]
        for path in handler.paths:
            rest = path.removeprefix("/{owner:str}/{repo:str}").removeprefix("/")
            if rest.startswith(WALKING):
                assert declared.cost is not Cost.LIGHT, path
            assert declared.is_versioned is (rest not in WITHOUT_VERSIONS), path
