"""The large objects that a push mirror's refs name, sent to the other server's LFS before the refs.

Source: git-lfs's docs/api/batch.md and basic-transfers.md.
"""

from collections.abc import Awaitable, Callable, Sequence

import msgspec

from cairn.base.errors import CairnError
from cairn.egress.door import AddressRefused
from cairn.egress.http import ConnectionFailed
from cairn.git.engine import Engine
from cairn.git.ref_queries import RefSnapshot
from cairn.git.remote_fetch import Remote
from cairn.git.types import Oid
from cairn.lfs.objects import StoredObject, find_objects
from cairn.lfs.pointers import named_by
from cairn.repositories.imports.lfs_objects import (
    BATCH_SECONDS,
    BYTES_PER_SECOND_MIN,
    MEDIA_TYPE,
    OBJECTS_AT_ONCE,
    Action,
    BatchObject,
    ask_for_objects,
)
from cairn.repositories.imports.source import Outside

Tell = Callable[[], Awaitable[None]]
"""Is called now and then; raising ends the transfer."""


class SentObjects(msgspec.Struct):
    """What became of the objects: how many the other side has, and why it has not got others, by SHA-256."""

    sent: int = 0
    reasons: dict[str, str] = {}

    @property
    def remark(self) -> str:
        """A sentence for people; empty if nothing is missing."""
        if not self.reasons:
            return ""
        oid, reason = next(iter(self.reasons.items()))
        return f"{len(self.reasons):,} objects of Git LFS did not go there, the first is {oid} ({reason})."


class _NotTaken(CairnError):
    """The other server does not take the object."""


async def send_large_objects(
    engine: Engine,
    outside: Outside,
    remote: Remote,
    *,
    repository_id: int,
    snapshot: RefSnapshot,
    roots: Sequence[Oid],
    tell: Tell,
) -> SentObjects:
    """The other server has every object that pointers name which the roots reach, as far as this one has it.

    Errors: ConnectionFailed, AddressRefused where nobody answers; the storage's, what ``tell`` raises.
    """
    named = await named_by(engine, snapshot.state, roots)
    oids, result = sorted(named), SentObjects()
    for start in range(0, len(oids), OBJECTS_AT_ONCE):
        await tell()
        part = oids[start : start + OBJECTS_AT_ONCE]
        async with engine.database.read() as session:
            here = await find_objects(session, repository_id, part)
        result.reasons.update({oid: "it is missing here too" for oid in part if oid not in here})
        sizes = {oid: found.size for oid, found in here.items()}
        for found in await ask_for_objects(outside, remote, sizes, operation="upload") if sizes else ():
            if sizes.pop(found.oid, None) is None:
                continue  # a server that answers what nobody asked
            await tell()
            try:
                await _send(engine, outside, found, here[found.oid])
            except (_NotTaken, ConnectionFailed, AddressRefused) as error:
                result.reasons[found.oid] = error.message[:200]
            else:
                result.sent += 1
        result.reasons.update(dict.fromkeys(sizes, "the other server did not mention it"))
    return result


async def _send(engine: Engine, outside: Outside, found: BatchObject, stored: StoredObject) -> None:
    """The other server has the object and says so. Errors: _NotTaken with its reason."""
    if found.error is not None:
        raise _NotTaken(found.error.message or f"status {found.error.code}")
    if found.actions is None or found.actions.upload is None:
        return  # it is there
    headers = {"Content-Type": "application/octet-stream", **found.actions.upload.header}
    headers["Content-Length"] = str(stored.size)
    async with outside.http.request(
        "PUT",
        found.actions.upload.href,
        headers=headers,
        content=engine.storage.stream(stored.key) if stored.size else b"",
        redirects_max=0,
        seconds=BATCH_SECONDS + stored.size / BYTES_PER_SECOND_MIN,
    ) as answer:
        if answer.status not in {200, 201, 204}:
            raise _NotTaken(f"{answer.url.host} answered with status {answer.status}")
    if found.actions.verify is not None:
        await _verify(outside, found.actions.verify, stored)


async def _verify(outside: Outside, action: Action, stored: StoredObject) -> None:
    body = msgspec.json.encode({"oid": stored.oid, "size": stored.size})
    headers = {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE, **action.header}
    answer, _ = await outside.http.fetch("POST", action.href, headers=headers, content=body, seconds=BATCH_SECONDS)
    if answer.status != 200:
        raise _NotTaken(f"{answer.url.host} does not find it after the upload (status {answer.status})")
