"""Serving fetches: protocol v2 natively, v0 and v1 through stock upload-pack on a directory of refs.

``ls-refs`` is answered from rows, ``fetch`` from the cache or by one git child on the view. Every want is proved
reachable first. Source: gitprotocol-v2(5), gitprotocol-pack(5).
"""

import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cairn import __version__
from cairn.base.settings import MIB
from cairn.git.commands import GitCommand
from cairn.git.fetch_cache import Answer, FetchCache, Flight, answer_key
from cairn.git.node_cache import NodeCache
from cairn.git.object_info import answer_object_info, parse_object_info
from cairn.git.pktline import (
    DELIM,
    FLUSH,
    Band,
    Marker,
    PktReader,
    ProtocolError,
    encode,
    encode_lines,
    side_band,
)
from cairn.git.places import Kind
from cairn.git.reachability import Reachability
from cairn.git.ref_queries import RefReader, RefSnapshot, RefValue
from cairn.git.refs_directory import refs_directory
from cairn.git.runner import GitChild, GitRunner, StdinPipe
from cairn.git.shared_answers import SHARED_PREFIX, SharedFetch
from cairn.git.store_state import StoreState
from cairn.git.types import Oid, is_oid, show
from cairn.git.views import ViewMended, Views

AGENT = b"agent=cairn/" + __version__.encode("ascii")
SHARED_FROM_BYTES = MIB
"""Clones of a repository from this size on are also kept in the object store, for the other nodes."""

_V2_ADVERTISEMENT = encode_lines(
    [
        b"version 2\n",
        AGENT + b"\n",
        b"ls-refs=unborn\n",
        b"fetch=shallow wait-for-done filter\n",
        b"server-option\n",
        b"object-format=sha1\n",
        b"object-info\n",
        b"bundle-uri\n",
    ]
)
_V0_CAPABILITIES = (
    b"multi_ack thin-pack side-band side-band-64k ofs-delta shallow deepen-since deepen-not deepen-relative "
    b"no-progress include-tag multi_ack_detailed allow-tip-sha1-in-want allow-reachable-sha1-in-want no-done filter "
    b"object-format=sha1 " + AGENT
)
_PACK_FOLLOWS = encode(b"packfile\n")
_LS_REFS_MEMORY_BYTES = 32 * MIB
_FLAGS = frozenset(
    {b"done", b"thin-pack", b"no-progress", b"include-tag", b"ofs-delta", b"deepen-relative", b"wait-for-done"}
)
_FILTER = re.compile(
    rb"blob:none|blob:limit=\d{1,18}[kmgKMG]?|tree:\d{1,9}|object:type=(?:blob|tree|commit|tag)|combine:[\w:=%+.-]{1,200}"
)


class FetchRefused(ProtocolError):
    """A fetch asks for something this server does not do; the client shows the message."""


@dataclass(frozen=True, slots=True)
class V2Request:
    """One command of protocol v2 with its arguments, newlines removed."""

    command: bytes
    arguments: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchRequest:
    """A fetch as it was understood; ``lines`` is its normalised form, the same for equal requests."""

    wants: tuple[Oid, ...]
    lines: tuple[bytes, ...]
    has_haves: bool
    is_done: bool
    wants_tags: bool
    names_refs: bool


def v2_advertisement() -> bytes:
    """Return what an upload-pack server says first to a client that asked for protocol v2."""
    return _V2_ADVERTISEMENT


async def read_v2_request(reader: PktReader) -> V2Request | None:
    """Return the next command, or None if the client ended or sent only a flush."""
    packet = await reader.read_or_end()
    if packet is None or packet is Marker.FLUSH:
        return None
    command = b""
    while isinstance(packet, bytes):
        line = packet.removesuffix(b"\n")
        if line.startswith(b"command="):
            command = line.removeprefix(b"command=")
        elif line.startswith(b"object-format=") and line != b"object-format=sha1":
            raise FetchRefused("this server keeps SHA-1 repositories; the client asked for another object format")
        packet = await reader.read()
    arguments: list[bytes] = []
    if packet is Marker.DELIM:
        arguments = [line.removesuffix(b"\n") for line in await reader.read_until_flush()]
    return V2Request(command, tuple(arguments))


def parse_fetch(arguments: Sequence[bytes]) -> FetchRequest:
    """Return the fetch that the arguments of v2's ``fetch`` ask for; FetchRefused names what cannot be served."""
    wants: set[Oid] = set()
    others: list[bytes] = []
    for line in arguments:
        word, _, value = line.partition(b" ")
        if word == b"want":
            wants.add(_oid(value))
        else:
            _check_argument(line, word, value)
            others.append(line)
    if not wants:
        raise FetchRefused("a fetch names at least one object it wants")
    ordered = tuple(sorted(wants))
    return FetchRequest(
        wants=ordered,
        lines=(*(b"want " + oid.encode("ascii") for oid in ordered), *others),
        has_haves=any(line.startswith(b"have ") for line in others),
        is_done=b"done" in others,
        wants_tags=b"include-tag" in others,
        # Both are measured from the refs: what to leave out, and which of the client's boundaries are still reachable.
        names_refs=any(line.startswith(b"deepen-not ") or line == b"deepen-relative" for line in others),
    )


def _check_argument(line: bytes, word: bytes, value: bytes) -> None:
    if line in _FLAGS:
        return
    if word in {b"have", b"shallow"}:
        _oid(value)
    elif word == b"filter":
        if not _FILTER.fullmatch(value) or b"sparse" in value:
            raise FetchRefused(
                f"the filter {show(value[:100])!r} is not offered; use blob:none, blob:limit=N or tree:N"
            )
    elif word in {b"deepen", b"deepen-since"}:
        if not value.isdigit() or len(value) > 18:
            raise FetchRefused(f"{show(line[:100])!r}: wants a number")
    elif word != b"deepen-not" or not value:
        raise FetchRefused(f"fetch has no argument {show(line[:100])!r}")


def _oid(value: bytes) -> Oid:
    text = value.decode("latin-1")
    if not is_oid(text):
        raise FetchRefused(f"{show(value[:100])!r} is not an object id")
    return Oid(text)


class UploadPack:
    """Answers fetches on any store; the door has already decided that the reader may read it."""

    def __init__(
        self,
        *,
        refs: RefReader,
        views: Views,
        cache: NodeCache,
        answers: FetchCache,
        reachability: Reachability,
        runner: GitRunner,
    ) -> None:
        self._refs = refs
        self._views = views
        self._cache = cache
        self._answers = answers
        self._reachability = reachability
        self._runner = runner
        self._listings: OrderedDict[str, bytes] = OrderedDict()
        self._listing_bytes = 0

    @asynccontextmanager
    async def serve_v2(self, state: StoreState, request: V2Request) -> AsyncIterator[Answer]:
        """Yield the answer to one v2 command: bytes, a file, or a run to read while it grows.

        ``state`` was read after the command arrived, also in the middle of a conversation: else what another node
        took meanwhile would be unknown here.
        Errors: FetchRefused, NotReachable, the engine's Unavailable.
        """
        if request.command == b"ls-refs":
            yield await self._ls_refs(state, request.arguments)
        elif request.command == b"fetch":
            async with self._fetch(state, parse_fetch(request.arguments)) as answer:
                yield answer
        elif request.command == b"object-info":
            yield await self._object_info(state, request.arguments)
        else:
            raise FetchRefused(f"this server has no command {show(request.command[:100])!r}")

    async def advertisement_v0(self, state: StoreState, *, version: int) -> bytes:
        """Return the refs and capabilities that v0 (or v1) clients read first."""
        snapshot = await self._refs.snapshot(state)
        head = snapshot.find(state.head_target)
        listed = ([RefValue(b"HEAD", head.oid, head.peeled)] if head else []) + list(snapshot.refs)
        capabilities = _V0_CAPABILITIES
        if head:
            capabilities += b" symref=HEAD:" + state.head_target
        lines: list[bytes] = [b"version 1\n"] if version == 1 else []
        if not listed:
            return encode_lines([*lines, b"0" * 40 + b" capabilities^{}\0" + capabilities + b"\n"])
        for position, ref in enumerate(listed):
            tail = b"\0" + capabilities if position == 0 else b""
            lines.append(b"%b %b%b\n" % (ref.oid.encode("ascii"), ref.name, tail))
            if ref.peeled:
                lines.append(b"%b %b^{}\n" % (ref.peeled.encode("ascii"), ref.name))
        return encode_lines(lines)

    @asynccontextmanager
    async def serve_stateless_v0(self, state: StoreState, body: bytes, *, version: int) -> AsyncIterator[Flight]:
        """Yield stock upload-pack's answer to one v0 or v1 request over HTTP, its wants proved before.

        A run of its own fills it, as in v2: a client that reads slowly holds a file and not a git child.
        """
        wants = await _wants_v0(body)
        snapshot = await self._refs.snapshot(state)
        state = snapshot.fresher(state)
        beyond = [oid for oid in wants if oid not in snapshot.tips]
        await self._prove(state, snapshot, beyond)
        key = answer_key(state.id, state.cache_epoch, state.ref_version, state.head_target, b"v%d" % version, body)
        async with self._answers.fly(
            key,
            lambda: self._run_v0(state, body, snapshot, beyond, version=version),
            shared=None,
            is_final=lambda head: False,
        ) as flight:
            yield flight

    @asynccontextmanager
    async def converse_v0(self, state: StoreState, *, version: int) -> AsyncIterator[GitChild]:
        """Yield a running stock upload-pack for a v0 or v1 client over SSH; it serves only what it advertises."""
        snapshot = await self._refs.snapshot(state)
        state = snapshot.fresher(state)
        async with self._views.open(state) as view:
            async with refs_directory(
                self._cache.root / "tmp", snapshot.refs, head_target=state.head_target
            ) as git_dir:
                command = GitCommand(name="upload-pack", options=("--strict",), folders=(git_dir,))
                async with self._runner.spawn(
                    command,
                    git_dir=git_dir,
                    object_directory=view.objects,
                    protocol_version=version or None,
                    stdin=StdinPipe.PIPE,
                    kind=Kind.PACED,
                ) as child:
                    yield child

    async def _ls_refs(self, state: StoreState, arguments: Sequence[bytes]) -> bytes:
        key = answer_key(state.id, state.ref_version, state.head_target, *arguments)
        known = self._listings.get(key)
        if known is not None:
            self._listings.move_to_end(key)
            return known
        answer = await self._list(state, arguments)
        if len(answer) <= _LS_REFS_MEMORY_BYTES // 2:  # some 200,000 refs
            self._listing_bytes += len(answer) - len(self._listings.get(key, b""))
            self._listings[key] = answer
            while self._listing_bytes > _LS_REFS_MEMORY_BYTES:
                _, dropped = self._listings.popitem(last=False)
                self._listing_bytes -= len(dropped)
        return answer

    async def _list(self, state: StoreState, arguments: Sequence[bytes]) -> bytes:
        known = {b"peel", b"symrefs", b"unborn"}
        prefixes: list[bytes] = []
        for line in arguments:
            if line.startswith(b"ref-prefix "):
                prefixes.append(line.removeprefix(b"ref-prefix "))
            elif line not in known:
                raise FetchRefused(f"ls-refs has no argument {show(line[:100])!r}")
        peel, symrefs = b"peel" in arguments, b"symrefs" in arguments
        refs = await self._refs.with_prefixes(state, prefixes)
        lines: list[bytes] = []
        if not prefixes or any(b"HEAD".startswith(prefix) for prefix in prefixes):
            lines += await self._head_line(state, symrefs=symrefs, unborn=b"unborn" in arguments)
        for ref in refs:
            tail = b" peeled:" + ref.peeled.encode("ascii") if peel and ref.peeled else b""
            lines.append(b"%b %b%b\n" % (ref.oid.encode("ascii"), ref.name, tail))
        return encode_lines(lines)

    async def _head_line(self, state: StoreState, *, symrefs: bool, unborn: bool) -> list[bytes]:
        target = b" symref-target:" + state.head_target if symrefs else b""
        head = (await self._refs.snapshot(state)).find(state.head_target)
        if head is not None:
            return [b"%b HEAD%b\n" % (head.oid.encode("ascii"), target)]
        return [b"unborn HEAD%b\n" % target] if unborn else []

    @asynccontextmanager
    async def _fetch(self, state: StoreState, request: FetchRequest) -> AsyncIterator[Answer]:
        snapshot = await self._refs.snapshot(state)
        state = snapshot.fresher(state)
        beyond = self._reachability.unproved(state, [oid for oid in request.wants if oid not in snapshot.tips])
        key = self._key(state, request)
        answer = self._answers.find(key)
        if answer is not None:
            await self._prove(state, snapshot, beyond)
            yield answer
            return
        shared = None
        if not request.has_haves and not beyond and await self._views.bytes_of(state) >= SHARED_FROM_BYTES:
            shared = SharedFetch(f"{SHARED_PREFIX}/{state.id}/{key}")
        async with self._answers.fly(
            key,
            lambda: self._run(state, request, snapshot),
            shared=shared,
            is_final=lambda head: request.is_done or encode(b"packfile\n") in head,
        ) as flight:
            # Side by side with the run, of which nobody reads a byte before the proof.
            await self._prove(state, snapshot, beyond)
            yield flight

    async def _object_info(self, state: StoreState, arguments: Sequence[bytes]) -> bytes:
        oids = parse_object_info(arguments)
        snapshot = await self._refs.snapshot(state)
        state = snapshot.fresher(state)
        async with self._views.open(state) as view:
            tips = _tips(snapshot, state)
            hidden = await self._reachability.find_unreachable(state, view, oids, tips=tips)
            return await answer_object_info(view.path, oids, hidden=hidden)

    def _key(self, state: StoreState, request: FetchRequest) -> str:
        tags = state.tags_version if request.wants_tags else ""
        names = state.ref_version if request.names_refs else ""
        return answer_key(state.id, state.cache_epoch, tags, names, *request.lines)

    async def _prove(self, state: StoreState, snapshot: RefSnapshot, wanted: Sequence[Oid] | set[Oid]) -> None:
        if wanted:
            async with self._views.open(state) as view:
                await self._reachability.require(state, view, wanted, tips=_tips(snapshot, state))

    async def _run(
        self, state: StoreState, request: FetchRequest, snapshot: RefSnapshot
    ) -> AsyncGenerator[bytes, None]:
        """Yield stock upload-pack's answer to one v2 fetch on the view."""
        refs: list[RefValue] = []
        if request.names_refs:
            refs = list(snapshot.refs)
        elif request.wants_tags:
            refs = [ref for ref in snapshot.refs if ref.name.startswith(b"refs/tags/")]
        body = encode(b"command=fetch\n") + encode(b"object-format=sha1\n") + DELIM
        body += b"".join(encode(line + b"\n") for line in request.lines) + FLUSH
        is_begun, held = False, b""
        try:
            async for chunk in self._answer(state, body, refs):
                held += chunk
                if is_begun := is_begun or _has_begun(held):
                    yield held
                    held = b""
            yield held
        except ViewMended:
            if is_begun:
                raise
            async for chunk in self._answer(state, body, refs):
                yield chunk

    async def _answer(self, state: StoreState, body: bytes, refs: Sequence[RefValue]) -> AsyncGenerator[bytes, None]:
        async with (
            self._views.open(state) as view,
            refs_directory(self._cache.root / "tmp", refs, head_target=state.head_target) as git_dir,
            self._runner.spawn(
                GitCommand(name="upload-pack", options=("--stateless-rpc", "--strict"), folders=(git_dir,)),
                git_dir=git_dir,
                object_directory=view.objects,
                protocol_version=2,
                stdin=body,
                kind=Kind.PACKING,
            ) as child,
        ):
            async for chunk in child.chunks():
                yield chunk
            await child.finish()

    async def _run_v0(
        self, state: StoreState, body: bytes, snapshot: RefSnapshot, beyond: Sequence[Oid], *, version: int
    ) -> AsyncGenerator[bytes, None]:
        """Yield stock upload-pack's answer to one v0 or v1 request on a directory of the refs."""
        async with (
            self._views.open(state) as view,
            refs_directory(
                self._cache.root / "tmp", snapshot.refs, head_target=state.head_target, also=beyond
            ) as git_dir,
            self._runner.spawn(
                GitCommand(name="upload-pack", options=("--stateless-rpc", "--strict"), folders=(git_dir,)),
                git_dir=git_dir,
                object_directory=view.objects,
                protocol_version=version or None,
                stdin=body,
                kind=Kind.PACKING,
            ) as child,
        ):
            async for chunk in child.chunks():
                yield chunk
            await child.wait()


def _tips(snapshot: RefSnapshot, state: StoreState) -> list[Oid]:
    """Return what refs point to, HEAD first: most that is asked for is there."""
    head = snapshot.find(state.head_target)
    return ([head.oid] if head else []) + [ref.oid for ref in snapshot.refs]


def _has_begun(answer: bytes) -> bool:
    """Tell whether git has said more than what precedes a pack, or that it failed."""
    rest = answer.removeprefix(_PACK_FOLLOWS)
    return len(rest) > 4 and rest[4] != Band.ERROR.value and not rest.startswith(b"ERR ", 4)


async def _wants_v0(body: bytes) -> list[Oid]:
    """Return the wants of a v0 request: ``want OID [capabilities]`` lines up to the first flush."""

    async def source() -> AsyncIterator[bytes]:
        yield body

    reader = PktReader(source(), max_bytes=len(body))
    wants: list[Oid] = []
    while isinstance(packet := await reader.read_or_end(), bytes):
        if packet.startswith(b"want "):
            wants.append(_oid(packet[5:45]))
    return wants


def error_packet(message: str) -> bytes:
    """Return the packet that makes any git client stop and show ``message``."""
    return encode(b"ERR " + message.encode("utf-8")[:60000])


def error_in_side_band(message: str) -> bytes:
    """Return the packet that says the same in the middle of a pack."""
    return side_band(Band.ERROR, message.encode("utf-8")[:60000] + b"\n") + FLUSH
