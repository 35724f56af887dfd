"""P4: what cannot be read, or cannot be decided, is refused with a reason; nothing moves."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import httpx2
import pytest
from tests.factories.pushes import EMPTY_PACK, push_request
from tests.stories.installation import Installation, git, installation, ssh_key, working_copy
from tests.stories.pushers import found

from cairn.git.pktline import FLUSH, encode
from cairn.git.types import ZERO_OID, Oid

RESULT = {"content-type": "application/x-git-receive-pack-request"}


@dataclass
class Place:
    """A running Cairn with ``ada/r0``, which has one commit on ``main``."""

    site: Installation
    token: str
    ssh_command: str
    key: Path
    work: Path

    @property
    def head(self) -> Oid:
        """The commit that ``main`` has."""
        return Oid(git("rev-parse", "HEAD", cwd=self.work).strip())

    @property
    def url(self) -> str:
        """The repository's HTTP address with the token in it."""
        return self.site.url("ada/r0", user="ada", secret=self.token)

    def refs(self) -> list[str]:
        """Return what anybody sees now."""
        return [line.partition("\t")[2] for line in git("ls-remote", self.url).splitlines()]

    def connect(self) -> AbstractAsyncContextManager[asyncssh.SSHClientConnection]:
        """Connect over SSH without git."""
        return asyncssh.connect(
            "127.0.0.1", self.site.ssh_port, username="git", client_keys=[str(self.key)], known_hosts=None,
            config=None, agent_path=None,
        )  # fmt: skip

    def post(self, body: bytes) -> httpx2.Response:
        """Push by hand."""
        with self.site.client(self.token) as client:
            return client.post("/ada/r0.git/git-receive-pack", content=body, headers=RESULT)

    def new_ref(self, name: str) -> bytes:
        """Return a push that makes a ref of what is there already."""
        return push_request([(name.encode(), ZERO_OID, self.head)]) + EMPTY_PACK


def make_place(site: Installation, folder: Path) -> Place:
    token = found(site, 1, scopes="repo,admin:public_key")
    public, ssh_command = ssh_key(folder)
    with site.client(token) as client:
        assert client.post("/api/v3/user/keys", json={"title": "key", "key": public}).status_code == 201
    place = Place(site, token, ssh_command, folder / "key", working_copy(folder / "work"))
    git("push", "-q", place.url, "main", cwd=place.work)
    return place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("refused")
    with installation(folder / "site") as site:
        yield make_place(site, folder)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(lambda p: p.new_ref("refs/heads/" + "n" * 65_000), "255", id="longest-name"),
        pytest.param(lambda p: b"a" * (1 << 20), "is not a push command", id="1-mb-without-length"),
        pytest.param(
            lambda p: (encode(b"shallow " + p.head.encode() + b"x" * 60_000)) * 600 + FLUSH,
            "CAIRN_MAX_REQUEST_BYTES",
            id="36-mb-before-the-first-command",
        ),
        pytest.param(lambda p: encode(b"x" * 65_000) + FLUSH, "is not a push command", id="64-kb-of-nothing"),
        pytest.param(lambda p: p.new_ref("refs/heads/n")[:-40], "", id="cut-short"),
        pytest.param(
            lambda p: push_request([(b"refs/heads/n", ZERO_OID, p.head), (b"refs/heads/n", p.head, ZERO_OID)]),
            "refs/heads/n",
            id="twice-the-same-ref",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(place: Place, body: object, reason: str) -> None:
    assert callable(body)
    answer = place.post(body(place))
    assert answer.status_code in {200, 400, 413}, answer.status_code
    print(answer.status_code, answer.content[:300], answer.content[-200:])
    is_told, is_ok = reason in answer.text, b"ok refs/" in answer.content
    assert (is_told, is_ok) == (True, False)
    assert place.refs() == ["HEAD", "refs/heads/main"]


async def test_a_command_line_of_a_megabyte_is_refused_over_ssh(place: Place) -> None:
    """Attack: an address so long that whoever takes it apart gives up and lets it pass, or stops serving."""
    for size in (100_000, 1 << 20):
        async with place.connect() as connection:
            try:
                done = await connection.run(f"git-receive-pack '/ada/{'r' * size}'", encoding=None, timeout=60)
            except (asyncssh.Error, OSError):
                continue  # the connection was ended: no packet may be that long
            assert done.exit_status == 1
            assert isinstance(done.stderr, bytes)
            assert b"only git fetch and git push work here" in done.stderr
    git("ls-remote", place.site.ssh_url("ada/r0"), ssh_command=place.ssh_command)


def test_a_decision_that_cannot_be_made_refuses(tmp_path: Path) -> None:
    """The lookup of rights fails twice and that of rules once, in each program; then everything goes on."""
    settings = {
        "CAIRN_FAIL_POINTS": "rights_read=error@6,rights_read=error@7,rules_read=error@2",
    }
    # Of the web program. Rights: three by ``make_place`` (git asks without and with its token, then pushes), one each
    # by ``refs``; rules: one by ``make_place``. The SSH program counts for itself.
    with installation(tmp_path / "site", settings) as site:
        place = make_place(site, tmp_path)
        passed = 3
        with site.client(place.token) as client:
            address = "/ada/r0.git/info/refs?service=git-receive-pack"
            while passed < 5:
                assert client.get(address).status_code == 200
                passed += 1
            refused = client.get(address)
            assert refused.status_code == 500
            assert place.head.encode() not in refused.content
            refused = place.post(place.new_ref("refs/heads/rights"))
            assert refused.status_code == 500
            assert b"refs/heads" not in refused.content
            refused = place.post(place.new_ref("refs/heads/rules"))
            assert b"ng refs/heads/rules The server failed" in refused.content
            assert place.refs() == ["HEAD", "refs/heads/main"]
            assert b"ok refs/heads/later" in place.post(place.new_ref("refs/heads/later")).content
        assert place.refs() == ["HEAD", "refs/heads/later", "refs/heads/main"]
        assert site.log().count("FailPointError: fail point ") == 3
