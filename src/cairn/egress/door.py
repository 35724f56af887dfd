"""The check every outgoing connection passes: spelling, scheme, port, resolution, address.

What comes out is a ``Target`` with the addresses that were checked; whoever connects, connects to those and never asks
the name service again (a second answer could be another one).
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from urllib.parse import SplitResult, urlsplit

import idna

from cairn.base.errors import Invalid, Unavailable
from cairn.base.settings import PORT_MAX, Settings
from cairn.egress.addresses import AllowList, IPAddress, allow_list_of

HTTP_SCHEMES = frozenset({"http", "https"})
GIT_SCHEMES = frozenset({"http", "https", "ssh"})
DEFAULT_PORTS = {"http": 80, "https": 443, "ssh": 22}
RESOLVE_SECONDS = 10.0
RESOLVING_MAX = 16
ADDRESSES_MAX = 16
URL_LENGTH_MAX = 2000

_PORTS_BELOW_1024 = frozenset({22, 80, 443})
# Services that would take a request of ours for commands of theirs.
_PORTS_REFUSED = frozenset({1719, 1720, 1723, 2049, 3306, 3659, 4045, 5060, 5061, 5432, 6000, 6379, 6566, 10080, 11211})
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f\\]")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

Resolve = Callable[[str, int], Awaitable[Sequence[IPAddress]]]
"""Asks the name service for all addresses of a host; OSError if there is none."""


class AddressRefused(Invalid):
    """Cairn does not connect there; the message names the host and, where one helps, the operator's setting."""


class HostUnknown(Unavailable):
    """The name service has no address for the host, or does not answer."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a connection goes: the host as it is told to the other side, and the addresses that were checked."""

    host: str
    port: int
    addresses: tuple[IPAddress, ...]


@dataclass(frozen=True, slots=True)
class CheckedUrl:
    """An address whose spelling is beyond doubt: host in ASCII and lower case, no credentials.

    ``user`` is an SSH user; ``rest`` is path and query as given, beginning with a slash.
    """

    scheme: str
    host: str
    port: int
    rest: str
    user: str = ""

    @property
    def is_default_port(self) -> bool:
        """True if the port goes without saying."""
        return self.port == DEFAULT_PORTS[self.scheme]

    def __str__(self) -> str:
        """Return the address in its one spelling."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"{self.scheme}://{user}{host}{'' if self.is_default_port else f':{self.port}'}{self.rest}"


class SystemResolver:
    """Asks the machine's name service, each time in a thread of its own, which nobody can end before it answers.

    So there are at most RESOLVING_MAX of them; who finds none free waits, by the caller's deadline. One that is left
    behind keeps neither others from the threads of this program nor the program from ending.
    """

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(RESOLVING_MAX)

    async def __call__(self, host: str, port: int) -> list[IPAddress]:
        """Return all addresses of a host. Errors: OSError, UnicodeError."""
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[IPAddress]] = loop.create_future()

        def finish(found: list[IPAddress] | OSError | UnicodeError) -> None:
            self._free.release()
            if answer.done():
                return
            if isinstance(found, list):
                answer.set_result(found)
            else:
                answer.set_exception(found)

        def ask() -> None:
            found = _addresses_of(host, port)
            with suppress(RuntimeError):  # the program ended meanwhile
                loop.call_soon_threadsafe(finish, found)

        Thread(target=ask, name="cairn-resolve", daemon=True).start()
        return await answer


def _addresses_of(host: str, port: int) -> list[IPAddress] | OSError | UnicodeError:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return error
    return list(dict.fromkeys(ipaddress.ip_address(item[4][0]) for item in found))


class Door:
    """Checks where connections go, by the operator's allow list and this node's name service."""

    def __init__(self, allow: AllowList, *, resolve: Resolve | None = None) -> None:
        self._allow = allow
        self._resolve = resolve or SystemResolver()

    async def open(self, url: CheckedUrl) -> Target:
        """Return the checked target of an address. Errors: AddressRefused, HostUnknown."""
        return await self.open_host(url.host, url.port)

    async def open_host(self, host: str, port: int) -> Target:
        """Return host and port with addresses that Cairn may connect to; one refused answer refuses the host.

        Errors: AddressRefused, HostUnknown.
        """
        host = normal_host(host)
        literal = _literal(host)
        addresses = [literal] if literal is not None else await self._ask(host, port)
        if self._allow.allows_host(host):
            return Target(host, port, tuple(addresses))
        for address in addresses:
            meaning = self._allow.refusal(address)
            if meaning:
                place = f"{host} is" if literal is not None else f"{host} has the address {address}:"
                raise AddressRefused(
                    f"Cairn does not connect to {host}: {place} {meaning}. "
                    "An operator may allow hosts and networks with CAIRN_EGRESS_ALLOW."
                )
        if all(self._allow.allows_address(address) for address in addresses):
            return Target(host, port, tuple(addresses))
        if (port < 1024 and port not in _PORTS_BELOW_1024) or port in _PORTS_REFUSED:
            raise AddressRefused(
                f"Cairn does not connect to port {port} of {host}: ports for this are 22, 80, 443 and most from 1024 "
                "on. An operator may allow hosts and networks with CAIRN_EGRESS_ALLOW."
            )
        return Target(host, port, tuple(addresses))

    async def _ask(self, host: str, port: int) -> list[IPAddress]:
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                addresses = list(await self._resolve(host, port))
        except TimeoutError:
            raise HostUnknown(f"The name service did not say within {RESOLVE_SECONDS:g} s where {host} is.") from None
        except (OSError, UnicodeError):
            raise HostUnknown(f"There is no host {host}: the name service knows no address for it.") from None
        if not addresses:
            raise HostUnknown(f"There is no host {host}: the name service knows no address for it.")
        return addresses[:ADDRESSES_MAX]


def open_door(settings: Settings) -> Door:
    """Return the door of this installation."""
    return Door(allow_list_of(settings))


def parse_url(text: str, *, schemes: Collection[str] = HTTP_SCHEMES) -> CheckedUrl:
    """Return an address that can be read in one way only. Errors: AddressRefused says what is wrong with it.

    Credentials are refused: whoever has some hands them over beside the address. SSH may name its user.
    """
    if len(text) > URL_LENGTH_MAX:
        raise AddressRefused(f"The address is longer than {URL_LENGTH_MAX:,} characters.")
    if _FORBIDDEN.search(text):
        raise AddressRefused("The address has blanks, backslashes or control characters.")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise AddressRefused("The address cannot be read; it wants SCHEME://HOST/PATH.") from None
    scheme = parts.scheme.lower()
    if scheme not in schemes:
        raise AddressRefused(f"The address must start with {_either(schemes)}.")
    user = _user(parts, scheme)
    host = normal_host(parts.hostname or "", bracketed="[" in parts.netloc)
    if parts.netloc.endswith(":") or port == 0 or (port or 0) > PORT_MAX:
        raise AddressRefused("The address has a port that does not exist.")
    path = parts.path or "/"
    rest = f"{path}?{parts.query}" if parts.query else path
    return CheckedUrl(scheme, host, port or DEFAULT_PORTS[scheme], rest, user)


def normal_host(host: str, *, bracketed: bool | None = None) -> str:
    """Return the host's one spelling: ASCII, lower case, without a dot at its end. Errors: AddressRefused."""
    shown = host[:100]
    if bracketed or (bracketed is None and ":" in host):
        try:
            return str(ipaddress.IPv6Address(host.lower())) if "%" not in host else _refuse_host(shown)
        except ValueError:
            _refuse_host(shown)
    if not host.isascii():
        try:
            host = idna.encode(host, uts46=True, transitional=False).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            _refuse_host(shown)
    host = host.lower().removesuffix(".")
    labels = host.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            # What ends in a number is an address; other spellings of it (octal, hexadecimal, short) mean different
            # machines to different programs.
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            _refuse_host(shown)
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        _refuse_host(shown)
    return host


def _refuse_host(shown: str) -> str:
    raise AddressRefused(f"{shown!r} is not the usual spelling of a host's name or address.")


def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _user(parts: SplitResult, scheme: str) -> str:
    if "@" not in parts.netloc:
        return ""
    user = parts.netloc.rpartition("@")[0]
    if scheme == "ssh" and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", user):
        return user
    raise AddressRefused(
        "The address holds a user or password; leave them out of it and give them in their own fields."
    )


def _either(schemes: Collection[str]) -> str:
    words = [f"{scheme}://" for scheme in sorted(schemes)]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
