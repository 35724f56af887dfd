"""LFS's HTTP door as programs see it that are no git-lfs: statuses, headers, who may what, what is hidden."""

import http.client
import json
import re
import secrets
import subprocess
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.git_compat.programs import LOGIN, Installation, cairnd, running_installation
from tests.git_server.test_smart_http import Answer, basic, call
from tests.services.ports import wait_until

from cairn.access.roles import Visibility
from cairn.repositories.update import RepositoryChange

JSON = {"Content-Type": "application/vnd.git-lfs+json", "Accept": "application/vnd.git-lfs+json"}
QUOTA_BYTES = 100_000


@pytest.fixture(scope="session")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Cairn on SQLite and a folder that takes small objects only."""
    environ = {"CAIRN_MAX_LFS_OBJECT_BYTES": "60000", "CAIRN_MAX_LFS_REPOSITORY_BYTES": str(QUOTA_BYTES)}
    with running_installation(tmp_path_factory.mktemp("limited"), environ) as running:
        yield running


class Lfs:
    """One repository's LFS addresses, with a credential."""

    def __init__(self, running: Installation, name: str, headers: dict[str, str] | None = None) -> None:
        self.running = running
        self.name = name
        self.headers = headers or {}

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        given = (JSON if not isinstance(body, bytes) else {}) | self.headers | headers
        return call(self.running, method, f"/{LOGIN}/{self.name}.git/info/lfs/{path}", given, data)

    def batch(self, operation: str, *objects: tuple[str, int], **more: object) -> Any:
        listed = [{"oid": oid, "size": size} for oid, size in objects]
        answer = self.call("POST", "objects/batch", {"operation": operation, "objects": listed} | more)
        assert answer.status == 200, answer.body
        assert answer.headers["content-type"] == "application/vnd.git-lfs+json"
        return json.loads(answer.body)["objects"]

    def put(self, data: bytes, *, oid: str | None = None) -> Answer:
        return self.call("PUT", f"objects/{oid or sha256(data).hexdigest()}", data)

    def has(self, data: bytes) -> bool:
        [found] = self.batch("download", (sha256(data).hexdigest(), len(data)))
        return "actions" in found


@pytest.fixture
def lfs(embedded: Installation) -> Lfs:
    """A private repository, with its owner's token."""
    return new(embedded)


def new(running: Installation, *, visibility: Visibility = Visibility.PRIVATE) -> Lfs:
    name = running.create(f"l-{secrets.token_hex(5)}", visibility=visibility).name
    return Lfs(running, name, basic(LOGIN, running.token))


def test_an_object_is_announced_sent_verified_and_read(lfs: Lfs) -> None:
    data = secrets.token_bytes(50_000)
    oid = sha256(data).hexdigest()
    [announced] = lfs.batch("upload", (oid, 50_000), transfers=["lfs-standalone-file", "basic"], ref={"name": "x"})
    assert announced["actions"]["upload"]["href"].endswith(f"/info/lfs/objects/{oid}")
    assert lfs.put(data).status == 200
    assert lfs.call("POST", f"objects/{oid}/verify", {"oid": oid, "size": 50_000}).status == 200
    assert lfs.batch("upload", (oid, 50_000)) == [{"oid": oid, "size": 50_000}]
    [found] = lfs.batch("download", (oid, 50_000))
    assert found["actions"]["download"]["href"].endswith(f"/info/lfs/objects/{oid}")
    answer = lfs.call("GET", f"objects/{oid}")
    assert (answer.status, answer.body) == (200, data)
    assert answer.headers["content-length"] == "50000"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_no_credential_stands_in_an_answer(lfs: Lfs) -> None:
    [announced] = lfs.batch("upload", ("0" * 64, 1))
    assert "header" not in announced["actions"]["upload"]


def test_a_download_goes_on_from_any_byte(lfs: Lfs) -> None:
    data = secrets.token_bytes(10_000)
    lfs.put(data)
    path = f"objects/{sha256(data).hexdigest()}"
    part = lfs.call("GET", path, Range="bytes=4000-9999")
    assert (part.status, part.body, part.headers["content-range"]) == (206, data[4000:], "bytes 4000-9999/10000")
    assert lfs.call("GET", path, Range="bytes=9999-").body == data[9999:]
    assert lfs.call("GET", path, Range="bytes=0-0").body == data[:1]
    beyond = lfs.call("GET", path, Range="bytes=10000-")
    assert (beyond.status, beyond.headers["content-range"]) == (416, "bytes */10000")
    whole = lfs.call("GET", path, Range="lines=1-2")
    assert (whole.status, whole.body) == (200, data)


def test_other_bytes_than_announced_are_refused(lfs: Lfs) -> None:
    data = b"other bytes"
    answer = lfs.put(data, oid="1" * 64)
    assert answer.status == 422
    said = json.loads(answer.body)
    assert "SHA-256" in said["message"]
    assert said["request_id"] == answer.headers["x-request-id"]
    assert not lfs.has(data)


def test_another_size_than_the_pointers_is_refused(lfs: Lfs) -> None:
    data = b"nine byte"
    oid = sha256(data).hexdigest()
    lfs.put(data)
    assert lfs.call("POST", f"objects/{oid}/verify", {"oid": oid, "size": 10}).status == 422
    assert lfs.call("POST", f"objects/{'2' * 64}/verify", {"oid": "2" * 64, "size": 1}).status == 404
    assert lfs.batch("download", (oid, 10))[0]["error"]["code"] == 422
    assert lfs.batch("upload", (oid, 10))[0]["error"]["code"] == 422


def test_an_object_of_another_repository_is_absent(lfs: Lfs) -> None:
    """Attack: know the SHA-256 of somebody's object, and ask for it, or claim it, through a repository of one's own."""
    data = secrets.token_bytes(1000)
    oid = sha256(data).hexdigest()
    lfs.put(data)
    mine = new(lfs.running)
    assert mine.batch("download", (oid, 1000))[0]["error"]["code"] == 404
    assert mine.call("GET", f"objects/{oid}").status == 404
    assert mine.call("POST", f"objects/{oid}/verify", {"oid": oid, "size": 1000}).status == 404
    assert "upload" in mine.batch("upload", (oid, 1000))[0]["actions"]  # the bytes must be sent here too
    assert mine.put(b"x" * 1000, oid=oid).status == 422
    assert mine.batch("download", (oid, 1000))[0]["error"]["code"] == 404


def test_hidden_and_absent_are_one_answer(lfs: Lfs) -> None:
    """Attack: learn the names of private repositories from the door's answers."""
    body = {"operation": "download", "objects": []}
    hidden = Lfs(lfs.running, lfs.name).call("POST", "objects/batch", body)
    absent = Lfs(lfs.running, "never-made").call("POST", "objects/batch", body)
    for answer in (hidden, absent):
        assert answer.status == 401
        assert answer.headers["lfs-authenticate"] == answer.headers["www-authenticate"] == 'Basic realm="Cairn"'
    assert json.loads(hidden.body)["message"] == json.loads(absent.body)["message"]


def test_anybody_reads_what_is_public_and_nobody_unknown_writes(embedded: Installation) -> None:
    owner = new(embedded, visibility=Visibility.PUBLIC)
    data = b"open to all"
    oid = sha256(data).hexdigest()
    owner.put(data)
    anybody = Lfs(embedded, owner.name)
    [found] = anybody.batch("download", (oid, len(data)))
    assert found["authenticated"] is True
    assert anybody.call("GET", f"objects/{oid}").body == data
    assert anybody.call("GET", "locks").status == 200
    refused = [
        anybody.put(b"mine"),
        anybody.call("POST", "objects/batch", {"operation": "upload", "objects": []}),
        anybody.call("POST", "locks", {"path": "a"}),
        anybody.call("POST", "locks/verify", {}),
        anybody.call("POST", f"locks/{'0' * 32}/unlock", {}),
    ]
    assert [answer.status for answer in refused] == [401] * 5


def test_an_archived_repository_is_read_only(lfs: Lfs) -> None:
    data = b"old"
    lfs.put(data)
    with_name = lfs.running.create(f"l-{secrets.token_hex(5)}")
    lfs.running.change(with_name, RepositoryChange(is_archived=True))
    archived = Lfs(lfs.running, with_name.name, lfs.headers)
    assert archived.put(b"new").status == 403
    assert archived.call("POST", "locks", {"path": "a"}).status == 403
    assert archived.batch("download") == []


def test_locks_are_listed_by_path_and_page(lfs: Lfs) -> None:
    made = [json.loads(lfs.call("POST", "locks", {"path": f"{name}.bin"}).body)["lock"] for name in "abc"]
    assert [lock["owner"] for lock in made] == [{"name": LOGIN}] * 3
    taken = lfs.call("POST", "locks", {"path": "a.bin"})
    assert (taken.status, json.loads(taken.body)["lock"]["id"]) == (409, made[0]["id"])
    page = json.loads(lfs.call("GET", "locks?limit=2&refspec=refs/heads/main").body)
    assert [lock["path"] for lock in page["locks"]] == ["a.bin", "b.bin"]
    last = json.loads(lfs.call("GET", f"locks?limit=2&cursor={page['next_cursor']}").body)
    assert ([lock["path"] for lock in last["locks"]], "next_cursor" in last) == (["c.bin"], False)
    assert [lock["path"] for lock in json.loads(lfs.call("GET", "locks?path=b.bin").body)["locks"]] == ["b.bin"]
    found = json.loads(lfs.call("GET", f"locks?id={made[2]['id']}").body)["locks"]
    assert [lock["path"] for lock in found] == ["c.bin"]
    verified = json.loads(lfs.call("POST", "locks/verify", {"limit": 1, "ref": {"name": "refs/heads/main"}}).body)
    assert ([lock["path"] for lock in verified["ours"]], verified["theirs"]) == (["a.bin"], [])
    other = new(lfs.running)
    assert other.call("POST", f"locks/{made[0]['id']}/unlock", {"force": True}).status == 404
    released = lfs.call("POST", f"locks/{made[0]['id']}/unlock", {})
    assert json.loads(released.body)["lock"]["path"] == "a.bin"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("objects/batch", b"{", 400),
        ("objects/batch", {"operation": "erase", "objects": []}, 422),
        ("objects/batch", {"operation": "upload", "objects": [{"oid": "x", "size": 1}]}, 422),
        ("objects/batch", {"operation": "upload", "objects": [{"oid": "0" * 64, "size": -1}]}, 422),
        ("objects/batch", {"operation": "upload", "objects": [], "transfers": ["tus"]}, 422),
        ("objects/batch", {"operation": "upload", "objects": [], "hash_algo": "sha512"}, 409),
        ("objects/batch", {"operation": "upload", "objects": [{"oid": "0" * 64, "size": 1}] * 1001}, 422),
        ("objects/batch", {"operation": "upload", "objects": [], "transfers": ["x" * (1 << 20)]}, 422),
        ("locks", {"path": ""}, 422),
        ("locks", {"path": "../a"}, 422),
        ("locks", {"path": "/a"}, 422),
        ("locks/verify", {"cursor": "%"}, 422),
        ("elsewhere", {}, 404),
        ("locks/1/unlock", {}, 404),
    ],
    ids=range(14),
)
def test_what_cannot_be_done_is_refused_with_the_reason(lfs: Lfs, path: str, body: Any, status: int) -> None:
    answer = lfs.call("POST", path, body)
    assert answer.status == status
    said = json.loads(answer.body)
    assert said["message"]
    assert said["request_id"]
    assert said["documentation_url"]


def test_other_methods_are_refused(lfs: Lfs) -> None:
    answer = lfs.call("DELETE", f"objects/{'0' * 64}")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, PUT")


def test_quotas_are_told_before_a_byte_is_sent_and_hold_without_that(limited: Installation) -> None:
    place = new(limited)
    [large] = place.batch("upload", ("0" * 64, 60_001))
    assert large["error"]["code"] == 422
    assert "CAIRN_MAX_LFS_OBJECT_BYTES" in large["error"]["message"]
    first, second = place.batch("upload", ("0" * 64, 60_000), ("1" * 64, 60_000))
    assert "upload" in first["actions"]
    assert second["error"]["code"] == 507
    assert f"{QUOTA_BYTES:,}" in second["error"]["message"]
    assert place.put(secrets.token_bytes(60_001)).status == 422
    assert place.put(secrets.token_bytes(60_000)).status == 200
    assert place.put(secrets.token_bytes(60_000)).status == 507


def test_a_body_that_ends_early_leaves_nothing(lfs: Lfs) -> None:
    data = secrets.token_bytes(20_000)
    oid = sha256(data).hexdigest()
    connection = http.client.HTTPConnection(lfs.running.settings.http_address, timeout=30)
    connection.putrequest("PUT", f"/{LOGIN}/{lfs.name}.git/info/lfs/objects/{oid}")
    for name, value in {**lfs.headers, "Content-Length": "20000"}.items():
        connection.putheader(name, value)
    connection.endheaders(data[:10_000])
    connection.close()
    assert not lfs.has(data)
    assert lfs.put(data).status == 200
    assert lfs.has(data)


# Words: what an SSH client shows here.


def ssh(running: Installation, key: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    host, _, port = running.settings.ssh_address.rpartition(":")
    options = ["IdentitiesOnly=yes", "BatchMode=yes", "LogLevel=ERROR", "StrictHostKeyChecking=no",
               "UserKnownHostsFile=/dev/null"]  # fmt: skip
    command = ["ssh", "-F", "none", "-i", str(key), "-p", port, *(f"-o{option}" for option in options), f"git@{host}"]
    return subprocess.run([*command, *words], capture_output=True, text=True, check=False, timeout=60)


def word(lfs: Lfs, operation: str, key: Path | None = None) -> Lfs:
    """Return the same repository as an SSH client reaches it."""
    done = ssh(lfs.running, key or lfs.running.key, "git-lfs-authenticate", f"{LOGIN}/{lfs.name}.git", operation)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["href"] == f"{lfs.running.origin}/{LOGIN}/{lfs.name}.git/info/lfs"
    assert said["expires_in"] == 1800
    return Lfs(lfs.running, lfs.name, said["header"])


def test_a_word_does_what_its_key_may_and_its_batches_repeat_it(lfs: Lfs) -> None:
    data = b"by ssh"
    oid = sha256(data).hexdigest()
    upload = word(lfs, "upload")
    [announced] = upload.batch("upload", (oid, len(data)))
    assert announced["authenticated"] is True
    assert announced["actions"]["upload"]["header"] == upload.headers
    assert announced["actions"]["verify"]["header"] == upload.headers
    assert upload.put(data).status == 200
    download = word(lfs, "download")
    assert download.batch("download", (oid, len(data)))[0]["actions"]["download"]["header"] == download.headers
    assert download.call("GET", f"objects/{oid}").body == data


def test_a_word_is_good_for_its_operation_and_repository_only(lfs: Lfs) -> None:
    download = word(lfs, "download")
    assert download.put(b"no").status == 401
    assert download.call("POST", "locks", {"path": "a"}).status == 401
    elsewhere = Lfs(lfs.running, new(lfs.running).name, word(lfs, "upload").headers)
    assert elsewhere.put(b"no").status == 401
    assert elsewhere.call("GET", "locks").status == 401


def flipped(text: str) -> str:
    """Return a word with one letter in its middle changed."""
    place = len(text) // 2
    return text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]


@pytest.mark.parametrize(
    "change",
    [flipped, lambda text: text[:-8], lambda text: text.split()[0] + " x", lambda text: text + "A" * 2000],
    ids=["flipped", "cut", "none", "long"],
)
def test_a_word_that_was_changed_opens_nothing(lfs: Lfs, change: Callable[[str], str]) -> None:
    made = word(lfs, "upload")
    made.headers = {"Authorization": change(made.headers["Authorization"])}
    assert made.put(b"no").status == 401


def test_a_word_ends_with_its_key(lfs: Lfs, tmp_path: Path) -> None:
    """Attack: keep what a key gave, after the key was removed."""
    running = lfs.running
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    environ = {**running.environ, "PATH": "/usr/bin:/bin"}
    token = cairnd(environ, "admin", "create-token", LOGIN, "--scopes", "admin:public_key")
    bearer = {"Authorization": f"Bearer {token.strip()}", "Content-Type": "application/json"}
    body = json.dumps({"title": "x", "key": key.with_suffix(".pub").read_text()}).encode()
    added = call(running, "POST", "/api/v3/user/keys", bearer, body)
    assert added.status == 201, added.body
    made = word(lfs, "upload", key)
    assert made.put(b"before").status == 200
    gone = call(running, "DELETE", f"/api/v3/user/keys/{json.loads(added.body)['id']}", bearer)
    assert gone.status == 204
    assert made.put(b"after").status == 401
    assert made.call("GET", "locks").status == 401


def test_a_deploy_keys_word_has_the_deploy_keys_limits(lfs: Lfs, tmp_path: Path) -> None:
    running = lfs.running
    bearer = {"Authorization": f"Bearer {running.token}", "Content-Type": "application/json"}
    keys = {}
    for name, read_only in (("reader", True), ("writer", False)):
        keys[name] = tmp_path / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys[name])], check=True)
        text = keys[name].with_suffix(".pub").read_text()
        body = json.dumps({"title": name, "key": text, "read_only": read_only}).encode()
        added = call(running, "POST", f"/api/v3/repos/{LOGIN}/{lfs.name}/keys", bearer, body)
        assert added.status == 201, added.body
    lfs.put(b"for machines")
    reader = word(lfs, "download", keys["reader"])
    assert reader.has(b"for machines")
    refused = ssh(running, keys["reader"], "git-lfs-authenticate", f"{LOGIN}/{lfs.name}.git", "upload")
    assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", "This deploy key may only read.\n")
    writer = word(lfs, "upload", keys["writer"])
    assert writer.put(b"from a machine").status == 200
    assert writer.call("POST", "locks", {"path": "a"}).status == 403  # a lock belongs to a person
    assert json.loads(writer.call("POST", "locks/verify", {}).body) == {"ours": [], "theirs": []}
    other = new(running)
    assert ssh(running, keys["writer"], "git-lfs-authenticate", f"{LOGIN}/{other.name}.git", "upload").returncode == 1


@pytest.mark.parametrize(
    "line",
    [
        "git-lfs-authenticate {} erase",
        "git-lfs-authenticate {}",
        "git-lfs-transfer {} upload",
        "git-lfs-authenticate {} upload download",
    ],
)
def test_an_unknown_operation_gives_no_credential(lfs: Lfs, line: str) -> None:
    """Attack: a sub-verb that no rule knows, for which a server once gave credentials for everything."""
    done = ssh(lfs.running, lfs.running.key, line.format(f"{LOGIN}/{lfs.name}.git"))
    assert (done.returncode, done.stdout) == (1, "")


def test_what_became_of_objects_is_counted(limited: Installation) -> None:
    lfs = new(limited)
    data, before = secrets.token_bytes(1000), counted(limited)
    lfs.put(data)
    lfs.put(data, oid="2" * 64)
    lfs.put(b"x" * 60_001)
    lfs.batch("upload", (sha256(data).hexdigest(), 1000), ("3" * 64, 60_000), ("4" * 64, 60_000))
    lfs.batch("download", ("5" * 64, 1))
    lfs.call("GET", f"objects/{sha256(data).hexdigest()}")
    outcomes = ("received", "mismatched", "too_large", "here", "over_quota", "absent", "sent")
    wanted = before | {name: before.get(name, 0) + 1 for name in outcomes}
    # The page is kept for a moment.
    wait_until(lambda: counted(limited) == wanted, within_seconds=10, what="the metrics show them")


def counted(running: Installation) -> dict[str, int]:
    """Return how many objects the program counted, by what became of them."""
    page = call(running, "GET", "/metrics", {}).body.decode()
    lines = re.findall(r'^cairn_lfs_objects_total\{outcome="(\w+)"\} ([0-9.]+)$', page, re.MULTILINE)
    return {name: int(float(count)) for name, count in lines}
