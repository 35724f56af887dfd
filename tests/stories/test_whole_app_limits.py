"""R1: 100 MB sent to every route that takes a body end in 413, and the program grows by no more than 20 MB."""

import re
from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.factories.process_tree import highest_mark
from tests.stories.installation import Installation, installation
from tests.stories.people import join
from tests.stories.raw_http import send_body
from tests.stories.route_table import route_table

from cairn.access.actions import Action
from cairn.web.routing import DeclaredRoute

SENT_BYTES = 100 << 20
GROWTH_BYTES_MAX = 20 << 20
WRITING = {"POST", "PUT", "PATCH", "DELETE"}


@pytest.fixture(scope="module")
def cairn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("limits"), program="web") as running:
        yield running


def test_a_body_of_100_mb_is_refused_by_every_route_in_bounded_memory(cairn: Installation) -> None:
    client, token = join(cairn, "ada")
    with closing(client):
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        made = client.post("/api/v3/user/repos", json={"name": "open"}, headers={"authorization": f"Bearer {token}"})
        assert made.status_code == 201
    routes = [route for route in route_table(cairn.environment) if route.method in WRITING]
    assert len(routes) > 15
    with highest_mark(cairn.process.pid) as growth:
        wrong = [told for route in routes for told in _not_refused(cairn.port, route, token, cookies)]
    assert not wrong, "\n".join(wrong)
    assert growth.grown_bytes <= GROWTH_BYTES_MAX, f"the web program grew by {growth.grown_bytes >> 20} MiB"


def _not_refused(port: int, route: DeclaredRoute, token: str, cookies: str) -> Iterator[str]:
    """Send the body to a route with its length and in chunks; yield which of the two is not refused."""
    names = {"owner": "ada", "repo": "open", "username": "ada"}
    path = re.sub(r"\{(\w+)\}", lambda match: names.get(match[1], "1"), route.path)
    is_api = route.declaration.kind == "api"
    who = f"authorization: Bearer {token}" if is_api else f"cookie: {cookies}"
    kind = "application/json" if is_api else "application/x-www-form-urlencoded"
    head = f"{route.method} {path} HTTP/1.1\r\n{who}\r\ncontent-type: {kind}"
    for chunked in (False, True):
        status = send_body(port, head, size=SENT_BYTES, chunked=chunked)
        # Who may not know the page is told so before the body is read.
        is_hidden = route.declaration.action is Action.SITE_ADMINISTER and status == 404
        # The one body that is a file may be larger; this one is sent without the file's name.
        if status != (422 if route.declaration.streams_body else 413) and not is_hidden:
            yield f"{route.method} {path} {'chunked' if chunked else 'with its length'}: {status}"
