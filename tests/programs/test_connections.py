"""Which connections must go, and that the kernel's word on them is understood."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from tests.services.ports import wait_until

from cairn.programs.connections import TRANSFER_SECONDS_MAX, ConnectionGuard, Seen, look_and_close, peer_of
from cairn.web.security import Proxies


def seen(inode: int, address: str = "192.0.2.1", **facts: float) -> Seen:
    values = {"received_bytes": 100, "taken_bytes": 0, "unsent_bytes": 0, "idle_seconds": 0.0} | facts
    return Seen(inode, address, **values)  # type: ignore[arg-type]


def guard(**limits: int) -> ConnectionGuard:
    values = {"per_address": 3, "total": 100, "silent_seconds": 15, "grace_seconds": 60} | limits
    return ConnectionGuard(**values, is_trusted=Proxies(["10.0.0.1", "::1"]).trusts)


def test_who_says_nothing_is_closed_after_its_time() -> None:
    watching = guard()
    for now in (0, 10, 15):
        assert watching.judge([seen(1, received_bytes=0), seen(2)], now) == {}
    assert watching.judge([seen(1, received_bytes=0), seen(2)], 16) == {1: "silent"}
    assert watching.counts == {"silent": 1}


def test_who_takes_nothing_of_an_answer_is_closed_when_the_patience_ends() -> None:
    watching = guard()
    for now in (0, 30, 60):
        assert watching.judge([seen(1, unsent_bytes=9, taken_bytes=now)], now) == {}
    assert watching.judge([seen(1, unsent_bytes=9, taken_bytes=61)], 61) == {1: "slow"}


def test_who_takes_as_much_as_there_is_or_keeps_the_pace_stays() -> None:
    watching = guard()
    for now in range(0, 3000, 10):
        keeps_pace = seen(1, unsent_bytes=9, taken_bytes=now * 4096)
        has_it_all = seen(2, taken_bytes=7, idle_seconds=now)
        assert watching.judge([keeps_pace, has_it_all], now) == {}


def test_what_was_taken_quickly_buys_no_more_patience_than_there_was() -> None:
    """Attack: take a gigabyte at once, then hold the rest for days."""
    watching = guard()
    watching.judge([seen(1, unsent_bytes=9, taken_bytes=0)], 0)
    watching.judge([seen(1, unsent_bytes=9, taken_bytes=1 << 30)], 1)
    assert watching.judge([seen(1, unsent_bytes=9, taken_bytes=1 << 30)], 59) == {}
    assert watching.judge([seen(1, unsent_bytes=9, taken_bytes=1 << 30)], 62) == {1: "slow"}


def test_no_answer_takes_forever_at_any_pace() -> None:
    watching = guard()
    for now in range(0, int(TRANSFER_SECONDS_MAX), 30):
        assert watching.judge([seen(1, unsent_bytes=9, taken_bytes=now * 5000)], now) == {}
    now = int(TRANSFER_SECONDS_MAX) + 1
    assert watching.judge([seen(1, unsent_bytes=9, taken_bytes=now * 5000)], now) == {1: "long"}


def test_beyond_the_limit_of_an_address_the_idlest_go_and_answers_in_progress_stay() -> None:
    mine = [seen(1, idle_seconds=50, unsent_bytes=5), *(seen(number, idle_seconds=number) for number in (2, 3, 4, 5))]
    others = [seen(9, "192.0.2.2", idle_seconds=99)]
    assert guard().judge([*mine, *others], 0) == {5: "address", 4: "address"}


def test_beyond_the_limit_a_page_that_takes_long_does_not_look_idle() -> None:
    mine = [seen(1, idle_seconds=50, is_asking=True), *(seen(number, idle_seconds=number) for number in (2, 3, 4, 5))]
    assert guard().judge(mine, 0) == {5: "address", 4: "address"}
    all_asking = [seen(number, idle_seconds=number, is_asking=True) for number in range(5)]
    assert guard().judge(all_asking, 0) == {4: "address", 3: "address"}, "the limit holds whatever they ask for"


def test_a_customer_with_many_ipv6_addresses_is_one_and_a_trusted_proxy_is_none() -> None:
    spread = [seen(number, f"2001:db8::{number}", idle_seconds=number) for number in range(1, 6)]
    proxied = [seen(number, "10.0.0.1") for number in range(10, 20)]
    proxied += [seen(number, "::1") for number in range(20, 30)]
    assert set(guard().judge([*spread, *proxied], 0)) == {4, 5}


def test_beyond_the_total_the_idlest_of_all_go() -> None:
    many = [seen(number, f"192.0.2.{number}", idle_seconds=number) for number in range(10)]
    assert guard(total=8).judge(many, 0) == {9: "total", 8: "total"}


def descriptors_open() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture(params=["127.0.0.1", "::1"], ids=["ipv4", "ipv6"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.socket(family) as listening:
        try:
            listening.bind((request.param, 0))
        except OSError as error:
            pytest.skip(f"no address {request.param}: {error}")
        listening.listen()
        yield listening


def test_real_connections_are_seen_and_closed_and_others_left_alone(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    before = descriptors_open()
    with ExitStack() as stack:
        clients, served = [], []
        for _ in range(4):
            client = stack.enter_context(socket.create_connection(listener.getsockname()[:2]))
            clients.append(client)
            served.append(stack.enter_context(listener.accept()[0]))
        for connection in (*clients, *served):
            connection.settimeout(10)
        clients[0].sendall(b"hello")
        assert served[0].recv(5) == b"hello"
        watching = guard(silent_seconds=0, per_address=100)
        assert look_and_close(watching, port + 1 if port < 65535 else port - 1) == {}
        assert look_and_close(watching, port) == {}
        assert look_and_close(watching, port) == {"silent": 3}
        for client, connection in zip(clients[1:], served[1:], strict=True):
            assert connection.recv(1) == b"", "the server hears of the end"
            connection.close()
            with suppress(ConnectionResetError):
                assert client.recv(1) == b""
        clients[0].sendall(b"again")
        assert served[0].recv(5) == b"again"
    wait_until(lambda: descriptors_open() == before, within_seconds=10, what="no descriptor is left")


def test_of_real_connections_those_that_wait_for_an_answer_stay(listener: socket.socket) -> None:
    with ExitStack() as stack:
        clients, served = [], []
        for _ in range(3):
            clients.append(stack.enter_context(socket.create_connection(listener.getsockname()[:2])))
            served.append(stack.enter_context(listener.accept()[0]))
            clients[-1].sendall(b"GET")
            assert served[-1].recv(3) == b"GET"
        waiting = frozenset(peer_of(*client.getsockname()[:2]) for client in clients[:2])
        assert look_and_close(guard(total=2), listener.getsockname()[1], waiting) == {"total": 1}
        served[2].settimeout(10)
        assert served[2].recv(1) == b""
        for connection in served[:2]:
            connection.setblocking(False)
            with pytest.raises(BlockingIOError):
                connection.recv(1)


def test_one_client_is_written_in_one_way() -> None:
    assert peer_of("::ffff:192.0.2.1", 5) == peer_of("192.0.2.1", 5) == ("192.0.2.1", 5)
    assert peer_of("fe80::1%eth0", 5) == ("fe80::1", 5)


def test_an_answer_that_nobody_takes_is_seen_to_stand_still(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with ExitStack() as stack:
        client = stack.enter_context(socket.create_connection(listener.getsockname()[:2]))
        served = stack.enter_context(listener.accept()[0])
        client.sendall(b"GET")
        served.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                served.send(b"x" * 65536)
        watching = guard(grace_seconds=0)
        wait_until(lambda: look_and_close(watching, port) == {"slow": 1}, within_seconds=20, what="it is closed")
