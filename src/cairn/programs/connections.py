"""Keeps the connections of one program in bounds that its HTTP server does not know: how many, and how slow.

The server accepts connections and writes answers outside Python, files among them, so the kernel is asked instead: it
knows of every connection who is at the other end, how much that one has taken, and for how long nothing has moved.
Whose request is being worked on, the program itself knows. A connection is closed when

- its client has sent nothing at all for some seconds after connecting,
- its client takes an answer more slowly than 4 KiB a second, a minute of patience used up, or takes hours over it,
- its address has more connections than one address may have, or there are too many in all: then those go first that
  wait for nothing and did nothing for the longest time.
"""

import asyncio
import fcntl
import ipaddress
import os
import socket
import stat
import struct
import termios
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from cairn.base.log import get_logger
from cairn.web.rate_limits import network_of

LOOK_SECONDS = 0.5
SEND_BYTES_PER_SECOND_MIN = 4 << 10
TRANSFER_SECONDS_MAX = 6 * 3600.0
"""No answer takes longer; packs are kept for longer than that after nobody needs them any more."""

_ESTABLISHED_STATES = frozenset({1, 8})  # TCP_ESTABLISHED, TCP_CLOSE_WAIT
_TCP_INFO_BYTES = 136
_SIOCOUTQ = termios.TIOCOUTQ
_log = get_logger(__name__)


Peer = tuple[str, int]
"""Address and port of a client's end; an IPv4 address is never written as an IPv6 one."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one connection. ``unsent_bytes`` were written and have not arrived."""

    inode: int
    address: str
    received_bytes: int
    taken_bytes: int
    unsent_bytes: int
    idle_seconds: float
    is_asking: bool = False
    """A request is being worked on: however long nothing moved, its client waits for the answer."""


@dataclass(slots=True)
class _Known:
    since: float
    looked_at: float
    taken_bytes: int
    patience: float
    sending_since: float | None = None


class ConnectionGuard:
    """Decides which connections must go; ``look`` and ``close`` are the kernel's side of it."""

    def __init__(
        self,
        *,
        per_address: int,
        total: int,
        silent_seconds: float,
        grace_seconds: float,
        is_trusted: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._per_address = per_address
        self._total = total
        self._silent_seconds = silent_seconds
        self._grace_seconds = grace_seconds
        self._is_trusted = is_trusted
        self._known: dict[int, _Known] = {}
        self.counts: Counter[str] = Counter()
        """Connections closed since the start, by the reason: ``silent``, ``slow``, ``long``, ``address``, ``total``."""

    def judge(self, connections: Sequence[Seen], now: float) -> dict[int, str]:
        """Return the connections to close, by inode, with the reason. ``now`` is monotonic seconds."""
        self._known = {seen.inode: self._note(seen, now) for seen in connections}
        doomed: dict[int, str] = {}
        for seen in connections:
            reason = self._reason(seen, self._known[seen.inode], now)
            if reason:
                doomed[seen.inode] = reason
        left = [seen for seen in connections if seen.inode not in doomed]
        by_address: defaultdict[str, list[Seen]] = defaultdict(list)
        for seen in left:
            # Asked of the address itself: an IPv6 network is no proxy.
            if not self._is_trusted(seen.address):
                by_address[network_of(seen.address)].append(seen)
        for group in by_address.values():
            if len(group) > self._per_address:
                doomed |= dict.fromkeys(_idlest(group, len(group) - self._per_address), "address")
        left = [seen for seen in left if seen.inode not in doomed]
        if len(left) > self._total:
            doomed |= dict.fromkeys(_idlest(left, len(left) - self._total), "total")
        self.counts.update(doomed.values())
        return doomed

    def _note(self, seen: Seen, now: float) -> _Known:
        known = self._known.get(seen.inode)
        if known is None:
            return _Known(now, now, seen.taken_bytes, self._grace_seconds, now if seen.unsent_bytes else None)
        if not seen.unsent_bytes:
            known.patience = self._grace_seconds
            known.sending_since = None
        else:
            earned = (seen.taken_bytes - known.taken_bytes) / SEND_BYTES_PER_SECOND_MIN
            known.patience = min(self._grace_seconds, known.patience + earned) - (now - known.looked_at)
            known.sending_since = now if known.sending_since is None else known.sending_since
        known.looked_at = now
        known.taken_bytes = seen.taken_bytes
        return known

    def _reason(self, seen: Seen, known: _Known, now: float) -> str:
        if not seen.received_bytes and now - known.since > self._silent_seconds:
            return "silent"
        if known.patience < 0:
            return "slow"
        if known.sending_since is not None and now - known.sending_since > TRANSFER_SECONDS_MAX:
            return "long"
        return ""


def _idlest(connections: Iterable[Seen], count: int) -> list[int]:
    """Return those that did nothing for the longest time; one that waits for an answer or is sent one comes last."""

    def idleness(seen: Seen) -> tuple[bool, float]:
        return not (seen.is_asking or seen.unsent_bytes), seen.idle_seconds

    ordered = sorted(connections, key=idleness, reverse=True)
    return [seen.inode for seen in ordered[:count]]


async def guard_forever(guard: ConnectionGuard, port: int, asking: Callable[[], frozenset[Peer]]) -> None:
    """Look at the connections accepted at ``port`` twice a second and close those the guard names, until cancelled.

    ``asking`` returns the clients whose requests are being worked on.
    """
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        closed = await asyncio.to_thread(look_and_close, guard, port, asking())
        if closed:
            _log.warning("connections_closed", **closed)


def look_and_close(guard: ConnectionGuard, port: int, asking: frozenset[Peer] = frozenset()) -> Counter[str]:
    """Look once and close what the guard names; return how many for which reason."""
    found = {seen.inode: (descriptor, seen) for descriptor, seen in _connections(port, asking)}
    doomed = guard.judge([seen for _, seen in found.values()], time.monotonic())
    for inode in doomed:
        _reset(found[inode][0], inode)
    return Counter(doomed.values())


def peer_of(address: str, port: int) -> Peer:
    """Return a client's end from an address as a socket or a server writes it. Errors: ValueError (no IP address)."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return str(getattr(parsed, "ipv4_mapped", None) or parsed), port


def _connections(port: int, asking: frozenset[Peer]) -> list[tuple[int, Seen]]:
    """Return this process's accepted connections at a port, with their descriptors.

    Others may close or reuse a descriptor at any moment, so each is looked at through a duplicate of its own.
    """
    found: list[tuple[int, Seen]] = []
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 (a path for each would cost more than the look)
        with suppress(OSError):  # closed meanwhile, or no connection
            descriptor = int(name)
            inode = os.fstat(descriptor)
            if stat.S_ISSOCK(inode.st_mode):
                with socket.socket(fileno=os.dup(descriptor)) as connection:
                    if connection.type == socket.SOCK_STREAM and connection.family in {
                        socket.AF_INET,
                        socket.AF_INET6,
                    }:
                        seen = _look(connection, inode.st_ino, port, asking)
                        if seen is not None:
                            found.append((descriptor, seen))
    return found


def _look(connection: socket.socket, inode: int, port: int, asking: frozenset[Peer]) -> Seen | None:
    """Return what the kernel says of a connection accepted at ``port``; None for others. OSError without a peer."""
    if connection.getsockname()[1] != port:
        return None
    peer = peer_of(*connection.getpeername()[:2])
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    if len(info) < _TCP_INFO_BYTES or info[0] not in _ESTABLISHED_STATES:
        return None
    # struct tcp_info of linux/tcp.h: 8 bytes, 24 numbers of 32 bits; of 64 bits: 2 rates, acknowledged, received.
    numbers = struct.unpack_from("<24I", info, 8)
    taken, received = struct.unpack_from("<2Q", info, 120)
    unsent = struct.unpack("i", fcntl.ioctl(connection, _SIOCOUTQ, b"\0\0\0\0"))[0]
    idle_seconds = min(numbers[9], numbers[11]) / 1000  # since something was sent, received
    return Seen(inode, peer[0], received, taken, unsent, idle_seconds, peer in asking)


def _reset(descriptor: int, inode: int) -> None:
    """Cut a connection with what it still holds; whoever reads or writes it hears of the end at once."""
    with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
        if os.fstat(connection.fileno()).st_ino == inode:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RDWR)
