"""Bundles over HTTP: stock git starts a clone from one; a newer client is told where it lies; rights are asked."""

import http.client
import random
import secrets
from base64 import b64encode
from pathlib import Path

import pytest
from tests.factories.git_repositories import StockGitFailed, StockRepository
from tests.git_compat.fixtures import Place
from tests.git_compat.programs import LOGIN, Installation

from cairn.access.roles import Visibility
from cairn.git.pktline import FLUSH, encode


@pytest.fixture
def place(embedded: Installation, tmp_path: Path) -> Place:
    made = embedded.create(f"b-{secrets.token_hex(5)}", visibility=Visibility.PRIVATE)
    return Place(embedded, "http", made, tmp_path)


@pytest.fixture
def client(place: Place) -> StockRepository:
    made = place.client()
    made.commit({"a.txt": "one\n", "large.bin": random.Random(7).randbytes(2 << 20)}, "first")
    made.git("push", "-q", "origin", "main")
    return made


def ask(place: Place, body: bytes, token: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(place.installation.settings.http_address, timeout=60)
    headers = {
        "Content-Type": "application/x-git-upload-pack-request",
        "Git-Protocol": "version=2",
        "Authorization": "Basic " + b64encode(f"{LOGIN}:{token}".encode()).decode(),
    }
    connection.request("POST", f"/{LOGIN}/{place.repository.name}.git/git-upload-pack", body=body, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_stock_git_clones_with_a_bundle_and_fetches_the_rest(place: Place, client: StockRepository) -> None:
    here = StockRepository(place.folder, place.environment)
    here.git("clone", "-q", f"--bundle-uri={place.url}/clone.bundle", place.url, "copy")
    copy = StockRepository(place.folder / "copy", place.environment)
    assert copy.oid("HEAD") == client.oid("HEAD")
    assert copy.git("for-each-ref", "--format=%(objectname)", "refs/bundles").split() == [client.oid("HEAD").encode()]


def test_a_client_that_asks_is_told_where_the_bundle_lies(place: Place, client: StockRepository) -> None:
    status, answer = ask(place, encode(b"command=bundle-uri\n") + FLUSH, place.installation.token)
    assert status == 200
    origin = place.installation.settings.origin
    assert f"bundle.clone.uri={origin}/{place.repository.full_name}.git/clone.bundle\n".encode() in answer


def test_who_may_not_clone_gets_no_bundle(place: Place, client: StockRepository) -> None:
    address = place.installation.settings.http_address
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("GET", f"/{place.repository.full_name}.git/clone.bundle")
    assert connection.getresponse().status == 401
    here = StockRepository(place.folder, place.environment)
    with pytest.raises(StockGitFailed):
        here.git("ls-remote", f"http://{address}/{place.repository.full_name}.git")


def test_an_empty_repository_answers_that_there_is_none(place: Place) -> None:
    connection = http.client.HTTPConnection(place.installation.settings.http_address, timeout=60)
    proof = b64encode(f"{LOGIN}:{place.installation.token}".encode()).decode()
    connection.request(
        "GET", f"/{place.repository.full_name}.git/clone.bundle", headers={"Authorization": f"Basic {proof}"}
    )
    assert connection.getresponse().status == 404
    status, answer = ask(place, encode(b"command=bundle-uri\n") + FLUSH, place.installation.token)
    assert (status, answer) == (200, FLUSH)
