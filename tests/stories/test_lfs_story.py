"""Large objects pass through in bounded memory, and a download that breaks goes on where it ended."""

import hashlib
import http.client
import json
import secrets
from collections.abc import Iterator

import pytest
from tests.factories.process_tree import highest_mark
from tests.git_compat.programs import LOGIN, Installation
from tests.git_server.test_smart_http import basic

MIB = 1 << 20
GROWTH_BYTES_MAX = 160 * MIB
"""40 MiB of parts under way, what libraries copy of them, and what the allocator keeps."""


def blocks(count: int) -> Iterator[bytes]:
    """Yield so many blocks of 1 MiB, each another; the same each time."""
    base = hashlib.shake_256(b"a large object").digest(MIB)
    for number in range(count):
        yield number.to_bytes(8, "big") + base[8:]


class Client:
    """Puts and gets objects of one repository."""

    def __init__(self, running: Installation) -> None:
        self.running = running
        self.base = f"/{LOGIN}/{running.create(f'l-{secrets.token_hex(5)}').name}.git/info/lfs"
        self.headers = basic(LOGIN, running.token)

    def put(self, oid: str, size: int, body: Iterator[bytes]) -> int:
        connection = http.client.HTTPConnection(self.running.settings.http_address, timeout=120)
        connection.request("PUT", f"{self.base}/objects/{oid}", body, {**self.headers, "Content-Length": str(size)})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def link(self, oid: str, size: int) -> str:
        connection = http.client.HTTPConnection(self.running.settings.http_address, timeout=30)
        body = json.dumps({"operation": "download", "objects": [{"oid": oid, "size": size}]})
        connection.request("POST", f"{self.base}/objects/batch", body, self.headers)
        [found] = json.loads(connection.getresponse().read())["objects"]
        connection.close()
        return str(found["actions"]["download"]["href"])

    def digest(self, href: str, *, broken_at: int) -> str:
        """Return the SHA-256 of an object that is read to a byte, and from there on over another connection."""
        digest, got = hashlib.sha256(), 0
        for until in (broken_at, None):
            host, _, path = href.removeprefix("http://").partition("/")
            connection = http.client.HTTPConnection(host, timeout=120)
            is_ours = host == self.running.settings.http_address
            headers = (self.headers if is_ours else {}) | ({"Range": f"bytes={got}-"} if got else {})
            connection.request("GET", f"/{path}", headers=headers)
            answer = connection.getresponse()
            assert answer.status == (206 if got else 200)
            while piece := answer.read(MIB if until is None else min(MIB, until - got)):
                digest.update(piece)
                got += len(piece)
            connection.close()
        return digest.hexdigest()


def send_and_get(running: Installation, mebibytes: int) -> None:
    oid = hashlib.sha256()
    for block in blocks(mebibytes):
        oid.update(block)
    client, size = Client(running), mebibytes * MIB
    with highest_mark(running.web.pid) as growth:
        assert client.put(oid.hexdigest(), size, blocks(mebibytes)) == 200
        href = client.link(oid.hexdigest(), size)
        assert client.digest(href, broken_at=size // 3) == oid.hexdigest()
    print(f"{mebibytes} MiB passed through; memory grew by {growth.grown_bytes // MIB} MiB")
    assert growth.grown_bytes < min(GROWTH_BYTES_MAX, size)


@pytest.mark.parametrize("kind", ["embedded", pytest.param("on_servers", marks=pytest.mark.s3_server)])
def test_an_object_of_200_mib_passes_through_in_bounded_memory(request: pytest.FixtureRequest, kind: str) -> None:
    send_and_get(request.getfixturevalue(kind), 200)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", ["embedded", pytest.param("on_servers", marks=pytest.mark.s3_server)])
def test_an_object_of_2_gib_passes_through_in_bounded_memory(request: pytest.FixtureRequest, kind: str) -> None:
    send_and_get(request.getfixturevalue(kind), 2048)
