"""The large objects of an imported repository, one by one: each is proved by its bytes before the repository has it.

Source: git-lfs's docs/api/batch.md and basic-transfers.md.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from cairn.base.actor import Actor
from cairn.base.errors import CairnError
from cairn.egress.door import AddressRefused
from cairn.egress.http import ConnectionFailed
from cairn.git.engine import Engine
from cairn.git.remote_fetch import Remote
from cairn.lfs.objects import find_objects
from cairn.lfs.pointers import named_by
from cairn.lfs.uploads import Incoming, ObjectMismatch, receive_object
from cairn.repositories.imports.source import Outside, find_lfs
from cairn.repositories.lfs_access import make_authorize

MEDIA_TYPE = "application/vnd.git-lfs+json"
OBJECTS_AT_ONCE = 100
BATCH_SECONDS = 60.0
BYTES_PER_SECOND_MIN = 16 << 10

Tell = Callable[[int, int], Awaitable[None]]
"""Is told how many objects of how many are here."""


class Action(msgspec.Struct):
    """Where an object is, and what to send with the request."""

    href: str
    header: dict[str, str] = {}


class Actions(msgspec.Struct):
    """What may be done with an object."""

    download: Action | None = None
    upload: Action | None = None
    verify: Action | None = None


class Problem(msgspec.Struct):
    """Why nothing may."""

    code: int = 0
    message: str = ""


_NO_LFS = Problem(404, "there is no Git LFS")


class BatchObject(msgspec.Struct):
    """One object of an answer; without actions and problem, an upload is not needed: it is there."""

    oid: str
    actions: Actions | None = None
    error: Problem | None = None


class _Batch(msgspec.Struct):
    objects: list[BatchObject]
    transfer: str = "basic"


@dataclass(slots=True)
class BroughtObjects:
    """What became of the objects: how many of how many are here, and what the source said of each that it kept."""

    total: int
    done: int = 0
    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def remark(self) -> str:
        """A sentence for people; empty if nothing is missing."""
        if not self.reasons:
            return ""
        oid, reason = next(iter(self.reasons.items()))
        return (
            f"{len(self.reasons):,} objects of Git LFS are missing at the source, the first is {oid} ({reason}). "
            "The branches and tags are here. Try again when the source has them, or leave it as it is."
        )


async def bring_large_objects(
    engine: Engine, outside: Outside, remote: Remote, actor: Actor, *, repository_id: int, store_id: int, tell: Tell
) -> BroughtObjects:
    """The repository has every object that its pointers name and the source gives.

    What is here already is not asked for, so a second run goes on where the first stopped. Errors: ConnectionFailed,
    AddressRefused where nothing at all can be had; QuotaExceeded, the storage's, what ``tell`` raises.
    """
    state = await engine.state(store_id)
    snapshot = await engine.snapshot(state)
    named = await named_by(engine, snapshot.fresher(state), sorted(snapshot.tips))
    oids = sorted(named)
    brought = BroughtObjects(len(oids))
    for start in range(0, len(oids), OBJECTS_AT_ONCE):
        part = oids[start : start + OBJECTS_AT_ONCE]
        async with engine.database.read() as session:
            here = await find_objects(session, repository_id, part)
        brought.done += len(here)
        await tell(brought.done, len(oids))
        lacking = [oid for oid in part if oid not in here]
        asked = {oid: named[oid] for oid in lacking}
        for found in await ask_for_objects(outside, remote, asked, operation="download") if lacking else ():
            if found.oid not in lacking:
                continue  # a server that answers what nobody asked
            lacking.remove(found.oid)
            try:
                await _bring(engine, outside, actor, repository_id, found, named[found.oid])
            except (_Absent, ConnectionFailed, AddressRefused, ObjectMismatch) as error:
                brought.reasons[found.oid] = error.message[:200]
            else:
                brought.done += 1
            await tell(brought.done, len(oids))
        brought.reasons.update(dict.fromkeys(lacking, "the source did not mention it"))
    return brought


class _Absent(CairnError):
    """The source has no such object."""


async def ask_for_objects(
    outside: Outside, remote: Remote, wanted: Mapping[str, int], *, operation: Literal["download", "upload"]
) -> Sequence[BatchObject]:
    """Return what the other server says of these objects, given by SHA-256 and size.

    Errors: ConnectionFailed, AddressRefused.
    """
    place = await find_lfs(outside, remote, operation)
    if place is None:
        return [BatchObject(oid, error=_NO_LFS) for oid in wanted]
    headers = {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE, **place.header}
    body = {
        "operation": operation,
        "transfers": ["basic"],
        "hash_algo": "sha256",
        "objects": [{"oid": oid, "size": size} for oid, size in wanted.items()],
    }
    url = place.href.rstrip("/") + "/objects/batch"
    answer, data = await outside.http.fetch(
        "POST", url, headers=headers, content=msgspec.json.encode(body), seconds=BATCH_SECONDS
    )
    if answer.status in {404, 410, 501}:
        return [BatchObject(oid, error=_NO_LFS) for oid in wanted]
    if answer.status != 200:
        raise ConnectionFailed(f"{answer.url.host} answered a question about Git LFS with status {answer.status}.")
    try:
        return msgspec.json.decode(data, type=_Batch).objects
    except msgspec.DecodeError:
        raise ConnectionFailed(f"{answer.url.host} gave an answer about Git LFS that cannot be read.") from None


async def _bring(
    engine: Engine, outside: Outside, actor: Actor, repository_id: int, found: BatchObject, size: int
) -> None:
    action = None if found.actions is None else found.actions.download
    if action is None:
        raise _Absent(found.error.message if found.error and found.error.message else "the source does not give it")
    seconds = BATCH_SECONDS + size / BYTES_PER_SECOND_MIN
    async with outside.http.request("GET", action.href, headers=action.header, seconds=seconds) as answer:
        if answer.status != 200:
            raise _Absent(f"{answer.url.host} answered with status {answer.status}")
        await receive_object(
            engine.database,
            engine.storage,
            engine.settings,
            Incoming(repository_id=repository_id, oid=found.oid, size=size),
            answer.chunks(max_bytes=size),
            authorize=make_authorize(actor, repository_id),
        )
