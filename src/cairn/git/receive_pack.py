"""Receiving pushes: the protocol in Python, the heavy work in git's plumbing, the decision in ``land``.

Source: gitprotocol-pack(5), "Reference Update Request and Packfile Transfer" and "Report Status".
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from cairn import __version__
from cairn.base.errors import CairnError
from cairn.base.ids import random_id
from cairn.base.log import get_logger
from cairn.base.settings import GIB, Settings
from cairn.db.database import Database
from cairn.git.fail_points import Step, fail_point
from cairn.git.hooked_push import HookedPush
from cairn.git.landing import Staged, Within, land
from cairn.git.operator_hooks import OperatorHooks, Say
from cairn.git.pktline import DATA_BYTES_MAX, FLUSH, Band, Marker, PktReader, ProtocolError, encode_lines, side_band
from cairn.git.ref_names import RefNameInvalid, check_ref_name, is_reserved
from cairn.git.ref_queries import RefReader
from cairn.git.ref_transaction import RefOutcome, RefUpdate
from cairn.git.staging import Stager, push_limits
from cairn.git.store_state import StoreState
from cairn.git.types import ZERO_OID, Oid, RefName, is_oid, show

AGENT = b"agent=cairn/" + __version__.encode("ascii")
KEEP_ALIVE_SECONDS = 5.0
PUSH_OPTIONS_MAX = 100
PUSH_OPTION_BYTES_MAX = 4096

_CAPABILITIES = (
    b"report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta push-options "
    b"object-format=sha1 " + AGENT
)
_log = get_logger(__name__)


class PushRefused(ProtocolError):
    """A push request cannot be served as a whole; the client shows the message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRequest:
    """What a client asked for, before its pack: commands, capabilities and push options (bytes, never joined)."""

    updates: tuple[RefUpdate, ...]
    capabilities: frozenset[bytes]
    options: tuple[bytes, ...] = ()

    @property
    def is_atomic(self) -> bool:
        """True if all refs move or none."""
        return b"atomic" in self.capabilities

    @property
    def brings_pack(self) -> bool:
        """True if a pack follows the commands: whenever something is not deleted."""
        return any(not update.is_deletion for update in self.updates)


Remarks = Callable[[Sequence[RefOutcome]], Awaitable[Sequence[str]]]
"""Given what moved and what did not, returns the lines a person should read after it (without ``remote:``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushBy:
    """Whose push it is, for the engine: a label for the ref log, the rules of the landing, the last words."""

    actor: str
    within: Within
    remarks: Remarks
    variables: Mapping[str, str] = field(default_factory=dict)
    """What the operator's hooks are told of the pusher and the repository, as environment variables."""


async def read_push_request(reader: PktReader, settings: Settings) -> PushRequest | None:
    """Read the commands of a push; None if the client sent only a flush (it probes, or has nothing to push).

    Errors: PushRefused, ProtocolError, TooLarge.
    """
    updates: list[RefUpdate] = []
    capabilities: frozenset[bytes] = frozenset()
    while True:
        # Only before the first command may the client be gone: commands without their flush were cut short.
        packet = await (reader.read() if updates else reader.read_or_end())
        if packet is None or packet is Marker.FLUSH:
            break
        if isinstance(packet, Marker):
            raise ProtocolError("a push has no delimiters")
        line, _, tail = packet.partition(b"\0")
        if tail and not updates:
            capabilities = frozenset(tail.strip(b"\n ").split(b" "))
        line = line.removesuffix(b"\n")
        if line.startswith(b"shallow "):
            continue  # a shallow client's boundary: closure is checked against what we have, not what it lacks
        if line.startswith(b"push-cert"):
            raise PushRefused("signed pushes are not offered by this server")
        updates.append(_command(line))
        if len(updates) > settings.max_push_refs:
            raise PushRefused(
                f"This push changes more than {settings.max_push_refs:,} refs (CAIRN_MAX_PUSH_REFS); push in parts."
            )
    if not updates:
        return None
    if any(word.startswith(b"object-format=") and word != b"object-format=sha1" for word in capabilities):
        raise PushRefused("this server keeps SHA-1 repositories; the client pushes another object format")
    _require_distinct(updates)
    options = await _read_options(reader) if b"push-options" in capabilities else ()
    return PushRequest(updates=tuple(updates), capabilities=capabilities, options=options)


def _command(line: bytes) -> RefUpdate:
    old, _, rest = line.partition(b" ")
    new, _, name = rest.partition(b" ")
    olds, news = old.decode("latin-1"), new.decode("latin-1")
    if len(olds) == 64 or len(news) == 64:
        raise PushRefused("this server keeps SHA-1 repositories; the client pushes SHA-256 object ids")
    if not is_oid(olds) or not is_oid(news) or not name:
        raise ProtocolError(f"{show(line[:200])!r} is not a push command (OLD NEW NAME)")
    if olds == ZERO_OID and news == ZERO_OID:
        raise ProtocolError(f"the command for {show(name[:200])!r} neither creates nor deletes")
    return RefUpdate(name, Oid(olds), Oid(news))


def _require_distinct(updates: Sequence[RefUpdate]) -> None:
    seen: set[RefName] = set()
    for update in updates:
        if update.name in seen:
            raise PushRefused(f"this push names {show(update.name)!r} twice")
        seen.add(update.name)


async def _read_options(reader: PktReader) -> tuple[bytes, ...]:
    options = [line.removesuffix(b"\n") for line in await reader.read_until_flush()]
    if len(options) > PUSH_OPTIONS_MAX or any(len(option) > PUSH_OPTION_BYTES_MAX for option in options):
        raise PushRefused(
            f"a push has at most {PUSH_OPTIONS_MAX} options of at most {PUSH_OPTION_BYTES_MAX:,} bytes each"
        )
    return tuple(options)


class ReceivePack:
    """Takes pushes into any store; the door has decided that the pusher may push at all."""

    def __init__(
        self, *, database: Database, settings: Settings, refs: RefReader, stager: Stager, hooks: OperatorHooks
    ) -> None:
        self._database = database
        self._settings = settings
        self._refs = refs
        self._stager = stager
        self._hooks = hooks
        self._telling: set[asyncio.Task[None]] = set()

    async def advertisement(self, state: StoreState) -> bytes:
        """Return the refs and capabilities that a pushing client reads first (protocol v0; there is no other)."""
        refs = (await self._refs.snapshot(state)).refs
        if not refs:
            return encode_lines([b"0" * 40 + b" capabilities^{}\0" + _CAPABILITIES + b"\n"])
        first = b"%b %b\0%b\n" % (refs[0].oid.encode("ascii"), refs[0].name, _CAPABILITIES)
        return encode_lines([first, *(b"%b %b\n" % (ref.oid.encode("ascii"), ref.name) for ref in refs[1:])])

    async def receive(
        self, state: StoreState, request: PushRequest, pack: AsyncIterator[bytes], by: PushBy
    ) -> AsyncGenerator[bytes, None]:
        """Take the push and yield what the client reads: progress, remarks and the report of every ref.

        Nothing raises: a refusal is a report. "ok" is said only after the COMMIT.
        """
        band = b"side-band-64k" in request.capabilities
        progress = _Progress()
        work = asyncio.ensure_future(self._take(state, request, pack, by, progress.say))
        work.add_done_callback(lambda _: progress.say(b""))
        try:
            while not work.done():
                said = await progress.take(KEEP_ALIVE_SECONDS)
                if band and not work.done():
                    yield side_band(Band.PROGRESS, said)  # an empty one too: proxies and clients see that we live
                elif band and said:
                    yield side_band(Band.PROGRESS, said)
            unpacked, outcomes, remarks = work.result()
        finally:
            if not work.done():
                work.cancel()
                with suppress(asyncio.CancelledError):
                    await work
        if band:
            for line in remarks:
                yield side_band(Band.PROGRESS, line.encode("utf-8") + b"\n")
        if b"report-status" in request.capabilities or b"report-status-v2" in request.capabilities:
            report = _report(unpacked, outcomes)
            yield side_band(Band.DATA, report) if band else report
        if band:
            yield FLUSH
        await fail_point(Step.AFTER_REPORT)

    async def _take(
        self, state: StoreState, request: PushRequest, pack: AsyncIterator[bytes], by: PushBy, say: Say
    ) -> tuple[str, list[RefOutcome], Sequence[str]]:
        """Stage and land; return the word on unpacking ("ok" or why not), the outcomes and the remarks."""
        refusals = self._refusals_by_name(request.updates)
        possible = [update for update in request.updates if update.name not in refusals]
        if refusals and request.is_atomic:
            possible = []
        hooked = self._hooked(state, request, by, say)
        try:
            staged = await self._stage(state, request, possible, pack, hooked)
        except Exception as error:
            word = _explain(error, store_id=state.id)
            await _drain(pack)
            return word, _all_refused(request.updates, "unpacker error"), [word]
        refusals |= hooked.refused
        if staged is None or not staged.updates:
            others = "atomic push failed: another ref was refused"
            return "ok", [RefOutcome(u.name, u.old, u.new, refusals.get(u.name, others)) for u in request.updates], ()
        try:
            landed = await land(self._database, staged, push_id=random_id(), actor=by.actor, within=by.within)
        except Exception as error:
            word = _explain(error, store_id=state.id)
            return "ok", _all_refused(request.updates, word), [word]
        by_name = {outcome.name: outcome for outcome in landed}
        outcomes = [by_name.get(u.name) or RefOutcome(u.name, u.old, u.new, refusals[u.name]) for u in request.updates]
        await self._tell_hooks(hooked, landed)
        return "ok", outcomes, await _remarks(by, landed)

    async def _stage(
        self,
        state: StoreState,
        request: PushRequest,
        possible: Sequence[RefUpdate],
        pack: AsyncIterator[bytes],
        hooked: HookedPush,
    ) -> Staged | None:
        """Return the plan of what may be tried, the pack taken or read away; None if that is nothing."""
        inspect = hooked.inspect if self._hooks.judge else None
        if any(not update.is_deletion for update in possible):
            is_first = not (await self._refs.snapshot(state)).refs
            limits = push_limits(self._settings, is_first=is_first)
            return await self._stager.stage_push(
                state, possible, pack, limits=limits, is_atomic=request.is_atomic, inspect=inspect
            )
        if request.brings_pack:
            await _drain(pack)
        if not possible:
            return None
        return await self._stager.stage_deletions(state, possible, is_atomic=request.is_atomic, inspect=inspect)

    def _hooked(self, state: StoreState, request: PushRequest, by: PushBy, say: Say) -> HookedPush:
        return HookedPush(
            hooks=self._hooks,
            stager=self._stager,
            state=state,
            options=request.options,
            variables=by.variables,
            is_atomic=request.is_atomic,
            say=say,
        )

    async def _tell_hooks(self, hooked: HookedPush, landed: Sequence[RefOutcome]) -> None:
        """Run ``post-receive`` to its end, even if the client goes away: the refs have moved."""
        moved = [RefUpdate(outcome.name, outcome.old, outcome.new) for outcome in landed if outcome.moved]
        if not moved or not self._hooks.listen:
            return
        task = asyncio.create_task(hooked.tell(moved))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)
        await asyncio.shield(task)

    def _refusals_by_name(self, updates: Sequence[RefUpdate]) -> dict[RefName, str]:
        """Refuse names that no push may use, before anything is received for them."""
        refusals: dict[RefName, str] = {}
        for update in updates:
            if is_reserved(update.name):
                refusals[update.name] = "this name is reserved: only the server writes it"
                continue
            try:
                check_ref_name(update.name, max_bytes=self._settings.max_ref_name_bytes)
            except RefNameInvalid as error:
                refusals[update.name] = error.message
        return refusals


class _Progress:
    """What the client's terminal is to show while the push is worked on."""

    def __init__(self) -> None:
        self._said = bytearray()
        self._has_more = asyncio.Event()

    def say(self, data: bytes) -> None:
        """Show this; nothing at all just wakes whoever waits."""
        self._said += data
        self._has_more.set()

    async def take(self, seconds: float) -> bytes:
        """Return what was said and not yet taken, up to one packet; empty after so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._has_more.wait()
        taken = bytes(self._said[: DATA_BYTES_MAX - 1])
        del self._said[: len(taken)]
        if not self._said:
            self._has_more.clear()
        return taken


async def _drain(pack: AsyncIterator[bytes], *, max_bytes: int = GIB) -> None:
    """Read what the client still sends, within a bound: over HTTP it listens only when it has finished talking."""
    taken = 0
    # A client that is gone raises whatever its door raises; the report is for the others.
    with suppress(Exception):
        async for chunk in pack:
            taken += len(chunk)
            if taken > max_bytes:
                return


async def _remarks(by: PushBy, landed: Sequence[RefOutcome]) -> Sequence[str]:
    """Return the last words; the push is decided, so their failure must not look like its own."""
    try:
        return await by.remarks(landed)
    except Exception:
        _log.exception("remarks_failed")
        return ()


def _explain(error: Exception, *, store_id: int) -> str:
    """Return the sentence the pusher reads; what nobody foresaw is logged."""
    if isinstance(error, CairnError):
        return error.message
    _log.error("push_failed", store_id=store_id, exc_info=error)
    return "The server failed to take this push; try again."


def _all_refused(updates: Sequence[RefUpdate], refusal: str) -> list[RefOutcome]:
    return [RefOutcome(update.name, update.old, update.new, refusal) for update in updates]


def _report(unpacked: str, outcomes: Sequence[RefOutcome]) -> bytes:
    lines = [b"unpack " + _one_line(unpacked) + b"\n"]
    for outcome in outcomes:
        if outcome.moved:
            lines.append(b"ok " + outcome.name + b"\n")
        else:
            line = b"ng " + outcome.name + b" " + _one_line(outcome.refusal)
            lines.append(line[: DATA_BYTES_MAX - 1] + b"\n")
    return encode_lines(lines)


def _one_line(text: str) -> bytes:
    return " ".join(text.split()).encode("utf-8")[:1000]


def refuse_push(request: PushRequest, message: str) -> bytes:
    """Return the report that refuses a whole push with one sentence."""
    report = _report("ok", _all_refused(request.updates, message))
    return side_band(Band.DATA, report) + FLUSH if b"side-band-64k" in request.capabilities else report
