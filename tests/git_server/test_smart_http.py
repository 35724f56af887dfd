"""Git's HTTP door as programs see it that are no git: statuses, headers, bodies, what is hidden."""

import gzip
import http.client
import secrets
from base64 import b64encode

import pytest
from tests.factories.git_repositories import StockGitFailed, StockRepository
from tests.git_compat.fixtures import Place
from tests.git_compat.programs import LOGIN, PASSWORD, Installation

from cairn.access.roles import Visibility
from cairn.git.pktline import encode
from cairn.repositories.update import RepositoryChange

V2 = {"Git-Protocol": "version=2"}
FETCH_TYPE = {"Content-Type": "application/x-git-upload-pack-request"}
PUSH_TYPE = {"Content-Type": "application/x-git-receive-pack-request"}
LS_REFS = encode(b"command=ls-refs\n") + b"0001" + encode(b"symrefs\n") + encode(b"unborn\n") + b"0000"


class Answer:
    """A whole answer."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self.status = answer.status
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        self.body = answer.read()


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


def call(
    running: Installation, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
) -> Answer:
    connection = http.client.HTTPConnection(running.settings.http_address, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def refs_path(name: str, service: str = "git-upload-pack") -> str:
    return f"/{LOGIN}/{name}/info/refs?service={service}"


def private(running: Installation) -> str:
    return running.create(f"p-{secrets.token_hex(5)}", visibility=Visibility.PRIVATE).name


def test_answers_carry_gits_types_and_no_cache_headers(embedded: Installation) -> None:
    name = embedded.create(f"h-{secrets.token_hex(5)}").name
    for path in (refs_path(name), refs_path(name + ".git")):
        answer = call(embedded, "GET", path)
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/x-git-upload-pack-advertisement"
        assert answer.headers["cache-control"] == "no-cache, max-age=0, must-revalidate"
        assert answer.headers["pragma"] == "no-cache"
        assert answer.headers["expires"] == "Fri, 01 Jan 1980 00:00:00 GMT"
        assert answer.headers["x-request-id"] == answer.headers["x-github-request-id"]
        assert answer.body.startswith(b"001e# service=git-upload-pack\n0000")
    v2 = call(embedded, "GET", refs_path(name), V2)
    assert v2.body.startswith(b"000eversion 2\n")
    head = call(embedded, "HEAD", refs_path(name), V2)
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == str(len(v2.body))


def test_hidden_and_absent_are_one_answer(embedded: Installation) -> None:
    """Attack: learn the names of private repositories from the door's answers."""
    hidden, absent = private(embedded), "never-made"
    for service in ("git-upload-pack", "git-receive-pack"):
        seen = [call(embedded, "GET", refs_path(name, service)) for name in (hidden, absent, "..", "a%20b")]
        for answer in seen:
            assert answer.status == 401
            assert answer.headers["www-authenticate"] == 'Basic realm="Cairn"'
            assert answer.body == seen[0].body
    token = basic("x", embedded.token)
    assert call(embedded, "GET", refs_path(hidden), token).status == 200
    assert call(embedded, "GET", refs_path(absent), token).status == 404


@pytest.mark.parametrize("wrong", [basic(LOGIN, "wrong"), {"Authorization": "Bearer crn_wrong"},
                                   {"Authorization": "Digest x"}, {"Authorization": "Basic %%%"}])  # fmt: skip
def test_a_wrong_credential_is_challenged_even_where_anybody_may_read(
    embedded: Installation, wrong: dict[str, str]
) -> None:
    name = embedded.create(f"h-{secrets.token_hex(5)}").name
    assert call(embedded, "GET", refs_path(name), wrong).status == 401


@pytest.mark.parametrize("wrong", [basic(LOGIN, "wrong"), {"Authorization": "Bearer crn_wrong"}])
def test_a_wrong_credential_learns_what_to_use_instead(embedded: Installation, wrong: dict[str, str]) -> None:
    answer = call(embedded, "GET", refs_path(private(embedded)), wrong)
    assert answer.status == 401
    assert b"/settings/tokens" in answer.body


def test_every_kind_of_credential_opens_the_door(embedded: Installation) -> None:
    name = private(embedded)
    for given in (
        basic(LOGIN, embedded.token),
        basic(embedded.token, "x-oauth-basic"),
        basic(LOGIN, PASSWORD),
        {"Authorization": f"Bearer {embedded.token}"},
    ):
        assert call(embedded, "GET", refs_path(name), given).status == 200
        assert call(embedded, "GET", refs_path(name, "git-receive-pack"), given).status == 200


def test_a_push_to_what_anybody_may_read_asks_for_a_sign_in(embedded: Installation) -> None:
    name = embedded.create(f"h-{secrets.token_hex(5)}").name
    assert call(embedded, "GET", refs_path(name, "git-receive-pack")).status == 401
    # Refused before the body is asked for: no "100 Continue" goes out.
    refused = call(embedded, "POST", f"/{LOGIN}/{name}/git-receive-pack", {**PUSH_TYPE, "Expect": "100-continue"})
    assert refused.status == 401


def test_dumb_http_wrong_methods_and_wrong_types_are_refused_in_words(embedded: Installation) -> None:
    name = embedded.create(f"h-{secrets.token_hex(5)}").name
    for path in ("info/refs", "HEAD", "objects/info/packs", "info/refs?service=git-upload-archive"):
        answer = call(embedded, "GET", f"/{LOGIN}/{name}.git/{path}")
        assert answer.status == 403
        assert b"Dumb HTTP is not offered" in answer.body
    assert call(embedded, "GET", f"/{LOGIN}/{name}/git-upload-pack").status == 405
    assert call(embedded, "POST", f"/{LOGIN}/{name}/info/refs").headers["allow"] == "GET, HEAD"
    assert call(embedded, "POST", f"/{LOGIN}/{name}/git-upload-pack", {"Content-Type": "text/plain"}).status == 415
    assert (
        call(embedded, "POST", f"/{LOGIN}/{name}/git-upload-pack", FETCH_TYPE | {"Content-Encoding": "br"}).status
        == 415
    )


def test_a_gzip_body_is_read_within_its_limit(embedded: Installation) -> None:
    """Attack: a request of 50 kB that unfolds into 40 MiB."""
    name = embedded.create(f"h-{secrets.token_hex(5)}").name
    headers = {**FETCH_TYPE, **V2, "Content-Encoding": "gzip"}
    answer = call(embedded, "POST", f"/{LOGIN}/{name}/git-upload-pack", headers, gzip.compress(LS_REFS))
    assert answer.headers["content-type"] == "application/x-git-upload-pack-result"
    assert b"unborn HEAD symref-target:refs/heads/main" in answer.body
    line = encode(b"ref-prefix " + b"x" * 60_000)
    bomb = gzip.compress(encode(b"command=ls-refs\n") + b"0001" + line * 700)
    answer = call(embedded, "POST", f"/{LOGIN}/{name}/git-upload-pack", headers, bomb)
    assert b"ERR this request has more than 33,554,432 bytes" in answer.body
    broken = call(embedded, "POST", f"/{LOGIN}/{name}/git-upload-pack", headers, b"no gzip")
    assert b"ERR the body is no gzip" in broken.body


def test_an_empty_request_is_answered_with_nothing(embedded: Installation) -> None:
    """git asks so whether it is let in, before it sends a large pack."""
    name = embedded.create(f"h-{secrets.token_hex(5)}").name
    token = basic("x", embedded.token)
    answer = call(embedded, "POST", f"/{LOGIN}/{name}/git-receive-pack", PUSH_TYPE | token, b"0000")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-type"] == "application/x-git-receive-pack-result"


@pytest.mark.parametrize(
    "body",
    [
        b"zzzz",
        b"0003",
        b"ffff",
        b"00",
        encode(b"command=nonsense\n") + b"0000",
        encode(b"command=fetch\n") + b"0001" + encode(b"want x\n") + b"0000",
        encode(b"command=ls-refs\n") + encode(b"object-format=sha256\n") + b"0000",
    ],
)
def test_what_is_no_git_is_told_so_inside_the_protocol(embedded: Installation, body: bytes) -> None:
    name = embedded.create(f"h-{secrets.token_hex(5)}").name
    answer = call(embedded, "POST", f"/{LOGIN}/{name}/git-upload-pack", {**FETCH_TYPE, **V2}, body)
    assert answer.status == 200
    assert answer.body[4:8] == b"ERR "


def test_a_renamed_repository_is_found_by_its_old_name(
    embedded: Installation, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("renamed")
    place = Place(embedded, "http", embedded.create(f"old-{secrets.token_hex(5)}"), folder)
    client = place.client()
    client.commit({"a.txt": "one\n"})
    client.git("push", "-q", "origin", "main")
    new = place.repository.name.replace("old", "new")
    embedded.change(place.repository, RepositoryChange(name=new))
    answer = call(embedded, "GET", refs_path(place.repository.name))
    assert answer.status == 301
    assert answer.headers["location"] == f"/{LOGIN}/{new}.git/info/refs?service=git-upload-pack"
    assert place.clone("clone").oid("HEAD") == client.oid("HEAD")
    client.commit({"a.txt": "two\n"})
    client.git("push", "-q", "origin", "main")
    ssh = Place(embedded, "ssh", place.repository, folder)
    assert ssh.clone("by-ssh").oid("HEAD") == client.oid("HEAD")


def test_git_shows_why_it_was_refused(embedded: Installation, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("refused")
    here = StockRepository(folder, embedded.git_environment(folder / "home"))
    with pytest.raises(StockGitFailed, match="not found"):
        here.git("ls-remote", embedded.http_url("never-made"))
    with pytest.raises(StockGitFailed, match="not found"):
        here.git("ls-remote", embedded.ssh_url("never-made"))
    wrong = embedded.http_url("never-made").replace(embedded.token, "wrong")
    with pytest.raises(StockGitFailed, match="Authentication failed"):
        here.git("ls-remote", wrong)


def test_a_sha256_client_is_told_so(place: Place) -> None:
    """git itself compares the formats when it reads the advertisement; a client that does not is told by the server."""
    first = place.client("sha1")
    first.commit({"a.txt": "one\n"})
    first.git("push", "-q", "origin", "main")
    client = StockRepository(place.folder / "sha256", place.environment)
    client.path.mkdir()
    client.git("init", "-q", "-b", "main", "--object-format=sha256")
    client.git("commit", "-q", "--allow-empty", "-m", "one")
    with pytest.raises(StockGitFailed, match="does not support this repository's hash algorithm"):
        client.git("push", place.url, "main:other")
    with pytest.raises(StockGitFailed, match="mismatched algorithms: client sha256; server sha1"):
        client.git("fetch", place.url)
