from cairn.repositories import routes as all_routes
from cairn.repositories.editing import contents_api, objects_api, ref_pages, refs_api
from cairn.repositories.editing.routes import API, PAGES


def test_every_way_to_write_is_there_and_in_the_program() -> None:
    for part in (contents_api, objects_api, refs_api):
        assert set(part.route_handlers) <= set(API)
    assert set(ref_pages.route_handlers) <= set(PAGES)
    assert set(API) <= set(all_routes.API)
    assert set(PAGES) <= set(all_routes.PAGES)
