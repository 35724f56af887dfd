"""``git archive --remote`` by stock git, and what it may not ask for."""

import gzip
import io
import secrets
import tarfile
from pathlib import Path

import pytest
from tests.factories.git_repositories import StockGitFailed, StockRepository
from tests.git_compat.fixtures import Place
from tests.git_compat.programs import Installation

from cairn.git.archive import ArchiveFormat
from cairn.git_server.upload_archive import ArchiveRefused, ArchiveRequest, parse_arguments


@pytest.fixture
def place(embedded: Installation, tmp_path: Path) -> Place:
    return Place(embedded, "ssh", embedded.create(f"a-{secrets.token_hex(5)}"), tmp_path)


@pytest.fixture
def client(place: Place) -> StockRepository:
    made = place.client()
    made.commit({"a.txt": "one\n", "sub/b.txt": "two\n", "big.bin": secrets.token_bytes(300_000)}, "first")
    made.git("tag", "-a", "-m", "release", "v1")
    made.git("push", "-q", "origin", "main", "v1")
    return made


def names(data: bytes, form: str) -> list[str]:
    """Return what a tar archive holds."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(data) if form == "tgz" else data)) as archive:
        return archive.getnames()


@pytest.mark.parametrize("arguments", [["HEAD"], ["v1"], ["main"], ["main:sub"], ["refs/heads/main", "sub", "a.txt"]])
@pytest.mark.parametrize("form", ["tar", "tgz", "zip"])
def test_a_remote_archive_is_the_local_one(
    place: Place, client: StockRepository, arguments: list[str], form: str
) -> None:
    local = client.git("archive", f"--format={form}", "--prefix=x/", *arguments)
    remote = client.git("archive", f"--remote={place.url}", f"--format={form}", "--prefix=x/", *arguments)
    if arguments[0] == "main:sub" and form != "zip":
        # A folder has no time of its own: git writes the present one.
        assert names(local, form) == names(remote, form) == ["x", "x/b.txt"]
    elif arguments[0] != "main:sub":
        assert remote == local


def test_formats_are_listed(place: Place, client: StockRepository) -> None:
    assert client.git("archive", f"--remote={place.url}", "--list").split() == [b"tar", b"tgz", b"tar.gz", b"zip"]


def test_only_names_of_refs_count(place: Place, client: StockRepository) -> None:
    for name in (client.oid("HEAD"), client.oid("HEAD")[:8], "main~0", "no-such", "main:no-such"):
        with pytest.raises(StockGitFailed, match=r"no such ref|there is no"):
            client.git("archive", f"--remote={place.url}", name)


def test_a_path_that_is_not_there_is_told_by_git(place: Place, client: StockRepository) -> None:
    with pytest.raises(StockGitFailed, match="did not match any files"):
        client.git("archive", f"--remote={place.url}", "main", "no/such")


def test_arguments_are_read_as_git_reads_them() -> None:
    assert parse_arguments([b"--format=zip", b"--prefix=a b/", b"-9", b"main", b"x", b"y"]) == ArchiveRequest(
        b"main", ArchiveFormat.ZIP, "a b/", 9, (b"x", b"y")
    )
    assert parse_arguments([b"-v", b"--", b"-odd", b"--path"]).name == b"-odd"
    assert parse_arguments([b"-5", b"main"]).level is None
    assert parse_arguments([b"-l"]).name is None


@pytest.mark.parametrize(
    "arguments",
    [[], [b"--output=/tmp/x", b"main"], [b"--exec=sh", b"main"], [b"--add-file=/etc/passwd", b"main"],
     [b"--format=rar", b"main"], [b"--prefix=" + b"x" * 2000, b"main"], [b"--worktree-attributes", b"main"],
     [b"main"] + [b"p"] * 2000, [b"main", b""]],
    ids=["nothing", "output", "exec", "file", "format", "prefix", "attributes", "many", "empty"],
)  # fmt: skip
def test_what_is_not_offered_is_refused_by_name(arguments: list[bytes]) -> None:
    with pytest.raises(ArchiveRefused):
        parse_arguments(arguments)
