"""Reading another server's repository: its refs, and packs of them into a quarantine.

Whoever calls has checked the address and resolved it (``cairn.egress``); git connects to exactly that, follows no
redirect, and gets credentials by its environment alone: they stand on no command line, in no file and in no output.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cairn.base.errors import Invalid, Unavailable
from cairn.base.settings import GIB, KIB, MIB
from cairn.git.commands import UPSTREAM, GitCommand
from cairn.git.places import Kind
from cairn.git.quarantine import PackLimits, PackTooLarge, Quarantine
from cairn.git.ref_names import RefNameInvalid, check_ref_name
from cairn.git.runner import GitChild, GitFailed, GitLimits, GitRunner
from cairn.git.together import together
from cairn.git.types import Oid, RefName, is_oid

LIST_SECONDS = 120.0
FETCH_SECONDS = 12 * 3600.0
REFS_MAX = 1_000_000
LOOK_SECONDS = 0.5
"""How often a fetch under way is looked at: what it says, how much it has brought."""

SILENCE_SECONDS = 120
"""A server that sends less than a few bytes a second for so long is given up."""

_FETCHED = b"refs/fetched/"
_CHUNK_BYTES = MIB
_STEP = re.compile(
    r"(Counting objects|Compressing objects|Receiving objects|Resolving deltas):\s+([0-9]+)% \(([0-9]+)/([0-9]+)\)"
    r"(?:, ([0-9.]+) (bytes|KiB|MiB|GiB))?"
)
_UNITS = {"bytes": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB}


class RemoteFailed(Unavailable):
    """The other server broke off, was silent or said something that git does not understand; a retry may work."""


class RemoteUnauthorized(Invalid):
    """The other server wants credentials, or other ones."""


class RemoteMissing(Invalid):
    """The other server says that there is no such repository."""


class RemoteUnusable(Invalid):
    """What the other server has is no repository that can be read: damaged, or of another kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A repository elsewhere. ``url`` is ``http(s)://HOST[:PORT]/PATH`` without credentials; ``addresses`` are where
    the host was found, the only ones git connects to. ``authorization`` is the value of that header, a secret.

    Behind SSH, ``ssh_command`` is what git starts in place of ``ssh``: it alone knows where the repository is.
    """

    url: str
    host: str
    port: int
    addresses: tuple[str, ...]
    authorization: str = field(default="", repr=False)
    ca_file: Path = Path()
    ssh_command: str = ""


@dataclass(frozen=True, slots=True)
class RemoteRefs:
    """What the other server shows: its branches and tags, the branch HEAD names, how many refs of other kinds."""

    refs: dict[RefName, Oid]
    head_target: RefName | None
    others: int


@dataclass(frozen=True, slots=True)
class FetchProgress:
    """How far a fetch is. ``phase`` is git's word; ``bytes`` are those that lie in the quarantine."""

    phase: str = ""
    percent: int = 0
    objects: int = 0
    objects_total: int = 0
    bytes: int = 0


Progress = Callable[[FetchProgress], Awaitable[None]]
"""Is told how far a fetch is, every half second; raising ends the fetch."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What a fetch brought: the refs as they are there now, and the pack with what was lacking (None: nothing)."""

    refs: dict[RefName, Oid]
    pack: Path | None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the pack, or one without objects."""
        if self.pack is None:
            yield bytes.fromhex("5041434b0000000200000000029d08823bd8a8eab510ad6ac75c823cfd3ed31e")
            return
        with self.pack.open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, _CHUNK_BYTES):
                yield chunk


async def list_remote_refs(
    runner: GitRunner, quarantine: Quarantine, remote: Remote, *, name_bytes_max: int
) -> RemoteRefs:
    """Return the branches and tags of another server's repository. Errors: RemoteFailed, RemoteUnauthorized,
    RemoteMissing, RemoteUnusable, GitTimedOut, GitBusy.
    """
    command = GitCommand(name="ls-remote", options=("--symref", "--quiet", UPSTREAM))
    refs: dict[RefName, Oid] = {}
    head: RefName | None = None
    others = 0
    async with runner.spawn(
        command,
        git_dir=quarantine.path,
        config=remote_settings(remote),
        deadline_seconds=LIST_SECONDS,
        kind=Kind.PACED,
    ) as child:
        async for lines in child.line_batches():
            for line in lines:
                value, _, name = line.partition(b"\t")
                if value.startswith(b"ref: ") and name == b"HEAD":
                    head = value.removeprefix(b"ref: ")
                elif _is_taken(value, name, name_bytes_max):
                    refs[name] = Oid(value.decode("ascii"))
                elif name != b"HEAD" and not name.endswith(b"^{}") and not value.startswith(b"ref: "):
                    others += 1
            if len(refs) + others > REFS_MAX:
                raise RemoteUnusable(f"The repository has more than {REFS_MAX:,} refs.")
        await _finish(child, "ls-remote")
    return RemoteRefs(refs, head if head in refs else None, others)


async def fetch_refs(
    runner: GitRunner,
    quarantine: Quarantine,
    remote: Remote,
    names: Sequence[RefName],
    *,
    have: Sequence[Oid],
    limits: PackLimits,
    progress: Progress,
) -> Fetched:
    """Bring what the named refs reach and ``have`` (present in the quarantine's alternates) does not.

    The pack lies in the quarantine, unchecked but for git's own reading of it: it is for ``stage_push`` to judge.
    Errors: PackTooLarge as soon as more bytes lie there than may; as ``list_remote_refs``; what ``progress`` raises.
    """
    await asyncio.to_thread(_show_haves, quarantine, have)
    lines = b"".join(b"+" + name + b":" + _FETCHED + name.removeprefix(b"refs/") + b"\n" for name in names)
    options = ("--progress", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance")
    command = GitCommand(name="fetch", options=(*options, "--no-recurse-submodules", "--stdin", UPSTREAM))
    ended = asyncio.Event()
    async with runner.spawn(
        command,
        git_dir=quarantine.path,
        alternates=quarantine.alternates,
        stdin=lines,
        config=remote_settings(remote),
        deadline_seconds=FETCH_SECONDS,
        limits=GitLimits(file_bytes=limits.pack_bytes.value, cpu_seconds=int(FETCH_SECONDS)),
        kind=Kind.PACED,
    ) as child:

        async def finish() -> None:
            try:
                await _finish(child, "fetch")
            except (Invalid, Unavailable):
                # The kernel ends whoever writes a larger file, without a word.
                if await asyncio.to_thread(_lying_bytes, quarantine) >= limits.pack_bytes.value:
                    raise _too_large(limits) from None
                raise
            finally:
                ended.set()

        async def watch() -> None:
            while not ended.is_set():
                await progress(await asyncio.to_thread(_look, child, quarantine, limits))
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await ended.wait()
                except TimeoutError:
                    pass

        await together(finish(), watch())
    await progress(await asyncio.to_thread(_look, child, quarantine, limits))
    return await asyncio.to_thread(_collect, quarantine)


def parse_progress(stderr: str) -> FetchProgress:
    """Return the last step that git's progress lines tell of; a step without numbers if there is none yet."""
    found = None
    for found in _STEP.finditer(stderr):  # noqa: B007 (the last one counts)
        pass
    if found is None:
        return FetchProgress()
    phase, percent, done, total, size, unit = found.groups()
    received = int(float(size) * _UNITS[unit]) if size else 0
    return FetchProgress(phase, min(int(percent), 100), int(done), int(total), received)


def remote_settings(remote: Remote) -> list[tuple[str, str]]:
    """Return git's settings for one conversation: this address, this protocol, no redirect, no other credential."""
    settings = [
        ("protocol.version", "2"),
        ("credential.helper", ""),
        ("transfer.credentialsInUrl", "die"),
        ("transfer.bundleURI", "false"),
        ("fetch.unpackLimit", "1"),
        ("fetch.fsckObjects", "false"),  # staging checks, by our own rules
        ("fetch.negotiationAlgorithm", "consecutive"),
        ("fetch.recurseSubmodules", "false"),
    ]
    return settings + (_ssh_settings(remote) if remote.ssh_command else _http_settings(remote))


def _ssh_settings(remote: Remote) -> list[tuple[str, str]]:
    return [
        (f"remote.{UPSTREAM}.url", f"ssh://{UPSTREAM}/repository"),
        ("protocol.ssh.allow", "always"),
        ("core.sshCommand", remote.ssh_command),
        ("ssh.variant", "ssh"),
    ]


def _http_settings(remote: Remote) -> list[tuple[str, str]]:
    scheme = remote.url.partition(":")[0]
    assert scheme in {"http", "https"}, "callers speak no other protocol"
    pins = ",".join(f"[{address}]" if ":" in address else address for address in remote.addresses)
    settings = [
        (f"remote.{UPSTREAM}.url", remote.url),
        (f"protocol.{scheme}.allow", "always"),
        ("http.curloptResolve", f"{remote.host}:{remote.port}:{pins}"),
        ("http.followRedirects", "false"),
        ("http.proxy", ""),
        ("http.lowSpeedLimit", "10"),
        ("http.lowSpeedTime", str(SILENCE_SECONDS)),
    ]
    if remote.authorization:
        settings.append(("http.extraHeader", f"Authorization: {remote.authorization}"))
    if remote.ca_file != Path():
        settings.append(("http.sslCAInfo", str(remote.ca_file.absolute())))
    return settings


def _is_taken(value: bytes, name: RefName, name_bytes_max: int) -> bool:
    if not name.startswith((b"refs/heads/", b"refs/tags/")) or name.endswith(b"^{}"):
        return False
    try:
        check_ref_name(name, max_bytes=name_bytes_max)
    except RefNameInvalid:
        return False
    return is_oid(value.decode("ascii", "replace"))


def _show_haves(quarantine: Quarantine, have: Sequence[Oid]) -> None:
    """Give the quarantine refs by which git tells the other side what need not be sent. Blocks."""
    lines = [f"{oid} refs/kept/{number:07}\n" for number, oid in enumerate(sorted(set(have)))]
    (quarantine.path / "packed-refs").write_text("# pack-refs with: sorted \n" + "".join(lines))


def _look(child: GitChild, quarantine: Quarantine, limits: PackLimits) -> FetchProgress:
    """Return how far the fetch is; PackTooLarge beyond the limits. Blocks."""
    told, lying = parse_progress(child.stderr), _lying_bytes(quarantine)
    if lying > 2 * limits.pack_bytes.value or told.objects_total > limits.objects.value:
        raise _too_large(limits)
    return FetchProgress(told.phase, told.percent, told.objects, told.objects_total, max(lying, told.bytes))


def _lying_bytes(quarantine: Quarantine) -> int:
    """Return how many bytes of packs lie in the quarantine. Blocks."""
    sizes = 0
    for entry in os.scandir(quarantine.packs):
        with suppress(FileNotFoundError):  # git renames them while they are looked at
            sizes += entry.stat().st_size
    return sizes


def _too_large(limits: PackLimits) -> PackTooLarge:
    return PackTooLarge(
        f"The repository is larger than an import may be: {limits.pack_bytes.value:,} bytes "
        f"({limits.pack_bytes.setting}) and {limits.objects.value:,} objects ({limits.objects.setting})."
    )


def _collect(quarantine: Quarantine) -> Fetched:
    root = quarantine.path / os.fsdecode(_FETCHED)
    refs: dict[RefName, Oid] = {}
    for path in root.rglob("*"):
        if path.is_file():
            name = b"refs/" + os.fsencode(path.relative_to(root))
            refs[name] = Oid(path.read_text("ascii").strip())
    packs = list(quarantine.packs.glob("*.pack"))
    if len(packs) > 1:
        raise RemoteUnusable("The other server sent more than one pack.")
    return Fetched(refs, packs[0] if packs else None)


async def _finish(child: GitChild, name: str) -> None:
    """Return when the child ended well; else the error that says what the other server did."""
    async for _ in child.chunks():
        pass
    exit_code = await child.wait()
    if exit_code == 0:
        return
    failure = GitFailed(name, exit_code, child.stderr)
    raise explain_failure(failure) from failure


_EXPLANATIONS: tuple[tuple[str, type[Invalid], str], ...] = (
    (
        (
            r"Authentication failed|could not read Username|returned error: 40[13]|terminal prompts disabled"
            r"|[Pp]ermission (to .* )?denied|[Aa]ccess denied|not allowed to|read.only"
        ),
        RemoteUnauthorized,
        "The other server wants a user and password or token, or does not take the ones you gave.",
    ),
    (
        r"[Rr]epository.*not found|returned error: 404|returned error: 410|does not appear to be a git repository",
        RemoteMissing,
        "The other server says that there is no such repository, or hides it from you.",
    ),
    (
        r"not valid: is this a git repository|invalid server response|dumb http|object-format|bad object",
        RemoteUnusable,
        "At this address is no Git repository that can be read.",
    ),
    (
        r"index-pack|fatal: pack |bad pack|pack has bad|inflate returned|did not receive|did not send all",
        RemoteUnusable,
        "The other server sent a pack that is damaged or lacks objects.",
    ),
)


def explain_failure(failure: GitFailed) -> Invalid | Unavailable:
    """Return the error that says what the other server did."""
    for pattern, kind, message in _EXPLANATIONS:
        if re.search(pattern, failure.stderr):
            return kind(message)
    return RemoteFailed("The other server broke off, or could not be reached.")
