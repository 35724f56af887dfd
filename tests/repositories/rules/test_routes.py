"""The routes about rules."""

from cairn.repositories.rules.routes import API, PAGES


def test_every_route_says_whom_it_is_for() -> None:
    paths = {path for handler in (*PAGES, *API) for path in handler.paths}
    assert "/{owner:str}/{repo:str}/rules" in paths
    assert "/api/v3/repos/{owner:str}/{repo:str}/rulesets" in paths
    assert all("cairn.declaration" in handler.opt for handler in (*PAGES, *API))
