"""Archives have one address for browsers, two for programs, and all are in the program."""

from cairn.access.actions import Action
from cairn.repositories import routes as all_routes
from cairn.repositories.archives.routes import API, PAGES
from cairn.web.costs import Cost


def test_every_address_of_an_archive_is_in_the_program_and_for_readers() -> None:
    assert set(PAGES) <= set(all_routes.PAGES)
    assert set(API) <= set(all_routes.API)
    actions = {handler.opt["cairn.declaration"].action for handler in (*PAGES, *API)}
    assert actions == {Action.REPOSITORY_READ}


def test_only_making_an_archive_is_dear() -> None:
    assert [handler.opt["cairn.declaration"].cost for handler in PAGES] == [Cost.CONTENT]
