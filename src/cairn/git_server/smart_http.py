"""Git over HTTP as a plain ASGI app: the hot path has no framework in it.

``SmartHttp.front`` stands among the web program's fronts and takes the addresses that are git's. Who may not see a
repository gets 401 while anonymous (signing in may help, whether or not there is such a repository) and 404 when signed
in. Errors before the protocol starts are statuses with plain text, which git prints; later ones are said inside the
protocol, because git hides the bodies of failed requests. Source: gitprotocol-http(5).
"""

import functools
import time
from contextlib import aclosing
from urllib.parse import quote

from cairn.access.actions import Action
from cairn.base.actor import ANONYMOUS
from cairn.base.errors import CairnError, TooLarge, Unavailable
from cairn.base.log import get_logger
from cairn.base.settings import Settings
from cairn.git.bundles import BUNDLE_COMMAND, bundle_uri, list_bundles, stream_bundle
from cairn.git.engine import Engine
from cairn.git.fetch_cache import Answer
from cairn.git.pktline import PktReader, encode_lines
from cairn.git.places import on_behalf_of
from cairn.git.receive_pack import read_push_request
from cairn.git.upload_pack import read_v2_request, v2_advertisement
from cairn.git_server.answers import Reply
from cairn.git_server.observer import GitObserver, Result, unobserved
from cairn.git_server.request_body import ClientGone, RequestBody
from cairn.git_server.requests import GitAddress, Part, Verb, parse_address, requested_version
from cairn.identity.authenticate import BadCredentials
from cairn.identity.credentials import parse_authorization
from cairn.repositories.accept_push import TransportClosed, begin_push, push_by
from cairn.repositories.git_access import GitDoor, GitTarget
from cairn.web.asgi import ASGIApp, Receive, Scope, Send
from cairn.web.rate_limits import RateLimits, whose_share

_ACTIONS = {Verb.FETCH: Action.REPOSITORY_READ, Verb.PUSH: Action.REPOSITORY_PUSH}
_ANNOUNCEMENTS = {verb: encode_lines([b"# service=" + verb.value.encode() + b"\n"]) for verb in Verb}
_ADVERTISEMENTS = {verb: f"application/x-{verb.value}-advertisement".encode() for verb in Verb}
_REQUESTS = {verb: f"application/x-{verb.value}-request".encode() for verb in Verb}
_RESULTS = {verb: f"application/x-{verb.value}-result".encode() for verb in Verb}
_QUERIES = {b"service=" + verb.value.encode(): verb for verb in (Verb.FETCH, Verb.PUSH)}
_METHODS = {
    Part.REFS: ("GET", "HEAD"),
    Part.FETCH: ("POST",),
    Part.PUSH: ("POST",),
    Part.BUNDLE: ("GET",),
    Part.DUMB: ("GET", "HEAD"),
}
_log = get_logger(__name__)


class RequestTooLarge(TooLarge):
    """A fetch request is larger than requests without a pack may be."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__(f"this request has more than {bytes_max:,} bytes (CAIRN_MAX_REQUEST_BYTES)")


class SmartHttp:
    """Serves git's addresses for one web program."""

    def __init__(
        self,
        *,
        settings: Settings,
        engine: Engine,
        door: GitDoor,
        limits: RateLimits | None = None,
        observe: GitObserver = unobserved,
    ) -> None:
        self._settings = settings
        self._limits = limits or RateLimits(settings)
        self._engine = engine
        self._door = door
        self._observe = observe

    def front(self, scope: Scope) -> ASGIApp | None:
        """Return the app for a request if its address is git's, else None."""
        address = parse_address(scope["path"])
        return None if address is None else functools.partial(self._serve, address)

    async def _serve(self, address: GitAddress, scope: Scope, receive: Receive, send: Send) -> None:
        scope["path_template"] = f"/{{owner}}/{{repo}}/{address.part}"
        reply = Reply(scope, send)
        if address.part is Part.DUMB:
            await _refuse_dumb(reply)
        elif scope["method"] not in _METHODS[address.part]:
            allowed = ", ".join(_METHODS[address.part])
            await reply.text(405, f"This address takes {allowed}.", [(b"allow", allowed.encode())])
        elif address.part is Part.REFS:
            await self._advertise(address, scope, reply)
        elif address.part is Part.BUNDLE:
            await self._bundle(address, scope, receive, reply)
        else:
            await self._transfer(address, scope, receive, reply)

    async def _advertise(self, address: GitAddress, scope: Scope, reply: Reply) -> None:
        query: bytes = scope["query_string"]
        verb = _QUERIES.get(query) or next((_QUERIES[part] for part in query.split(b"&") if part in _QUERIES), None)
        if verb is None:
            await _refuse_dumb(reply)
            return
        started = time.perf_counter()
        result = Result.FAILED
        try:
            headers = _Headers(scope)
            target = await self._resolve(address, verb, headers, scope)
            if target.was_renamed:
                await _redirect(reply, target, verb)
            else:
                # Here git shows why; of a refused request that carries a pack it would hide the reason.
                self._engine.runner.require_room()
                await reply.whole(await self._advertisement(target, verb, headers), _ADVERTISEMENTS[verb])
            result = Result.OK
        except CairnError as error:
            result = _result_of(error)
            await reply.refuse(error)
        finally:
            self._observe(
                door="http",
                verb=verb,
                step="advertise",
                result=result,
                seconds=time.perf_counter() - started,
                bytes_in=0,
                bytes_out=reply.sent_bytes,
            )

    async def _advertisement(self, target: GitTarget, verb: Verb, headers: "_Headers") -> bytes:
        if verb is Verb.PUSH:
            return _ANNOUNCEMENTS[verb] + await self._engine.receive.advertisement(target.state)
        version = requested_version(headers.protocol)
        if version == 2:
            return v2_advertisement()
        return _ANNOUNCEMENTS[verb] + await self._engine.upload.advertisement_v0(target.state, version=version)

    async def _transfer(self, address: GitAddress, scope: Scope, receive: Receive, reply: Reply) -> None:
        verb = Verb(address.part.value)
        headers = _Headers(scope)
        body = RequestBody(
            receive,
            is_gzip=headers.encoding in {"gzip", "x-gzip"},
            grace_seconds=self._settings.body_deadline_seconds,
        )
        started = time.perf_counter()
        result = Result.FAILED
        try:
            result = await self._converse(address, verb, headers, scope, body, reply)
        except ClientGone:
            result = Result.GONE
            await reply.part()
        finally:
            self._observe(
                door="http",
                verb=verb,
                step="transfer",
                result=result,
                seconds=time.perf_counter() - started,
                bytes_in=body.received_bytes,
                bytes_out=reply.sent_bytes,
            )

    async def _bundle(self, address: GitAddress, scope: Scope, receive: Receive, reply: Reply) -> None:
        """Send today's bundle of the repository; who may clone it may have it."""
        started = time.perf_counter()
        result = Result.FAILED
        try:
            target = await self._resolve(address, Verb.FETCH, _Headers(scope), scope)
            self._engine.runner.require_room()
            body = RequestBody(receive, is_gzip=False, grace_seconds=self._settings.body_deadline_seconds)
            with on_behalf_of(whose_share(target.actor, _address_of(scope))):
                async with body.while_present(), aclosing(stream_bundle(self._engine, target.state)) as pieces:
                    await reply.chunks(pieces, b"application/x-git-bundle")
            result = Result.OK
        except ClientGone:
            result = Result.GONE
            await reply.part()
        except CairnError as error:
            result = _result_of(error)
            if reply.is_started:
                raise  # the connection ends before the file does, so the client sees that it is not whole
            await reply.refuse(error)
        finally:
            self._observe(
                door="http",
                verb=Verb.FETCH,
                step="transfer",
                result=result,
                seconds=time.perf_counter() - started,
                bytes_in=0,
                bytes_out=reply.sent_bytes,
            )

    async def _converse(
        self, address: GitAddress, verb: Verb, headers: "_Headers", scope: Scope, body: RequestBody, reply: Reply
    ) -> Result:
        """Answer one POST. What fails before the repository is found is a status, what fails later git's own words."""
        if headers.content_type != _REQUESTS[verb]:
            await reply.text(415, f"This address takes a body of type {_REQUESTS[verb].decode()}.")
            return Result.REFUSED
        if headers.encoding not in {"", "identity", "gzip", "x-gzip"}:
            await reply.text(415, "The body's encoding is not offered: send it plain or as gzip.")
            return Result.REFUSED
        try:
            target = await self._resolve(address, verb, headers, scope)
        except CairnError as error:
            await reply.refuse(error)
            return _result_of(error)
        try:
            with on_behalf_of(whose_share(target.actor, _address_of(scope))):
                async with body.while_present():
                    if verb is Verb.PUSH:
                        await self._push(target, body, reply)
                    else:
                        await self._fetch(target, requested_version(headers.protocol), body, reply)
        except ClientGone:
            raise
        except CairnError as error:
            if isinstance(error, Unavailable):
                _log.warning("git_failed", verb=verb.value, store_id=target.store_id, error=error.message)
            await reply.explain(error.message, _RESULTS[verb], in_side_band=verb is Verb.PUSH)
            return _result_of(error)
        except Exception:
            _log.exception("git_failed", verb=verb.value, store_id=target.store_id)
            sentence = "The server failed to answer; this is our fault, and it has been logged."
            await reply.explain(sentence, _RESULTS[verb], in_side_band=verb is Verb.PUSH)
            return Result.FAILED
        return Result.OK

    async def _fetch(self, target: GitTarget, version: int, body: RequestBody, reply: Reply) -> None:
        content_type = _RESULTS[Verb.FETCH]
        upload = self._engine.upload
        if version < 2:
            whole = await self._read_all(body)
            async with upload.serve_stateless_v0(target.state, whole, version=version) as flight:
                await reply.answer(flight, content_type)
            return
        reader = PktReader(body, max_bytes=self._settings.max_request_bytes)
        request = await read_v2_request(reader)
        if request is None:
            await reply.whole(b"", content_type)
            return
        if request.command == BUNDLE_COMMAND:
            uri = bundle_uri(self._settings.origin, target.full_name)
            await reply.whole(await list_bundles(self._engine, target.state, uri), content_type)
            return
        answer: Answer
        async with upload.serve_v2(target.state, request) as answer:
            await reply.answer(answer, content_type)

    async def _push(self, target: GitTarget, body: RequestBody, reply: Reply) -> None:
        reader = PktReader(body, max_bytes=self._settings.max_request_bytes)
        request = await read_push_request(reader, self._settings)
        if request is None:
            # git asks with an empty request whether it is let in before it sends a large pack.
            await reply.whole(b"", _RESULTS[Verb.PUSH])
            return
        by = push_by(target, settings=self._settings)
        async with aclosing(self._engine.receive.receive(target.state, request, reader.rest(), by)) as report:
            await reply.chunks(report, _RESULTS[Verb.PUSH])

    async def _read_all(self, body: RequestBody) -> bytes:
        whole = bytearray()
        async for chunk in body:
            whole += chunk
            if len(whole) > self._settings.max_request_bytes:
                raise RequestTooLarge(self._settings.max_request_bytes)
        return bytes(whole)

    async def _resolve(self, address: GitAddress, verb: Verb, headers: "_Headers", scope: Scope) -> GitTarget:
        client = _address_of(scope)
        actor = ANONYMOUS
        try:
            credential = parse_authorization(headers.authorization, address=client)
            target = await self._door.resolve(address.owner, address.name, credential, action=_ACTIONS[verb])
            actor = target.actor
        except BadCredentials as refused:
            raise BadCredentials(
                f"{refused.message.rstrip('.')}. Use your password, or a personal token in its place: "
                f"{self._settings.origin}/settings/tokens"
            ) from None
        finally:
            self._limits.count_git(actor, client)  # what was refused counts against its address
        if verb is Verb.PUSH:
            try:
                begin_push(target, transport="http", settings=self._settings)
            except TransportClosed as closed:
                raise TransportClosed(f"{closed.message} {self._settings.ssh_origin}/{target.full_name}.git") from None
        return target


class _Headers:
    """The request headers that matter here, found in one pass."""

    __slots__ = ("authorization", "content_type", "encoding", "protocol")

    def __init__(self, scope: Scope) -> None:
        self.authorization: str | None = None
        self.content_type = b""
        self.encoding = ""
        self.protocol = ""
        for name, value in scope["headers"]:
            if name == b"authorization":
                self.authorization = value.decode("latin-1")
            elif name == b"content-type":
                self.content_type = value
            elif name == b"content-encoding":
                self.encoding = value.decode("latin-1").strip().lower()
            elif name == b"git-protocol":
                self.protocol = value.decode("latin-1")


def _address_of(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


async def _refuse_dumb(reply: Reply) -> None:
    await reply.text(403, "Dumb HTTP is not offered here: use a git client of 1.6.6 or later, with smart HTTP.")


async def _redirect(reply: Reply, target: GitTarget, verb: Verb) -> None:
    """Send the client to the present name; git asks there for everything that follows."""
    where = f"/{quote(target.full_name)}.git/info/refs?service={verb.value}"
    await reply.text(301, f"This repository is now {target.full_name}.", [(b"location", where.encode("ascii"))])


def _result_of(error: CairnError) -> Result:
    return Result.FAILED if isinstance(error, Unavailable) else Result.REFUSED
