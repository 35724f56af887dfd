"""``git archive --remote`` over SSH: the arguments of ``git archive`` one by one, then the archive in a side band.

Source: git's builtin/archive.c and builtin/upload-archive.c say what travels; as there, only names of refs are taken
(``REF`` or ``REF:FOLDER``), never an object id, so that nothing unreachable can be asked for.
"""

import re
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

from cairn.base.errors import CairnError, Invalid, NotFound
from cairn.git.archive import PATHS_MAX, PREFIX_BYTES_MAX, ArchiveFormat, stream_archive
from cairn.git.engine import Engine
from cairn.git.node_cache import View
from cairn.git.pktline import DATA_BYTES_MAX, FLUSH, Band, PktReader, ProtocolError, encode, side_band
from cairn.git.reading import ObjectReader
from cairn.git.ref_queries import RefSnapshot
from cairn.git.runner import GitFailed
from cairn.git.store_state import StoreState
from cairn.git.types import Oid, show
from cairn.git_server.ssh_conversation import Channel, ToldAlready

ARGUMENTS_MAX = PATHS_MAX + 64
_FORMATS = {
    "tar": ArchiveFormat.TAR,
    "tgz": ArchiveFormat.TAR_GZ,
    "tar.gz": ArchiveFormat.TAR_GZ,
    "zip": ArchiveFormat.ZIP,
}
_PIECE_BYTES = DATA_BYTES_MAX - 1


class ArchiveRefused(Invalid):
    """An argument that is not offered, or that names nothing."""


@dataclass(frozen=True, slots=True)
class ArchiveRequest:
    """What a client wants: ``name`` is a ref, perhaps with ``:FOLDER``; None asks for the list of formats."""

    name: bytes | None
    form: ArchiveFormat = ArchiveFormat.TAR
    prefix: str = ""
    level: int | None = None
    paths: tuple[bytes, ...] = ()


async def serve_archive(engine: Engine, state: StoreState, channel: Channel, *, max_bytes: int) -> None:
    """Answer one ``git archive --remote`` to its end. Errors: ToldAlready, ProtocolError."""
    arguments = await _read_arguments(PktReader(channel, max_bytes=max_bytes))
    try:
        request = parse_arguments(arguments)
        if request.name is None:
            await _begin(channel)
            await _send(channel, "".join(f"{name}\n" for name in _FORMATS).encode())
            await channel.write(FLUSH)
            return
        await _serve(engine, state, channel, request)
    except (ArchiveRefused, NotFound) as refused:
        await channel.write(encode(b"NACK " + refused.message.encode() + b"\n") + FLUSH)
        raise ToldAlready(refused.message) from refused


async def _serve(engine: Engine, state: StoreState, channel: Channel, request: ArchiveRequest) -> None:
    snapshot = await engine.snapshot(state)
    state = snapshot.fresher(state)
    async with engine.view(state) as view:
        tree_ish = await _find(snapshot, state, view, request.name or b"")
        await _begin(channel)
        try:
            async with aclosing(
                stream_archive(
                    engine.runner,
                    view,
                    tree_ish,
                    form=request.form,
                    prefix=request.prefix,
                    paths=request.paths,
                    level=request.level,
                )
            ) as chunks:
                async for chunk in chunks:
                    await _send(channel, chunk)
        except CairnError as error:
            said = error.stderr if isinstance(error, GitFailed) else error.message
            await channel.write(side_band(Band.PROGRESS, said.encode()[:_PIECE_BYTES]))
            await channel.write(side_band(Band.ERROR, b"git archive failed\n"))
            raise ToldAlready(error.message) from error
    await channel.write(FLUSH)


def parse_arguments(arguments: Sequence[bytes]) -> ArchiveRequest:
    """Return what the arguments of ``git archive`` ask for. Errors: ArchiveRefused names what is not offered."""
    form, prefix, level = ArchiveFormat.TAR, "", None
    rest: list[bytes] = []
    options = True
    for argument in arguments:
        text = argument.decode("utf-8", "surrogateescape")
        if not options or not text.startswith("-"):
            rest.append(argument)
        elif text == "--":
            options = False
        elif text in {"-l", "--list"}:
            return ArchiveRequest(None)
        elif text in {"-v", "--verbose"}:
            continue
        elif text.startswith("--format="):
            form = _format(text.removeprefix("--format="))
        elif text.startswith("--prefix="):
            prefix = _prefix(text.removeprefix("--prefix="))
        elif re.fullmatch(r"-[0-9]", text):
            level = int(text[1])
        else:
            raise ArchiveRefused(f"{show(argument[:60])} is not offered over the network; clone and archive there")
    if not rest:
        raise ArchiveRefused("name a branch or a tag to archive")
    if len(rest) > PATHS_MAX + 1 or any(b"\0" in path or not path for path in rest):
        raise ArchiveRefused(f"at most {PATHS_MAX:,} paths, none of them empty")
    return ArchiveRequest(rest[0], form, prefix, level if form is not ArchiveFormat.TAR else None, tuple(rest[1:]))


def _format(name: str) -> ArchiveFormat:
    if name not in _FORMATS:
        raise ArchiveRefused(f"{name[:40]!r} is no format here; there are {', '.join(_FORMATS)}")
    return _FORMATS[name]


def _prefix(text: str) -> str:
    if len(text.encode("utf-8", "surrogateescape")) > PREFIX_BYTES_MAX or "\0" in text:
        raise ArchiveRefused(f"a prefix has {PREFIX_BYTES_MAX:,} bytes at most")
    return text


async def _read_arguments(reader: PktReader) -> list[bytes]:
    found: list[bytes] = []
    for line in await reader.read_until_flush():
        word, space, argument = line.removesuffix(b"\n").partition(b" ")
        if word != b"argument" or not space or len(found) > ARGUMENTS_MAX:
            raise ProtocolError("git archive sends its arguments one by one")
        found.append(argument)
    return found


async def _find(snapshot: RefSnapshot, state: StoreState, view: View, name: bytes) -> Oid:
    """Return what a name stands for, by the order in which git looks for short names."""
    ref, colon, path = name.partition(b":")
    ref = state.head_target if ref == b"HEAD" else ref
    candidates = (b"", b"refs/", b"refs/tags/", b"refs/heads/")
    found = next((value for prefix in candidates if (value := snapshot.find(prefix + ref))), None)
    if found is None:
        raise NotFound(f"no such ref: {show(ref[:200])}")
    if not colon:
        return found.oid
    reader = ObjectReader(view.path)
    try:
        return (await reader.resolve_path(found.peeled or found.oid, path.strip(b"/"))).oid
    finally:
        reader.close()


async def _begin(channel: Channel) -> None:
    await channel.write(encode(b"ACK\n") + FLUSH)


async def _send(channel: Channel, data: bytes) -> None:
    for start in range(0, len(data), _PIECE_BYTES):
        await channel.write(side_band(Band.DATA, data[start : start + _PIECE_BYTES]))
