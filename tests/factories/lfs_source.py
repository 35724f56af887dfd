"""Another server's large objects, by git-lfs's own protocol, in front of a ``GitServer``'s repositories.

large = LfsSource(server); large.add(b"bytes") -> the pointer to commit
"""

import asyncio
import shlex
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import msgspec
from tests.factories.git_http import GitServer, Request
from tests.factories.git_ssh import Process, run_git

_BATCH = ".git/info/lfs/objects/batch"
_SECRET = "Bearer of-this-batch"


@dataclass
class LfsSource:
    """What a server has for each SHA-256, truthfully or not; it lists what was asked and fetched, in order."""

    server: GitServer
    objects: dict[str, bytes] = field(default_factory=dict)
    elsewhere: dict[str, str] = field(default_factory=dict)
    """Addresses that are said for objects instead of this server's own."""
    asked: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """What it does not take."""
    is_down: bool = False
    """It answers no question."""

    def __post_init__(self) -> None:
        self.server.answer = self.answer

    def add(self, data: bytes) -> bytes:
        """The server has the bytes; return their pointer."""
        oid = sha256(data).hexdigest()
        self.objects[oid] = data
        return b"version https://git-lfs.github.com/spec/v1\noid sha256:%b\nsize %d\n" % (oid.encode(), len(data))

    async def answer(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer what is about large objects; leave the rest to git."""
        if request.method == "POST" and request.path.endswith(_BATCH) and self.is_down:
            _send(writer, 500, b"")
            return True
        if request.method == "POST" and request.path.endswith(_BATCH):
            body = msgspec.json.decode(request.body)
            say = self._say_upload if body["operation"] == "upload" else self._say
            _send(writer, 200, msgspec.json.encode({"objects": [say(one["oid"]) for one in body["objects"]]}))
            return True
        if request.path.startswith("/verify/"):
            is_here = msgspec.json.decode(request.body)["oid"] in self.objects
            _send(writer, 200 if is_here else 404, b"{}")
            return True
        if not request.path.startswith("/large/"):
            return False
        oid = request.path.removeprefix("/large/")
        assert request.headers["authorization"] == _SECRET
        if request.method == "PUT":
            return self._take(oid, request, writer)
        self.fetched.append(oid)
        _send(writer, 200, self.objects[oid])
        return True

    async def answer_over_ssh(self, process: Process) -> None:
        """Answer git-lfs-authenticate with where a repository's large objects are; leave the rest to git."""
        command = str(process.command)
        if not command.startswith("git-lfs-authenticate "):
            await run_git(process, command)
            return
        href = f"{self.server.url(Path(shlex.split(command)[1]).name)}/info/lfs"
        process.stdout.write(msgspec.json.encode({"href": href, "header": {"X-Pass": "for-an-hour"}}))
        process.exit(0)

    def _take(self, oid: str, request: Request, writer: asyncio.StreamWriter) -> bool:
        if oid in self.refused:
            _send(writer, 507, b"")
            return True
        assert sha256(request.body).hexdigest() == oid
        self.objects[oid] = request.body
        _send(writer, 200, b"")
        return True

    def _say_upload(self, oid: str) -> dict[str, object]:
        self.asked.append(oid)
        if oid in self.objects:
            return {"oid": oid}
        header = {"Authorization": _SECRET}
        upload = {"href": f"{self.server.origin}/large/{oid}", "header": header}
        return {"oid": oid, "actions": {"upload": upload, "verify": {"href": f"{self.server.origin}/verify/{oid}"}}}

    def _say(self, oid: str) -> dict[str, object]:
        self.asked.append(oid)
        if oid not in self.objects:
            return {"oid": oid, "error": {"code": 404, "message": "it was never sent"}}
        href = self.elsewhere.get(oid, f"{self.server.origin}/large/{oid}")
        return {"oid": oid, "actions": {"download": {"href": href, "header": {"Authorization": _SECRET}}}}


def _send(writer: asyncio.StreamWriter, status: int, body: bytes) -> None:
    writer.write(b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, len(body), body))
