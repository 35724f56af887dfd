"""The rule for addresses: what is not one machine on the internet is refused, whatever it is wrapped in."""

import ipaddress

import pytest

from cairn.base.settings import Settings
from cairn.egress.addresses import allow_list_of, embedded_ipv4, parse_allow_list, special_meaning

SPECIAL = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.8.9.10"),
    *("168.63.129.16", "169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.0.192"),
    *("192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9"),
    *("224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1"),
    *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:0:7f00:1::"),
    *("2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::1", "2620:4f:8000::1", "3fff::1"),
    *("5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "4000::1"),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "9.255.255.255", "100.63.255.255", "100.128.0.1", "128.0.0.1", "172.15.0.1", "172.32.0.1"),
    *("191.255.255.255", "192.0.1.1", "198.17.255.255", "198.20.0.1", "223.255.255.255", "2606:4700::1111"),
    *("2001:4860:4860::8888", "2a00:1450::1"),
]


@pytest.mark.parametrize("text", SPECIAL)
def test_an_address_that_is_not_on_the_internet_is_special(text: str) -> None:
    assert special_meaning(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_an_address_on_the_internet_is_not(text: str) -> None:
    assert special_meaning(ipaddress.ip_address(text)) == ""


def test_an_address_with_a_zone_is_not_on_the_internet() -> None:
    assert special_meaning(ipaddress.ip_address("2606:4700::1111%eth0")) == "reserved"


@pytest.mark.parametrize("text", ["::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "::10.0.0.1"])
def test_what_is_hidden_in_an_address_is_seen(text: str) -> None:
    assert ipaddress.IPv4Address("10.0.0.1") in set(embedded_ipv4(ipaddress.ip_address(text)))


def test_an_allowed_network_allows_its_addresses_and_no_other() -> None:
    allow = parse_allow_list(["10.1.0.0/16", "fd00::/8"])
    assert allow.refusal(ipaddress.ip_address("10.1.2.3")) == ""
    assert allow.refusal(ipaddress.ip_address("fd00::7")) == ""
    assert allow.refusal(ipaddress.ip_address("10.2.0.1")) == "a private network"


def test_allowing_nat64_does_not_allow_the_private_addresses_behind_it() -> None:
    """Attack: on a node that reaches IPv4 through NAT64, a name answers with the NAT64 spelling of 10.0.0.1."""
    allow = parse_allow_list(["64:ff9b::/96"])
    assert allow.refusal(ipaddress.ip_address("64:ff9b::808:808")) == ""
    assert allow.refusal(ipaddress.ip_address("64:ff9b::a00:1")) != ""
    both = parse_allow_list(["64:ff9b::/96", "10.0.0.0/8"])
    assert both.refusal(ipaddress.ip_address("64:ff9b::a00:1")) == ""


def test_hosts_are_allowed_by_name_and_below_a_name() -> None:
    allow = allow_list_of(Settings(egress_allow=("Git.Corp.example", "*.internal.example")))
    assert allow.allows_host("git.corp.example")
    assert allow.allows_host("a.b.internal.example")
    assert not allow.allows_host("internal.example")
    assert not allow.allows_host("evilinternal.example")
    assert not allow.allows_host("git.corp.example.evil.example")
