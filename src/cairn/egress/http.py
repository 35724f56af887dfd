"""HTTP through the door: every connection, also after a redirect, goes to an address that was checked for it.

The check sits where connections are made (``_CheckedConnections``), so nothing can pass beside it; name service and
connection are one step. No proxy, no credential and no cookie comes from the environment.
"""

import asyncio
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpcore2
import httpx2

from cairn import __version__
from cairn.base.errors import Unavailable
from cairn.base.settings import MIB, Settings
from cairn.egress.door import HTTP_SCHEMES, AddressRefused, CheckedUrl, Door, open_door, parse_url

SECONDS = 30.0
CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 30.0
BODY_BYTES_MAX = MIB
REDIRECTS_MAX = 5
USER_AGENT = f"cairn/{__version__}"

Content = bytes | AsyncIterable[bytes] | None
"""The body of a request. One that streams is sent once: its request follows no redirect (``redirects_max`` 0)."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAFE_METHODS = frozenset({"GET", "HEAD"})
_OF_ONE_ORIGIN = frozenset({"authorization", "cookie", "proxy-authorization"})


class ConnectionFailed(Unavailable):
    """The other side was not reached, broke off, was too slow or spoke nonsense; the message says which."""


class AnswerTooLarge(ConnectionFailed):
    """The other side sent more than was asked for."""


class Answer:
    """What came back: status and headers, and the body as long as the block is open."""

    def __init__(self, response: httpx2.Response, url: CheckedUrl) -> None:
        self._response = response
        self.url = url
        """Where the answer came from, after redirects."""
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def chunks(self, *, max_bytes: int) -> AsyncIterator[bytes]:
        """Yield the body as it was sent. Errors: AnswerTooLarge as soon as it has more bytes; ConnectionFailed."""
        announced = self.headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > max_bytes:
            raise self._too_large(max_bytes)
        taken = 0
        with _explained(self.url):
            async for chunk in self._response.aiter_raw():
                taken += len(chunk)
                if taken > max_bytes:
                    raise self._too_large(max_bytes)
                yield chunk

    async def read(self, *, max_bytes: int = BODY_BYTES_MAX) -> bytes:
        """Return the whole body. Errors: as ``chunks``."""
        return b"".join([chunk async for chunk in self.chunks(max_bytes=max_bytes)])

    def _too_large(self, max_bytes: int) -> AnswerTooLarge:
        return AnswerTooLarge(f"{self.url.host} sent an answer of more than {max_bytes:,} bytes.")


class HttpClient:
    """Makes requests through the door; keeps no connection and no cookie between them."""

    def __init__(self, door: Door, *, verify: ssl.SSLContext) -> None:
        self._door = door
        self._verify = verify

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: Content = None,
        redirects_max: int = REDIRECTS_MAX,
        seconds: float = SECONDS,
    ) -> AsyncIterator[Answer]:
        """Yield the answer to one request; ``seconds`` covers it with redirects and everything done in the block.

        A redirect is checked like the first address, never leads from https to http, and takes no credentials to
        another origin. Only 307 and 308 repeat a request that is not GET or HEAD; after the others the redirect is
        the answer, as it is beyond ``redirects_max`` if that is 0.
        Errors: AddressRefused, HostUnknown, ConnectionFailed.
        """
        assert content is None or isinstance(content, bytes) or not redirects_max, "a stream cannot be sent again"
        checked = parse_url(url, schemes=HTTP_SCHEMES)
        sent = _headers_for(checked, headers or {})
        try:
            async with asyncio.timeout(seconds) as deadline:
                for turn in range(redirects_max + 1):
                    async with self._once(method, checked, sent, content) as answer:
                        target = _redirect_of(answer, method) if redirects_max else None
                        if target is None:
                            yield answer
                            return
                    if turn == redirects_max:
                        break
                    if _origin(target) != _origin(checked):
                        for name in _OF_ONE_ORIGIN & set(sent):
                            del sent[name]
                    checked = target
        except TimeoutError:
            if deadline.expired():
                raise ConnectionFailed(f"{checked.host} did not answer within {seconds:g} s.") from None
            raise
        raise ConnectionFailed(f"{parse_url(url).host} redirects more than {redirects_max} times.")

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: Content = None,
        redirects_max: int = REDIRECTS_MAX,
        seconds: float = SECONDS,
        max_bytes: int = BODY_BYTES_MAX,
    ) -> tuple[Answer, bytes]:
        """Return an answer and its whole body. Errors: as ``request`` and ``Answer.read``."""
        async with self.request(
            method, url, headers=headers, content=content, redirects_max=redirects_max, seconds=seconds
        ) as answer:
            return answer, await answer.read(max_bytes=max_bytes)

    @asynccontextmanager
    async def _once(
        self, method: str, url: CheckedUrl, headers: httpx2.Headers, content: Content
    ) -> AsyncIterator[Answer]:
        request = httpx2.Request(
            method,
            str(url),
            headers=headers,
            content=content,
            extensions={
                "timeout": {
                    "connect": CONNECT_SECONDS,
                    "read": SILENCE_SECONDS,
                    "write": SILENCE_SECONDS,
                    "pool": CONNECT_SECONDS,
                }
            },
        )
        if request.url.host.strip("[]") != url.host:
            raise AddressRefused(f"{url.host!r} is not the usual spelling of a host's name or address.")
        async with _Transport(self._door, self._verify) as transport:
            with _explained(url):
                response = await transport.handle_async_request(request)
            try:
                yield Answer(response, url)
            finally:
                await response.aclose()


def open_http(settings: Settings) -> HttpClient:
    """Return the HTTP client of this installation."""
    return HttpClient(open_door(settings), verify=tls_context(settings))


def tls_context(settings: Settings) -> ssl.SSLContext:
    """Return whose certificates are believed: the operator's authorities, or the system's."""
    given = settings.egress_ca_certificate
    return ssl.create_default_context(cafile=None if given == Path() else str(given))


class _CheckedConnections(httpcore2.AsyncNetworkBackend):
    """Connects to the addresses the door checked for a host, in their order, and to nothing else."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        target = await self._door.open_host(host, port)
        failed: Exception = httpcore2.ConnectError(f"{host} has no address")
        for address in target.addresses:
            try:
                return await self._network.connect_tcp(
                    str(address), port, timeout=timeout, local_address=local_address, socket_options=socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore2.AsyncNetworkStream:
        raise AddressRefused(f"Cairn does not connect to {path!r}.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Transport(httpx2.AsyncBaseTransport):
    """One connection through the door. httpx's own transport has no parameter for where connections are made."""

    def __init__(self, door: Door, verify: ssl.SSLContext) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=verify, max_connections=1, network_backend=_CheckedConnections(door)
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        response = await self._pool.handle_async_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx2.Response(
            response.status, headers=response.headers, stream=_Body(response), extensions=response.extensions
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.aiter_stream():
            yield chunk

    async def aclose(self) -> None:
        await self._response.aclose()


class _explained:  # noqa: N801 (used like a function)
    """Turns what a connection can die of into ConnectionFailed with the host's name."""

    def __init__(self, url: CheckedUrl) -> None:
        self._url = url

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        place = f"{self._url.host}:{self._url.port}"
        if isinstance(error, httpcore2.ConnectTimeout | httpcore2.PoolTimeout):
            raise ConnectionFailed(f"{place} did not take the connection within {CONNECT_SECONDS:g} s.") from error
        if isinstance(error, httpcore2.TimeoutException):
            raise ConnectionFailed(f"{place} was silent for {SILENCE_SECONDS:g} s.") from error
        if isinstance(error, httpcore2.ConnectError):
            raise ConnectionFailed(f"{place} could not be reached: {_reason(error)}.") from error
        if isinstance(error, httpcore2.NetworkError | httpcore2.ProtocolError | httpx2.HTTPError | OSError):
            raise ConnectionFailed(f"{place} broke off the connection or does not speak HTTP.") from error


def _reason(error: BaseException) -> str:
    cause = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not believed ({cause.verify_message})"
    if isinstance(cause, ssl.SSLError):
        return "it does not speak TLS as we do"
    return "nobody listens there" if isinstance(cause, ConnectionRefusedError) else "the connection failed"


def _headers_for(url: CheckedUrl, headers: Mapping[str, str]) -> httpx2.Headers:
    """Return what a request says; some of it another server may have asked for. Errors: AddressRefused."""
    try:
        return httpx2.Headers({"user-agent": USER_AGENT, "accept-encoding": "identity"} | dict(headers))
    except UnicodeEncodeError:
        raise AddressRefused(f"Cairn does not ask {url.host} with a header that is not ASCII.") from None


def _origin(url: CheckedUrl) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port


def _redirect_of(answer: Answer, method: str) -> CheckedUrl | None:
    """Return where an answer sends the request; None if it is to be taken as it is. Errors: AddressRefused."""
    location = answer.headers.get("location", "")
    if answer.status not in _REDIRECTS or not location:
        return None
    if method not in _SAFE_METHODS and answer.status not in {307, 308}:
        return None
    target = parse_url(urljoin(str(answer.url), location), schemes=HTTP_SCHEMES)
    if answer.url.scheme == "https" and target.scheme == "http":
        raise AddressRefused(f"{answer.url.host} redirects from https to http, which Cairn does not follow.")
    return target
