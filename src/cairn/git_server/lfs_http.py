"""Git LFS over HTTP as a plain ASGI app beside ``smart_http``: batches, objects, locks.

Whoever may read a repository gets its objects, whoever may push sends them; rights are read for each request, whatever
carries the credential. An SSH client shows a word (``cairn.lfs.words``) and is asked for its key's rights.
Source: git-lfs's docs/api.
"""

import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from urllib.parse import quote

import msgspec

from cairn.access.actions import Action
from cairn.base.actor import ANONYMOUS, Actor
from cairn.base.errors import CairnError, Conflict, Invalid, Malformed, NotFound, RateLimited, TooLarge, Unavailable
from cairn.base.log import get_logger
from cairn.base.origin import current_origin
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.git.places import Kind, Places, on_behalf_of
from cairn.git_server.answers import NO_CACHE, Headers, Reply, status_of
from cairn.git_server.lfs_requests import (
    BODY_BYTES_MAX,
    MEDIA_TYPE,
    BatchAnswer,
    BatchObject,
    BatchRequest,
    LfsAddress,
    LfsPart,
    Link,
    LockRequest,
    LocksQuestion,
    ObjectProblem,
    RangeOutside,
    UnlockRequest,
    WantedObject,
    decode_body,
    decode_locks_query,
    parse_lfs_address,
    parse_range,
    show_all_locks,
    show_lock,
    show_locks,
)
from cairn.git_server.observer import GitObserver, Large, LargeObserver, Result, uncounted, unobserved
from cairn.git_server.request_body import ClientGone, RequestBody
from cairn.git_server.requests import Verb
from cairn.identity.authenticate import BadCredentials
from cairn.identity.credentials import Credential, KeyCredential, parse_authorization
from cairn.lfs.locks import LOCKS_AT_ONCE, PathLocked, create_lock, list_locks, release_lock
from cairn.lfs.objects import StoredObject, find_object, find_objects, note_wanted
from cairn.lfs.quotas import QuotaExceeded, Room, require_size, room_of
from cairn.lfs.uploads import Incoming, ObjectMismatch, receive_object
from cairn.lfs.words import Operation, Word, Words, is_word
from cairn.repositories.accept_push import begin_push
from cairn.repositories.git_access import GitDoor, GitTarget
from cairn.repositories.lfs_access import make_authorize, refuse_wiki
from cairn.storage.storage import Storage
from cairn.web.asgi import ASGIApp, Receive, Scope, Send, header
from cairn.web.rate_limits import RateLimits, whose_share

S = TypeVar("S", bound=msgspec.Struct)
LINK_SECONDS = 1800
"""How long an address from the object store works: a transfer only has to begin by then."""
UPLOADS_AT_ONCE = 16
"""Objects that one program receives at a time, shared out among callers: each takes up to 40 MiB of memory."""
UPLOADS_WAITING_MAX = 500
UPLOAD_QUEUE_SECONDS = 120

_OCTETS = (b"content-type", b"application/octet-stream")
_CHALLENGES: Headers = [
    (b"www-authenticate", b'Basic realm="Cairn"'),
    (b"lfs-authenticate", b'Basic realm="Cairn"'),
]
_ACTIONS = {Operation.DOWNLOAD: Action.REPOSITORY_READ, Operation.UPLOAD: Action.REPOSITORY_PUSH}
_VERBS = {Operation.DOWNLOAD: Verb.LFS_DOWNLOAD, Operation.UPLOAD: Verb.LFS_UPLOAD}
_log = get_logger(__name__)


class HashUnknown(Conflict):
    """The client names objects by another hash than SHA-256."""


@dataclass(frozen=True, slots=True)
class _Call:
    """One request: its address, who may answer it, and what came with it."""

    address: LfsAddress
    scope: Scope
    body: RequestBody
    reply: Reply

    @property
    def authorization(self) -> str | None:
        """The Authorization header, None without one."""
        return header(self.scope, b"authorization").decode("latin-1") or None

    @property
    def client(self) -> str:
        """The client's address."""
        client = self.scope.get("client")
        return str(client[0]) if client else ""


class LfsHttp:
    """Serves the addresses of LFS for one web program."""

    def __init__(
        self,
        *,
        settings: Settings,
        database: Database,
        storage: Storage,
        door: GitDoor,
        words: Words,
        limits: RateLimits | None = None,
        observe: GitObserver = unobserved,
        count: LargeObserver = uncounted,
    ) -> None:
        self._settings = settings
        self._database = database
        self._storage = storage
        self._door = door
        self._words = words
        self._limits = limits or RateLimits(settings)
        self._observe = observe
        self._count = count
        self._places = Places(
            UPLOADS_AT_ONCE, packing=1, queue_seconds=UPLOAD_QUEUE_SECONDS, max_waiting=UPLOADS_WAITING_MAX
        )
        self._handlers: dict[LfsPart, dict[str, Callable[[_Call], Awaitable[None]]]] = {
            LfsPart.BATCH: {"POST": self._batch},
            LfsPart.OBJECT: {"GET": self._get, "PUT": self._put},
            LfsPart.VERIFY: {"POST": self._verify},
            LfsPart.LOCKS: {"GET": self._list_locks, "POST": self._lock},
            LfsPart.VERIFY_LOCKS: {"POST": self._verify_locks},
            LfsPart.UNLOCK: {"POST": self._unlock},
        }

    def front(self, scope: Scope) -> ASGIApp | None:
        """Return the app for a request if its address is LFS's, else None."""
        address = parse_lfs_address(scope["path"])
        return None if address is None else functools.partial(self._serve, address)

    async def _serve(self, address: LfsAddress, scope: Scope, receive: Receive, send: Send) -> None:
        scope["path_template"] = f"/{{owner}}/{{repo}}/info/lfs/{address.part}"
        grace = self._settings.body_deadline_seconds
        call = _Call(address, scope, RequestBody(receive, is_gzip=False, grace_seconds=grace), Reply(scope, send))
        operation = _operation_of(call)
        started, result = time.perf_counter(), Result.FAILED
        try:
            result = await self._answer(call)
        except ClientGone:
            result = Result.GONE
            await call.reply.part()
        finally:
            self._observe(
                door="http",
                verb=_VERBS[operation],
                step="transfer" if address.part is LfsPart.OBJECT else "advertise",
                result=result,
                seconds=time.perf_counter() - started,
                bytes_in=call.body.received_bytes,
                bytes_out=call.reply.sent_bytes,
            )

    async def _answer(self, call: _Call) -> Result:
        try:
            if call.address.part is LfsPart.UNKNOWN:
                raise NotFound("There is nothing of Git LFS at this address.")
            handle = self._handlers[call.address.part].get(call.scope["method"])
            if handle is None:
                await self._refuse_method(call)
                return Result.REFUSED
            await handle(call)
        except ClientGone:
            raise
        except CairnError as error:
            if call.reply.is_started:
                raise  # the connection ends before the object does, so the client sees that it is not whole
            await _refuse(call.reply, error)
            return Result.FAILED if isinstance(error, Unavailable) else Result.REFUSED
        return Result.OK

    async def _refuse_method(self, call: _Call) -> None:
        allowed = ", ".join(self._handlers[call.address.part])
        body = _problem(f"This address takes {allowed}.")
        await call.reply.whole(body, MEDIA_TYPE, status=405, headers=[(b"allow", allowed.encode())])

    # Objects

    async def _batch(self, call: _Call) -> None:
        request = await self._read(call, BatchRequest)
        if request.hash_algo != "sha256":
            raise HashUnknown(f"Objects are named by sha256 here, not by {request.hash_algo[:40]!r}.")
        if "basic" not in request.transfers:
            raise Invalid("The only transfer offered here is basic.")
        target = await self._resolve(call, request.operation)
        is_upload = request.operation is Operation.UPLOAD
        async with self._database.read() as session:
            oids = {wanted.oid for wanted in request.objects}
            found = await find_objects(session, target.repository_id, oids)
            room = None
            if is_upload:
                room = await room_of(
                    session, self._settings, repository_id=target.repository_id, owner_id=target.scope.owner_id
                )
        if is_upload:
            await note_wanted(self._database, target.repository_id, found.values())
        links = _Links(self._settings, self._storage, target, call.authorization, self._count)
        objects = [
            await (links.download(wanted, found) if room is None else links.upload(wanted, found, room))
            for wanted in request.objects
        ]
        await _say(call.reply, BatchAnswer(objects))

    async def _put(self, call: _Call) -> None:
        size = _content_length(call.scope)
        target = await self._resolve(call, Operation.UPLOAD)
        incoming = Incoming(repository_id=target.repository_id, oid=call.address.id, size=size)
        with on_behalf_of(whose_share(target.actor, call.client)):
            async with self._places.hold(Kind.SHORT), call.body.while_present():
                try:
                    await receive_object(
                        self._database,
                        self._storage,
                        self._settings,
                        incoming,
                        call.body,
                        authorize=make_authorize(target.actor, target.repository_id),
                    )
                except (TooLarge, ObjectMismatch) as error:
                    self._count(_outcome_of(error))
                    raise
        self._count(Large.RECEIVED)
        await call.reply.whole(b"", MEDIA_TYPE)

    async def _get(self, call: _Call) -> None:
        target = await self._resolve(call, Operation.DOWNLOAD)
        async with self._database.read() as session:
            found = await find_object(session, target.repository_id, call.address.id)
        if found is None:
            self._count(Large.ABSENT)
            raise NotFound("This repository has no such object.")
        self._count(Large.SENT)
        start, end, status = 0, found.size, 200
        headers: Headers = [(b"accept-ranges", b"bytes"), (b"etag", b'"%s"' % found.oid.encode())]
        try:
            wanted = parse_range(header(call.scope, b"range").decode("latin-1"), found.size)
        except RangeOutside as outside:
            where = [(b"content-range", b"bytes */%d" % found.size)]
            await call.reply.whole(_problem(outside.message), MEDIA_TYPE, status=416, headers=where)
            return
        if wanted is not None:
            start, end, status = *wanted, 206
            headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, found.size)))
        headers += [(b"content-length", b"%d" % (end - start)), (b"content-disposition", b"attachment"), *NO_CACHE]
        async with call.body.while_present():
            pieces: AsyncIterator[bytes] = self._storage.stream(found.key, offset=start, size=end - start)
            await call.reply.chunks(pieces, _OCTETS[1], status=status, headers=headers)

    async def _verify(self, call: _Call) -> None:
        wanted = await self._read(call, WantedObject)
        target = await self._resolve(call, Operation.UPLOAD)
        async with self._database.read() as session:
            found = await find_object(session, target.repository_id, call.address.id)
        if found is None or wanted.oid != call.address.id:
            raise NotFound("This repository has no such object: its bytes did not arrive.")
        if found.size != wanted.size:
            raise Invalid(f"The object has {found.size:,} bytes, not {wanted.size:,}: the pointer is wrong.")
        await call.reply.whole(b"{}", MEDIA_TYPE)

    # Locks

    async def _lock(self, call: _Call) -> None:
        request = await self._read(call, LockRequest)
        target = await self._resolve(call, Operation.UPLOAD)
        authorize = make_authorize(target.actor, target.repository_id)
        async with self._database.write() as session:
            lock = await create_lock(session, authorize, target.repository_id, request.path)
        await _say(call.reply, {"lock": show_lock(lock)}, status=201)

    async def _list_locks(self, call: _Call) -> None:
        query = decode_locks_query(call.scope["query_string"])
        target = await self._resolve(call, Operation.DOWNLOAD)
        async with self._database.read() as session:
            page = await list_locks(
                session,
                target.repository_id,
                path=query.path,
                lock_id=query.id,
                cursor=query.cursor,
                limit=query.limit or LOCKS_AT_ONCE,
            )
        await _say(call.reply, show_all_locks(page))

    async def _verify_locks(self, call: _Call) -> None:
        question = await self._read(call, LocksQuestion)
        target = await self._resolve(call, Operation.UPLOAD)
        async with self._database.read() as session:
            page = await list_locks(
                session, target.repository_id, cursor=question.cursor, limit=question.limit or LOCKS_AT_ONCE
            )
        await _say(call.reply, show_locks(page, target.actor.account_id))

    async def _unlock(self, call: _Call) -> None:
        request = await self._read(call, UnlockRequest)
        target = await self._resolve(call, Operation.UPLOAD)
        authorize = make_authorize(target.actor, target.repository_id)
        async with self._database.write() as session:
            lock = await release_lock(session, authorize, target.repository_id, call.address.id, force=request.force)
        await _say(call.reply, {"lock": show_lock(lock)})

    async def _read(self, call: _Call, kind: type[S]) -> S:
        whole = bytearray()
        async for chunk in call.body:
            whole += chunk
            if len(whole) > BODY_BYTES_MAX:
                raise TooLarge(f"A request of LFS has at most {BODY_BYTES_MAX:,} bytes.")
        return cast("S", decode_body(bytes(whole), kind))

    async def _resolve(self, call: _Call, operation: Operation) -> GitTarget:
        """Return the repository if who asks may do the operation to it. Errors: as ``GitDoor.resolve``."""
        actor: Actor = ANONYMOUS
        try:
            credential, word = await self._credential(call, operation)
            target = await self._door.resolve(
                call.address.owner, call.address.name, credential, action=_ACTIONS[operation]
            )
            actor = target.actor
            refuse_wiki(target)
            if word is not None and word.repository_id != target.repository_id:
                raise BadCredentials("This credential was made for another repository.")
        finally:
            self._limits.count_git(actor, call.client)  # what was refused counts against its address
        if operation is Operation.UPLOAD:
            begin_push(target, transport="http" if word is None else "ssh", settings=self._settings)
        return target

    async def _credential(self, call: _Call, operation: Operation) -> tuple[Credential | None, Word | None]:
        if not is_word(call.authorization):
            return parse_authorization(call.authorization, address=call.client), None
        word = await self._words.read(call.authorization or "")
        if operation is Operation.UPLOAD and word.operation is not operation:
            raise BadCredentials("This credential was made for downloads.")
        return KeyCredential(word.fingerprint), word


class _Links:
    """Says of each object of a batch what its client may do with it."""

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        target: GitTarget,
        authorization: str | None,
        count: LargeObserver,
    ) -> None:
        self._settings = settings
        self._count = count
        self._storage = storage
        self._base = f"{settings.origin}/{quote(target.owner)}/{quote(target.name)}.git/info/lfs/objects"
        # A client that came by SSH has nothing else to show; any other repeats its own credential by itself, so that
        # no password or token stands in an answer.
        self._header = {"Authorization": authorization} if authorization and is_word(authorization) else {}
        self._is_authenticated = bool(self._header) or authorization is None

    async def download(self, wanted: WantedObject, found: dict[str, StoredObject]) -> BatchObject:
        """Return where to get an object, or why it cannot be had."""
        has = found.get(wanted.oid)
        if has is None:
            self._count(Large.ABSENT)
            return _refused(wanted, 404, "This repository has no such object.")
        if has.size != wanted.size:
            return _refused(wanted, 422, f"The object has {has.size:,} bytes, not {wanted.size:,}.")
        direct = None
        if self._settings.downloads == "direct":
            direct = await self._storage.signed_url(
                has.key,
                expires_seconds=LINK_SECONDS,
                content_type=_OCTETS[1].decode(),
                content_disposition="attachment",
            )
        if direct is not None:
            self._count(Large.LINKED)
        link = self._link(wanted.oid) if direct is None else Link(direct, {}, LINK_SECONDS)
        is_authenticated = self._is_authenticated or direct is not None
        return BatchObject(wanted.oid, wanted.size, is_authenticated, {"download": link})

    async def upload(self, wanted: WantedObject, found: dict[str, StoredObject], room: Room) -> BatchObject:
        """Return where to put an object and confirm it; nothing for one that the repository has."""
        has = found.get(wanted.oid)
        if has is not None and has.size != wanted.size:
            return _refused(wanted, 422, f"The object has {has.size:,} bytes, not {wanted.size:,}.")
        if has is not None:
            self._count(Large.HERE)
            return BatchObject(wanted.oid, wanted.size, self._is_authenticated)
        try:
            require_size(self._settings, wanted.size)
            room.take(wanted.size)
        except TooLarge as error:
            self._count(_outcome_of(error))
            return _refused(wanted, _status_of(error), error.message)
        actions = {"upload": self._link(wanted.oid), "verify": self._link(f"{wanted.oid}/verify")}
        return BatchObject(wanted.oid, wanted.size, self._is_authenticated, actions)

    def _link(self, path: str) -> Link:
        return Link(f"{self._base}/{path}", self._header)


def _refused(wanted: WantedObject, code: int, message: str) -> BatchObject:
    return BatchObject(wanted.oid, wanted.size, error=ObjectProblem(code, message))


def _operation_of(call: _Call) -> Operation:
    """Return what to count a request as, before anything of it is read."""
    is_read = call.scope["method"] == "GET"
    return Operation.DOWNLOAD if is_read or call.address.part is LfsPart.BATCH else Operation.UPLOAD


def _content_length(scope: Scope) -> int | None:
    text = header(scope, b"content-length")
    if header(scope, b"content-encoding") not in {b"", b"identity"}:
        raise Malformed("An object is sent as it is, without an encoding.")
    return int(text) if text.isdigit() else None


def _outcome_of(error: TooLarge | ObjectMismatch) -> Large:
    if isinstance(error, ObjectMismatch):
        return Large.MISMATCHED
    return Large.OVER_QUOTA if isinstance(error, QuotaExceeded) else Large.TOO_LARGE


def _status_of(error: CairnError) -> int:
    return 507 if isinstance(error, QuotaExceeded) else 422 if isinstance(error, TooLarge) else status_of(error)


def _problem(message: str, **more: object) -> bytes:
    body = {"message": message, "documentation_url": _DOCUMENTATION_URL, "request_id": current_origin().request_id}
    return msgspec.json.encode(more | body)


_DOCUMENTATION_URL = "https://github.com/git-lfs/git-lfs/tree/main/docs/api"


async def _refuse(reply: Reply, error: CairnError) -> None:
    status = _status_of(error)
    if status == 500:
        _log.error("lfs_failed", error=error.message, exc_info=error)
    headers: Headers = list(_CHALLENGES) if status == 401 else []
    if isinstance(error, RateLimited | Unavailable):
        headers.append((b"retry-after", b"%d" % error.retry_after_seconds))
    more = {"lock": show_lock(error.lock)} if isinstance(error, PathLocked) else {}
    await reply.whole(_problem(error.message, **more), MEDIA_TYPE, status=status, headers=headers)


async def _say(reply: Reply, answer: Any, *, status: int = 200) -> None:  # noqa: ANN401 (what msgspec encodes)
    await reply.whole(msgspec.json.encode(answer), MEDIA_TYPE, status=status)
