"""R1: 100 MB sent to every route that takes a body end in 413, and the program grows by no more than 20 MB."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.stories.installation import Installation, installation
from tests.stories.people import join
from tests.stories.raw_http import send_body
from tests.stories.route_table import route_table

from cairn.access.actions import Action

SENT_BYTES = 100 << 20
GROWTH_BYTES_MAX = 20 << 20
WRITING = {"POST", "PUT", "PATCH", "DELETE"}


@pytest.fixture(scope="module")
def cairn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("limits"), program="web") as running:
        yield running


def memory_of(pid: int, field: str) -> int:
    """Return one line of a process's status in bytes."""
    found = re.search(rf"^{field}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) << 10


def test_a_body_of_100_mb_is_refused_by_every_route_in_bounded_memory(cairn: Installation) -> None:
    client, token = join(cairn, "ada")
    with closing(client):
        cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
        made = client.post("/api/v3/user/repos", json={"name": "open"}, headers={"authorization": f"Bearer {token}"})
        assert made.status_code == 201
    routes = [route for route in route_table(cairn.environment) if route.method in WRITING]
    assert len(routes) > 15
    pid = cairn.process.pid
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the highest mark starts again from here
    before = memory_of(pid, "VmRSS")
    wrong: list[str] = []
    for route in routes:
        names = {"owner": "ada", "repo": "open", "username": "ada"}
        path = re.sub(r"\{(\w+)\}", lambda match, names=names: names.get(match[1], "1"), route.path)  # type: ignore[misc]
        is_api = route.declaration.kind == "api"
        who = f"authorization: Bearer {token}" if is_api else f"cookie: {cookies}"
        kind = "application/json" if is_api else "application/x-www-form-urlencoded"
        head = f"{route.method} {path} HTTP/1.1\r\n{who}\r\ncontent-type: {kind}"
        for chunked in (False, True):
            status = send_body(cairn.port, head, size=SENT_BYTES, chunked=chunked)
            # Who may not know the page is told so before the body is read.
            is_hidden = route.declaration.action is Action.SITE_ADMINISTER and status == 404
            if status != 413 and not is_hidden:
                wrong.append(f"{route.method} {path} {'chunked' if chunked else 'with its length'}: {status}")
    assert not wrong, "\n".join(wrong)
    grown = memory_of(pid, "VmHWM") - before
    assert grown <= GROWTH_BYTES_MAX, f"the web program grew by {grown >> 20} MiB"
