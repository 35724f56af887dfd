"""HTTP through the door, against real servers: what is refused is never connected to."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.factories.mail_server import make_certificate

from cairn.base.settings import Settings
from cairn.egress.addresses import IPAddress, parse_allow_list
from cairn.egress.door import AddressRefused, Door, HostUnknown
from cairn.egress.http import AnswerTooLarge, ConnectionFailed, HttpClient, open_http, tls_context

Say = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Server:
    """A server on a free port that answers as ``say`` does; ``heads`` are the requests it got."""

    say: Say
    port: int = 0
    heads: list[str] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.heads.append(head)
            await self.say(head, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(say: Say, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """Yield a running server."""
    server = Server(say)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def answer(text: str) -> Say:
    """Return what says one fixed answer."""

    async def say(head: str, writer: asyncio.StreamWriter) -> None:
        writer.write(text.replace("\n", "\r\n").encode())

    return say


def redirect(to: str, status: int = 302) -> Say:
    """Return what redirects."""
    return answer(f"HTTP/1.1 {status} Found\nLocation: {to}\nContent-Length: 0\n\n")


OK = answer("HTTP/1.1 200 OK\nContent-Length: 2\n\nok")


def client(*allow: str, names: dict[str, list[str]] | None = None) -> HttpClient:
    """Return a client with an allow list and a name service whose answers come in turn."""

    async def resolve(host: str, port: int) -> Sequence[IPAddress]:
        turns = (names or {})[host]
        return [ipaddress.ip_address(turns.pop(0) if len(turns) > 1 else turns[0])]

    return HttpClient(Door(parse_allow_list(allow), resolve=resolve), verify=ssl.create_default_context())


HERE = "127.0.0.0/8"


async def test_nothing_is_sent_to_a_private_address_by_default() -> None:
    async with serving(OK) as server:
        with pytest.raises(AddressRefused, match="CAIRN_EGRESS_ALLOW"):
            await open_http(Settings()).fetch("GET", f"http://127.0.0.1:{server.port}/")
        assert server.connections == 0


async def test_an_allowed_server_gets_the_hosts_name_and_answers() -> None:
    async with serving(OK) as server:
        here = client(HERE, names={"git.test": ["127.0.0.1"]})
        found, body = await here.fetch("GET", f"http://git.test:{server.port}/a?b=c", headers={"X-A": "1"})
        assert (found.status, body) == (200, b"ok")
        assert f"host: git.test:{server.port}" in server.heads[0].lower()
        assert server.heads[0].startswith("GET /a?b=c HTTP/1.1")
        assert "x-a: 1" in server.heads[0].lower()


async def test_a_name_that_changes_its_answer_gains_nothing() -> None:
    """Attack: DNS rebinding. The first answer is allowed, the second is not; each connection is checked by its own."""
    async with serving(OK) as server:
        here = client("127.0.0.1/32", names={"rebind.test": ["127.0.0.1", "127.0.0.2"]})
        await here.fetch("GET", f"http://rebind.test:{server.port}/")
        with pytest.raises(AddressRefused, match=r"127\.0\.0\.2"):
            await here.fetch("GET", f"http://rebind.test:{server.port}/")
        assert server.connections == 1


@pytest.mark.parametrize(
    "target",
    [
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "http://2130706433/",
        "//127.1/x",
        "file:///etc/passwd",
        "http://u:p@example.com/",
    ],
)
async def test_a_redirect_is_checked_like_the_first_address(target: str) -> None:
    async with serving(redirect(target)) as server:
        with pytest.raises(AddressRefused):
            await client(HERE).fetch("GET", f"http://127.0.0.1:{server.port}/")
        assert server.connections == 1


async def test_redirects_are_followed_and_counted() -> None:
    async with serving(OK) as end, serving(redirect(f"http://127.0.0.1:{end.port}/end")) as start:
        found, body = await client(HERE).fetch("GET", f"http://127.0.0.1:{start.port}/")
        assert (str(found.url), body) == (f"http://127.0.0.1:{end.port}/end", b"ok")
    async with serving(redirect("/again")) as loop:
        with pytest.raises(ConnectionFailed, match="more than 3"):
            await client(HERE).fetch("GET", f"http://127.0.0.1:{loop.port}/", redirects_max=3)
        assert loop.connections == 4
        found, _ = await client(HERE).fetch("GET", f"http://127.0.0.1:{loop.port}/", redirects_max=0)
        assert found.status == 302


async def test_credentials_do_not_follow_a_redirect_to_another_origin() -> None:
    async with serving(OK) as end, serving(redirect(f"http://127.0.0.1:{end.port}/")) as start:
        await client(HERE).fetch("GET", f"http://127.0.0.1:{start.port}/", headers={"Authorization": "Basic c2Vj"})
        assert "c2Vj" in start.heads[0]
        assert "c2Vj" not in end.heads[0]


async def test_a_post_is_repeated_only_where_that_is_meant() -> None:
    async with serving(OK) as end, serving(redirect(f"http://127.0.0.1:{end.port}/", 307)) as start:
        await client(HERE).fetch("POST", f"http://127.0.0.1:{start.port}/", content=b"{}")
        assert end.heads[0].startswith("POST / ")
    async with serving(redirect("/elsewhere", 302)) as start:
        found, _ = await client(HERE).fetch("POST", f"http://127.0.0.1:{start.port}/", content=b"{}")
        assert (found.status, start.connections) == (302, 1)


async def test_a_body_may_stream_but_is_never_sent_twice() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"gra", b"ni", b"te"):
            yield piece

    async def say(head: str, writer: asyncio.StreamWriter) -> None:
        assert "content-length: 7\r\n" in head.lower()
        assert "transfer-encoding" not in head.lower()
        writer.write(b"HTTP/1.1 307 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")

    async with serving(say) as server:
        url = f"http://127.0.0.1:{server.port}/x"
        headers = {"Content-Length": "7"}
        found, _ = await client(HERE).fetch("PUT", url, headers=headers, content=pieces(), redirects_max=0)
        assert (found.status, len(server.heads)) == (307, 1)
        with pytest.raises(AssertionError, match="cannot be sent again"):
            await client(HERE).fetch("PUT", url, content=pieces())


async def test_tls_is_spoken_to_the_name_and_not_downgraded(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "git.test")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    believed = tls_context(Settings(egress_ca_certificate=certificate))

    async def resolve(host: str, port: int) -> Sequence[IPAddress]:
        return [ipaddress.ip_address("127.0.0.1")]

    here = HttpClient(Door(parse_allow_list([HERE]), resolve=resolve), verify=believed)
    async with serving(OK, tls) as server:
        _, body = await here.fetch("GET", f"https://git.test:{server.port}/")
        assert body == b"ok"
        with pytest.raises(ConnectionFailed, match="certificate"):
            await here.fetch("GET", f"https://other.test:{server.port}/")
        with pytest.raises(ConnectionFailed, match="certificate"):
            await client(HERE).fetch("GET", f"https://127.0.0.1:{server.port}/")
    async with serving(redirect("http://git.test/"), tls) as server:
        with pytest.raises(AddressRefused, match="https to http"):
            await here.fetch("GET", f"https://git.test:{server.port}/")


async def test_a_body_ends_at_its_bound() -> None:
    async def endless(head: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async with serving(endless) as server:
        with pytest.raises(AnswerTooLarge, match="1,000,000"):
            await client(HERE).fetch("GET", f"http://127.0.0.1:{server.port}/", max_bytes=1_000_000)
    async with serving(answer("HTTP/1.1 200 OK\nContent-Length: 99999999\n\n")) as server:
        with pytest.raises(AnswerTooLarge):
            await client(HERE).fetch("GET", f"http://127.0.0.1:{server.port}/", max_bytes=10)


async def test_a_compressed_bomb_stays_as_it_came() -> None:
    """Attack: a small body that unfolds into gigabytes. It was not asked for and is not unfolded."""
    packed = "HTTP/1.1 200 OK\nContent-Encoding: gzip\nContent-Length: 4\n\n\x1f\x1f\x1f\x1f"
    async with serving(answer(packed)) as server:
        _, body = await client(HERE).fetch("GET", f"http://127.0.0.1:{server.port}/")
        assert body == b"\x1f" * 4
        assert "accept-encoding: identity" in server.heads[0].lower()


async def test_a_server_that_hangs_is_left_in_time() -> None:
    async def hang(head: str, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def drip(head: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    for say in (hang, drip):
        async with serving(say) as server:
            with pytest.raises(ConnectionFailed, match=r"within 0\.3 s"):
                await client(HERE).fetch("GET", f"http://127.0.0.1:{server.port}/", seconds=0.3)


@pytest.mark.parametrize(
    "text", ["", "SSH-2.0-OpenSSH\n", "HTTP/1.1 200 OK\nContent-Length: 5\n\nabc", "HTTP/1.1 99999\n\n", "\x00\xff\n\n"]
)
async def test_nonsense_is_an_error_with_a_name(text: str) -> None:
    async with serving(answer(text)) as server:
        with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1"):
            await client(HERE).fetch("GET", f"http://127.0.0.1:{server.port}/")


@pytest.mark.parametrize("header", [{"X-A": "é"}, {"X-é": "a"}, {"X-A": "a\r\nX-B: b"}, {"X A": "a"}])
async def test_a_header_that_another_server_asks_for_and_http_does_not_have_is_a_plain_refusal(
    header: dict[str, str],
) -> None:
    """Attack: an answer about Git LFS names headers that nobody can send; the job that asks must not die of them."""
    async with serving(OK) as server:
        with pytest.raises((AddressRefused, ConnectionFailed), match=r"127\.0\.0\.1"):
            await client(HERE).fetch("GET", f"http://127.0.0.1:{server.port}/", headers=header)
        assert server.heads == []


async def test_a_closed_port_is_an_error_with_a_name() -> None:
    async with serving(OK) as server:
        port = server.port
    with pytest.raises(ConnectionFailed, match=f"127.0.0.1:{port}"):
        await client(HERE).fetch("GET", f"http://127.0.0.1:{port}/")


async def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(OK) as server, serving(OK) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await client(HERE).fetch("GET", f"http://127.0.0.1:{server.port}/")
        assert (server.connections, proxy.connections) == (1, 0)


async def test_a_host_nobody_knows_is_an_error_with_its_name() -> None:
    async def resolve(host: str, port: int) -> Sequence[IPAddress]:
        raise OSError

    with pytest.raises(HostUnknown, match=r"nowhere\.example"):
        await HttpClient(Door(parse_allow_list([]), resolve=resolve), verify=ssl.create_default_context()).fetch(
            "GET", "https://nowhere.example/"
        )
