"""I1 and I4: whatever stands in a name, an address, a line of git's protocol or a header, it stays data.

The web program runs with a git that writes down each command line it gets. Every made-up name carries a mark; the mark
may stand behind ``--`` (a path inside a tree) and nowhere else. ``TEST_SEED=n`` repeats a run.
"""

import base64
import json
import os
import random
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.factories.raw_packs import raw_pack
from tests.services.postgresql import PostgresqlServer, postgresql_server
from tests.services.processes import ServiceMissing
from tests.stories.installation import Installation, git, installation, working_copy
from tests.stories.nasty import MARK, in_path, make_random, nasty
from tests.stories.people import join
from tests.stories.raw_http import Raw, send_bytes
from tests.stories.route_table import route_table

ADDRESSES = 1200
GIT_ADDRESSES = 400
MALFORMED = 150
PUSHES = 20
COMMANDS_A_PUSH = 40
FETCHES = 250
TEXTS = 120
SLOW_SECONDS = 2
"""Ten times what such an answer takes; a cost that grows with the square of a name goes past it."""
ZERO = b"0" * 40
FETCH_LINES = (
    *(b"want ", b"have ", b"shallow ", b"deepen ", b"deepen-since ", b"deepen-not ", b"filter ", b"want-ref "),
    *(b"ref-prefix ", b"agent=", b"session-id=", b"object-format=", b"server-option=", b"packfile-uris ", b""),
)
RECORDS = """#!/bin/sh
printf '%s\\037' BEGIN "$@" >> '{log}'
exec '{git}' "$@"
"""


@dataclass
class World:
    """The program under fire, and what its git was asked."""

    cairn: Installation
    token: str
    head: str
    record: Path
    folder: Path
    source: random.Random
    seed: int
    query: Callable[[str], list[str]]
    """Answers SQL that gives one column, as text."""
    lines_seen: int = 0
    """How much of the log belongs to tests that are over."""

    def basic(self) -> str:
        """Return the header that signs Ada in at git's door."""
        return "Basic " + base64.b64encode(f"ada:{self.token}".encode()).decode()

    def raw(self) -> Raw:
        """Return a connection as Ada."""
        return Raw(self.cairn.port, f"Bearer {self.token}")

    def git_raw(self) -> Raw:
        """Return a connection as Ada, with the header git sends."""
        return Raw(self.cairn.port, self.basic())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Ada's public repository on PostgreSQL, which is stricter with text; on SQLite where there is none."""
    folder = tmp_path_factory.mktemp("fuzz")
    binary, record = folder / "bin" / "git", folder / "argv"
    binary.parent.mkdir()
    binary.write_text(RECORDS.format(log=record, git=shutil.which("git")))
    binary.chmod(0o755)
    settings = {"PATH": f"{binary.parent}:{os.environ['PATH']}"}
    with ExitStack() as stack:
        try:
            server = stack.enter_context(postgresql_server(fsync=True))
            settings["CAIRN_DATABASE_URL"] = server.url(server.create_database())
            settings["CAIRN_SECRET_KEY"] = "a key for the tests, of no other use"
            database = settings["CAIRN_DATABASE_URL"].rpartition("/")[2]
            query = _postgresql_query(server, database)
        except ServiceMissing:
            print("without PostgreSQL: on SQLite")
            query = _sqlite_query(folder / "cairn" / "data" / "cairn.db")
        cairn = stack.enter_context(installation(folder / "cairn", settings, program="web"))
        client, token = join(cairn, "ada")
        stack.enter_context(closing(client))
        headers = {"authorization": f"Bearer {token}"}
        assert client.post("/api/v3/user/repos", json={"name": "engine"}, headers=headers).status_code == 201
        work = working_copy(folder / "work", {"README.md": "# Hello\n", "src/main.py": "print()\n"})
        git("push", cairn.url("ada/engine", user="ada", secret=token), "main", cwd=work)
        source, seed = make_random()
        yield World(cairn, token, git("rev-parse", "main", cwd=work).strip(), record, folder, source, seed, query)


def _postgresql_query(server: PostgresqlServer, database: str) -> Callable[[str], list[str]]:
    return lambda sql: server.execute(sql, database=database).split()


def _sqlite_query(path: Path) -> Callable[[str], list[str]]:
    def query(sql: str) -> list[str]:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return [str(row[0]) for row in connection.execute(sql)]

    return query


@pytest.fixture(autouse=True)
def still_well(world: World) -> Iterator[None]:
    """After each test: the same process is alive, its git was asked nothing odd, nothing broke inside."""
    yield
    with world.raw() as raw:
        assert raw.ask("GET", "/healthz")[0] == 200
        assert raw.ask("GET", "/ada/engine")[0] == 200
    assert_argv_is_clean(world.record.read_bytes())
    lines = world.cairn.log().splitlines()
    broken = [line for line in lines[world.lines_seen :] if '"level": "error"' in line]
    world.lines_seen = len(lines)
    assert not broken, f"TEST_SEED={world.seed}\n" + "\n".join(broken)[:5000]
    assert not list(world.cairn.folder.rglob("*canary*"))


def assert_argv_is_clean(record: bytes) -> None:
    """Raise AssertionError unless every marked word stands behind ``--``, and some commands were recorded.

    Whom a history is by is attached to its option, and so cannot be another one.
    """
    commands = [command.split(b"\037") for command in record.split(b"BEGIN\037") if command]
    assert commands
    for words in commands:
        before = words[: words.index(b"--")] if b"--" in words else words
        assert not [word for word in before if MARK in word and not word.startswith(b"--author=")], words


def test_the_mark_would_be_found_in_an_option() -> None:
    assert_argv_is_clean(b"BEGIN\037log\037-z\037--\037FZ7\037")
    for bad in (b"log\037--grep=FZ7\037--\037a", b"log\037FZ7", b"FZ7"):
        with pytest.raises(AssertionError):
            assert_argv_is_clean(b"BEGIN\037" + bad + b"\037")


def test_no_address_of_page_or_api_becomes_an_option_or_a_path(world: World) -> None:
    source = world.source
    routes = [route for route in route_table(world.cairn.environment) if route.method == "GET" and route.parameters]
    assert len(routes) > 15
    wrong: list[str] = []
    statuses: set[int] = set()
    with world.raw() as raw:
        for _ in range(ADDRESSES):
            route = source.choice(routes)
            path = re.sub(r"\{(\w+)\}", lambda match: _value(source, match[1]), route.path)
            query = (
                f"{source.choice(('ref', 'sha', 'path', 'page', 'per_page', 'recursive', 'next', 'plain', 'author'))}="
            )
            full = f"{path}?{query}{in_path(nasty(source), slashes=True)}" if source.random() < 0.4 else path
            status, body = raw.ask("GET", full)
            statuses.add(status)
            if status >= 500 or b"root:x:" in body:
                wrong.append(f"{status} {full}")
    assert not wrong, f"TEST_SEED={world.seed}\n" + "\n".join(wrong)
    assert {200, 404} <= statuses, "the addresses reach nothing: the test looks at the wrong place"


PLACES = (
    *("../x", "../../etc/passwd", "/etc/passwd", "//", ".", "./README.md", "README.md/", "README.md/x", "x" * 60_000),
    *("x/" * 20_000, "-p", "--all", ":(top)README.md", ":!README.md", ":/README.md", "*", "\0", "a\0b", "\udcff"),
)
"""Paths inside a repository that mean something to git, to the system or to nobody."""


def _soon(raw: Raw, path: str) -> tuple[int, bytes]:
    """Return status and body; a path that costs the server much is slow each time, a busy machine is not."""
    took = []
    for _ in range(5):
        started = time.monotonic()
        answer = raw.ask("GET", path)
        took.append(time.monotonic() - started)
        if took[-1] < SLOW_SECONDS:
            return answer
    raise AssertionError(f"{path[:200]} took {took} s")


@pytest.mark.parametrize(
    "route", ["commits/main/{}", "tree/main/{}", "blob/main/{}", "raw/main/{}", "commits/{}", "commit/{}"]
)
def test_special_paths_and_revisions_of_pages_are_just_absent_or_found(world: World, route: str) -> None:
    with world.raw() as raw:
        for place in PLACES:
            path = f"/ada/engine/{route.format(in_path(place.encode('utf-8', 'surrogateescape'), slashes=True))}"
            assert _soon(raw, path)[0] in {200, 301, 302, 303, 400, 404, 414}, path[:200]


@pytest.mark.parametrize("route", ["commits?path={}", "commits?sha={}", "contents/{}", "contents/README.md?ref={}",
                                   "git/trees/{}", "git/ref/{}", "git/matching-refs/{}", "branches/{}"])  # fmt: skip
def test_special_paths_and_revisions_of_the_api_are_just_absent_or_found(world: World, route: str) -> None:
    with world.raw() as raw:
        for place in PLACES:
            part = in_path(place.encode("utf-8", "surrogateescape"), slashes=True)
            path = f"/api/v3/repos/ada/engine/{route.format(part)}"
            status, body = _soon(raw, path)
            # Of "git/trees//" nothing is left but the address of the collection, which is for writing only.
            known = {200, 301, 302, 400, 404, 409, 414, 422} | ({405} if not part.strip("/") else set())
            assert status in known, (status, path[:200], body[:300])


def _value(source: random.Random, name: str) -> str:
    """Return what stands for a path parameter: owner and repository mostly real, so that the rest is looked at."""
    real = {"owner": "ada", "repo": "engine", "repository_id": "1", "username": "ada", "key_id": "1"}.get(name)
    if real is not None and source.random() < 0.85:
        return real
    made = nasty(source)
    if name == "address" and source.random() < 0.6:
        made = b"main/" + made
    return in_path(made, slashes=source.random() < 0.5)


def test_no_owner_or_repository_name_becomes_a_path_at_gits_door(world: World) -> None:
    source = world.source
    with world.git_raw() as raw:
        for _ in range(GIT_ADDRESSES):
            owner, name = (
                real if source.random() < 0.3 else in_path(nasty(source), slashes=False) for real in ("ada", "engine")
            )
            verb = source.choice(("git-upload-pack", "git-receive-pack"))
            path = f"/{owner}/{name}{source.choice(('', '.git'))}"
            status, body = raw.ask(
                "GET", f"{path}/info/refs?service={source.choice((verb, in_path(MARK, slashes=True)))}"
            )
            assert status in {200, 400, 401, 403, 404}, (world.seed, status, path)
            if (owner, name) != ("ada", "engine"):
                assert status != 200 or not body.startswith(b"001"), (world.seed, path, body[:100])
            status, _ = raw.ask("POST", f"{path}/{verb}", b"0000", content_type=f"application/x-{verb}-request")
            assert status < 500, (world.seed, status, path)


def test_malformed_requests_end_in_an_answer_or_a_closed_connection(world: World) -> None:
    """Request lines and headers with raw bytes that no client sends: CR, NUL, blanks, other encodings."""
    source = world.source
    for _ in range(MALFORMED):
        path, value = (nasty(source) for _ in range(2))
        name = source.choice(
            (b"Git-Protocol", b"Authorization", b"Cookie", b"X-Forwarded-For", b"X-Request-Id", b"Accept")
        )
        head = b"GET /ada/engine/tree/" + path.replace(b"\n", b"") + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
        status = send_bytes(world.cairn.port, head + name + b": " + value.replace(b"\n", b"") + b"\r\n\r\n")
        assert status < 500, (world.seed, status, head, name, value)


def packet(line: bytes) -> bytes:
    """Return a line as git's protocol frames it."""
    return b"%04x%b" % (len(line) + 4, line)


def test_ref_names_in_pushes_stay_names(world: World) -> None:
    """Names that git itself would refuse, or that begin with a hyphen, make no ref; the others are plain bytes."""
    source = world.source
    url = world.cairn.url("ada/engine", user="ada", secret=world.token)
    reported = 0
    with world.git_raw() as raw:
        for number in range(PUSHES):
            made = {
                source.choice((b"refs/heads/", b"refs/tags/", b"", b"refs/")) + nasty(source)
                for _ in range(COMMANDS_A_PUSH)
            }
            names = [name for name in made if b"\0" not in name and b"\n" not in name and len(name) < 60_000]
            lines = [b"%b %b %b" % (ZERO, world.head.encode(), name) for name in names]
            lines[0] += b"\0 report-status" + (b" atomic" if number % 5 == 0 else b"")
            body = b"".join(map(packet, lines)) + b"0000" + raw_pack([])
            status, answer = raw.ask(
                "POST", "/ada/engine.git/git-receive-pack", body, content_type="application/x-git-receive-pack-request"
            )
            assert status == 200, (world.seed, status, answer[:500])
            assert b"unpack ok" in answer, (world.seed, answer[:500])
            reported += answer.count(b"ok refs/")
    assert reported, "not one name was taken: the test is too nasty to see anything"
    mirror = world.folder / "mirror"
    git("clone", "-q", "--mirror", url, mirror)
    git("fsck", "--strict", "--no-dangling", cwd=mirror)
    kept = git("for-each-ref", "--format=%(refname)", cwd=mirror).splitlines()
    assert sum(name.startswith("refs/") and MARK.decode() in name for name in kept) == reported
    assert not [name for name in kept if any(part.startswith("-") for part in name.split("/"))]
    assert not [name for name in kept if name.startswith("refs/pull/")]


def test_lines_of_fetch_requests_stay_data(world: World) -> None:
    source = world.source
    with world.git_raw() as raw:
        for _ in range(FETCHES):
            lines = [source.choice(FETCH_LINES) + nasty(source) for _ in range(source.randint(1, 3))]
            lines += [b"want " + world.head.encode()] if source.random() < 0.5 else []
            source.shuffle(lines)
            if source.random() < 0.7:
                command = source.choice((b"fetch", b"ls-refs", b"fetch", nasty(source)))
                body = (
                    packet(b"command=" + command + b"\n") + b"0001" + b"".join(map(packet, lines)) + packet(b"done\n")
                )
                protocol = "version=2"
            else:
                body = b"".join(map(packet, lines)) + b"0000" + packet(b"done\n")
                protocol = ""
            status, answer = raw.ask(
                "POST",
                "/ada/engine.git/git-upload-pack",
                body + b"0000",
                content_type="application/x-git-upload-pack-request",
                git_protocol=protocol,
            )
            assert status < 500, (world.seed, status, body, answer[:300])
            assert b"our fault" not in answer, (world.seed, body, answer[:300])


def test_push_options_never_reach_anything_but_themselves(world: World) -> None:
    """Attack: options joined into an internal header with ``;`` carried fields of their own (CVE-2026-3854)."""
    source = world.source
    with world.git_raw() as raw:
        for number in range(40):
            forged = b"refs/heads/forged"
            options = [nasty(source) for _ in range(5)] + [
                b"ci.skip;actor=root;ref=" + forged,
                b"a\r\nref: " + forged,
                b"a\0%b %b %b" % (ZERO, world.head.encode(), forged),
                b"\n0000%b %b %b" % (ZERO, world.head.encode(), forged),
            ]
            source.shuffle(options)
            name = b"refs/heads/options-%d" % number
            command = packet(b"%b %b %b\0 report-status push-options" % (ZERO, world.head.encode(), name))
            body = command + b"0000" + b"".join(map(packet, options)) + b"0000" + raw_pack([])
            status, answer = raw.ask(
                "POST", "/ada/engine.git/git-receive-pack", body, content_type="application/x-git-receive-pack-request"
            )
            assert status == 200, (world.seed, status)
            assert b"ok " + name in answer, (world.seed, answer[:500])
    found = git("ls-remote", world.cairn.url("ada/engine"))
    assert "forged" not in found
    assert found.count("refs/heads/options-") == 40


def test_texts_with_any_bytes_are_kept_or_refused_never_an_error(world: World) -> None:
    """JSON and forms: NUL, CR, ``;`` and letters beyond the plane; what is taken is given back unchanged."""
    source = world.source
    with world.raw() as raw:
        for _ in range(TEXTS):
            text = nasty(source).decode("utf-8", source.choice(("replace", "surrogateescape", "ignore")))
            body = json.dumps({"description": text, "homepage": ""}).encode()
            status, answer = raw.ask("PATCH", "/api/v3/repos/ada/engine", body, content_type="application/json")
            assert status in {200, 400, 422}, (world.seed, status, text, answer[:300])
            if status == 200:
                assert json.loads(answer)["description"] == text.strip(), (world.seed, text)
            for path in ("/api/v3/user/repos", "/api/v3/user/keys"):
                body = json.dumps({"name": text, "title": text, "key": text}).encode()
                status, answer = raw.ask("POST", path, body, content_type="application/json")
                assert status in {201, 400, 404, 422}, (world.seed, path, status, text, answer[:300])


def test_every_push_above_was_hers_whatever_its_names_and_options_said(world: World) -> None:
    assert world.query("SELECT DISTINCT actor FROM git_ref_log") == ["ada"]
    assert int(world.query("SELECT count(*) FROM git_ref_log")[0]) > PUSHES
