"""The door: one spelling for a host, one answer of the name service, and no connection where it must not go."""

import ipaddress
import socket
import threading
from collections.abc import Sequence
from threading import Event, Semaphore

import pytest

from cairn.egress import door as egress_door
from cairn.egress.addresses import AllowList, IPAddress, parse_allow_list
from cairn.egress.door import GIT_SCHEMES, AddressRefused, Door, HostUnknown, SystemResolver, normal_host, parse_url


class Names:
    """A name service with a list of answers for each host, one after the other; it counts what it was asked."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[IPAddress]:
        self.asked.append(host)
        turns = self.answers.get(host.replace(".", "_"))
        if turns is None:
            raise OSError("no such host")
        turn = turns.pop(0) if len(turns) > 1 else turns[0]
        return [ipaddress.ip_address(text) for text in turn]


def door(names: Names | None = None, *allow: str) -> Door:
    """Return a door with an allow list and a name service."""
    return Door(parse_allow_list(allow), resolve=names or Names())


ODD_SPELLINGS = [
    *("http://2130706433/", "http://0177.0.0.1/", "http://0x7f.0.0.1/", "http://0x7f000001/", "http://127.1/"),
    *("http://127.0.1/", "http://017700000001/", "http://127.0.0.01/", "http://127.0.0.0x1/", "http://0/"),
    *(
        "http://\uff11\uff12\uff17.\uff11/",
        "http://127\u30021/",
        "http://\u2460\u2461\u2466.1/",
        "http://256.1.1.1/",
        "http://1.2.3.4.5/",
    ),
    *("http://[::1%25eth0]/", "http://[::1%eth0]/", "http://[v1.x]/", "http://[127.0.0.1]/", "http://[::1/"),
    *("http://user@example.com/", "http://user:pw@example.com/", "http://example.com@127.0.0.1/", "http://@h.example/"),
    *("http://h.example\\@127.0.0.1/", "http://h.example\t/", "http://h.example /", "http://h.example\r\nX: y/"),
    *("http:///etc/passwd", "http://", "http:h.example", "//h.example/", "h.example", "", "http://-a.example/"),
    *("http://a..example/", "http://%31%32%37.0.0.1/", "http://h.example:0/", "http://h.example:65536/"),
    *(
        "http://h.example:/",
        "http://h.example:8o/",
        "http://h%00.example/",
        "file:///etc/passwd",
        "gopher://h.example/",
    ),
    *("ftp://h.example/", "ssh://h.example/", "git://h.example/", "ext::sh -c x", "javascript:alert(1)"),
    *(f"http://{'a' * 64}.example/", f"http://{'a.' * 130}example/", f"http://h.example/{'a' * 2000}"),
]


@pytest.mark.parametrize("url", ODD_SPELLINGS)
def test_an_address_that_can_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        parse_url(url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("HTTP://H.Example", "http://h.example/"),
        ("https://h.example.:443/a?b=c#d", "https://h.example/a?b=c"),
        ("https://h.example:8443/a", "https://h.example:8443/a"),
        ("http://[2606:4700:0:0::1111]:80/", "http://[2606:4700::1111]/"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://8.8.8.8./", "http://8.8.8.8/"),
        ("ssh://git@h.example:22/a.git", "ssh://git@h.example/a.git"),
    ],
)
def test_an_address_has_one_spelling(url: str, shown: str) -> None:
    assert str(parse_url(url, schemes=GIT_SCHEMES)) == shown
    assert str(parse_url(shown, schemes=GIT_SCHEMES)) == shown


def test_an_ssh_address_never_holds_a_password() -> None:
    with pytest.raises(AddressRefused, match="user or password"):
        parse_url("ssh://git:pw@h.example/a", schemes=GIT_SCHEMES)
    with pytest.raises(AddressRefused):
        parse_url("ssh://-oProxyCommand=x@h.example/a", schemes=GIT_SCHEMES)


PRIVATE_HOSTS = [
    *("127.0.0.1", "127.0.0.1.", "10.0.0.1", "169.254.169.254", "100.64.0.1", "192.168.0.1", "172.16.3.4", "0.0.0.0"),
    *("255.255.255.255", "224.0.0.1", "::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:1", "64:ff9b::7f00:1"),
    *("2002:7f00:1::", "2001:0:7f00:1::", "fe80::1", "fd00:ec2::254", "ff02::1", "0:0:0:0:0:0:0:1", "::127.0.0.1"),
]


@pytest.mark.parametrize("host", PRIVATE_HOSTS)
async def test_an_address_beyond_the_internet_is_refused_with_host_and_setting(host: str) -> None:
    with pytest.raises(AddressRefused, match="CAIRN_EGRESS_ALLOW") as refused:
        await door().open_host(host, 80)
    assert normal_host(host) in refused.value.message


@pytest.mark.parametrize("host", PRIVATE_HOSTS)
async def test_a_name_that_stands_for_such_an_address_is_refused(host: str) -> None:
    names = Names(innocent_example=[[normal_host(host)]])
    with pytest.raises(AddressRefused, match=r"innocent\.example"):
        await door(names).open_host("innocent.example", 443)


async def test_a_name_with_one_good_and_one_bad_address_is_refused() -> None:
    """Attack: two answers at once, so that whoever checks the first connects to the second."""
    names = Names(two_example=[["8.8.8.8", "127.0.0.1"]])
    with pytest.raises(AddressRefused):
        await door(names).open_host("two.example", 443)


async def test_what_was_checked_is_what_is_handed_out() -> None:
    """Attack: the second answer of the name service is another one. There is no second question."""
    names = Names(rebind_example=[["8.8.8.8"], ["127.0.0.1"]])
    target = await door(names).open(parse_url("https://Rebind.example/x"))
    assert (target.host, target.port) == ("rebind.example", 443)
    assert [str(address) for address in target.addresses] == ["8.8.8.8"]
    assert names.asked == ["rebind.example"]


async def test_localhost_is_refused_by_the_machines_own_name_service() -> None:
    with pytest.raises(AddressRefused):
        await Door(AllowList(), resolve=SystemResolver()).open_host("localhost", 80)


async def test_a_name_service_that_hangs_takes_a_bounded_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: addresses below a name whose server never answers, to use up the threads that files are read in."""
    asked, answers = Semaphore(0), Event()

    def hang(host: str, port: int, **said: object) -> list[tuple[object, ...]]:
        asked.release()
        answers.wait()
        return [(None, None, None, "", ("8.8.8.8", port))]

    monkeypatch.setattr(egress_door, "RESOLVING_MAX", 2)
    monkeypatch.setattr(egress_door, "RESOLVE_SECONDS", 0.05)
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    opened = Door(AllowList())
    try:
        for host in ("a.example", "b.example", "c.example", "d.example"):
            with pytest.raises(HostUnknown, match="did not say within"):
                await opened.open_host(host, 443)
        left = [thread for thread in threading.enumerate() if thread.name == "cairn-resolve"]
        assert [thread.daemon for thread in left] == [True, True]
    finally:
        answers.set()
    monkeypatch.setattr(egress_door, "RESOLVE_SECONDS", 60)
    assert str((await opened.open_host("e.example", 443)).addresses[0]) == "8.8.8.8"
    asked_for = sum(asked.acquire(blocking=False) for _ in range(9))
    assert asked_for == 3, "two that hung, and the one that was answered"


async def test_a_host_without_an_address_is_unknown() -> None:
    with pytest.raises(HostUnknown, match=r"nowhere\.example"):
        await door().open_host("nowhere.example", 443)
    with pytest.raises(HostUnknown):
        await door(Names(empty_example=[[]])).open_host("empty.example", 443)


@pytest.mark.parametrize("port", [1, 21, 23, 25, 53, 110, 445, 993, 3306, 5432, 6379, 11211])
async def test_ports_of_other_services_are_refused(port: int) -> None:
    with pytest.raises(AddressRefused, match=f"port {port}"):
        await door().open_host("8.8.8.8", port)


@pytest.mark.parametrize("port", [22, 80, 443, 3000, 8080, 8443, 65535])
async def test_ports_of_git_and_web_servers_are_open(port: int) -> None:
    assert (await door().open_host("8.8.8.8", port)).port == port


async def test_what_the_operator_allows_is_open_on_every_port() -> None:
    names = Names(git_corp=[["10.1.2.3"]], other_corp=[["10.1.2.3"]])
    by_host, by_network = door(names, "git.corp"), door(names, "10.1.0.0/16")
    assert str((await by_host.open_host("git.corp", 25)).addresses[0]) == "10.1.2.3"
    assert str((await by_network.open_host("other.corp", 25)).addresses[0]) == "10.1.2.3"
    with pytest.raises(AddressRefused):
        await by_host.open_host("other.corp", 443)
    with pytest.raises(AddressRefused):
        await by_host.open_host("10.1.2.3", 443)
