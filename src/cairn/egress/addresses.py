"""Which addresses are the public internet's, and what an operator allows beyond them.

Sources: the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890), RFC 6052 (NAT64), RFC 3056 (6to4),
RFC 4380 (Teredo), RFC 4291 (IPv4-mapped and IPv4-compatible addresses).
"""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from cairn.base.settings import Settings

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

_SPECIAL_IPV4 = {
    "0.0.0.0/8": "this machine",
    "10.0.0.0/8": "a private network",
    "100.64.0.0/10": "a provider's shared network",
    "127.0.0.0/8": "this machine",
    "168.63.129.16/32": "a cloud's metadata service",
    "169.254.0.0/16": "the local link, with clouds' metadata services",
    "172.16.0.0/12": "a private network",
    "192.0.0.0/24": "protocol assignments",
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "local name service",
    "192.52.193.0/24": "multicast relays",
    "192.88.99.0/24": "6to4 relays",
    "192.168.0.0/16": "a private network",
    "192.175.48.0/24": "local name service",
    "198.18.0.0/15": "benchmarks",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved or broadcast",
}
"""Everything in IPv4 that is not one machine on the internet."""

_GLOBAL_IPV6 = IPv6Network("2000::/3")
"""Everything else in IPv6 is local, reserved, multicast or another spelling of an IPv4 address."""

_SPECIAL_IPV6 = {
    "2001::/23": "protocol assignments, with Teredo tunnels",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4 tunnels",
    "2620:4f:8000::/48": "local name service",
    "3ffe::/16": "a network that was given back",
    "3fff::/20": "documentation",
}
_OUTSIDE_IPV6 = {
    "::/128": "this machine",
    "::1/128": "this machine",
    "::ffff:0:0/96": "another spelling of an IPv4 address",
    "::ffff:0:0:0/96": "another spelling of an IPv4 address",
    "::/96": "another spelling of an IPv4 address",
    "64:ff9b::/96": "NAT64: another spelling of an IPv4 address",
    "64:ff9b:1::/48": "NAT64 of a private network",
    "fc00::/7": "a private network",
    "fe80::/10": "the local link",
    "fec0::/10": "a private network",
    "ff00::/8": "multicast",
}
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")

_RULES: tuple[tuple[IPNetwork, str], ...] = tuple(
    (ipaddress.ip_network(network), meaning)
    for network, meaning in (_SPECIAL_IPV4 | _SPECIAL_IPV6 | _OUTSIDE_IPV6).items()
)


def special_meaning(address: IPAddress) -> str:
    """Return what a special address stands for ("a private network"); empty for a machine on the internet."""
    for network, meaning in _RULES:
        if address in network:
            return meaning
    if isinstance(address, IPv6Address) and (address not in _GLOBAL_IPV6 or address.scope_id):
        return "reserved"
    return ""


def embedded_ipv4(address: IPAddress) -> Iterator[IPv4Address]:
    """Yield the IPv4 addresses to which a packet for this IPv6 address may be sent on."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        yield IPv4Address(int(address) & 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class AllowList:
    """What the operator lets Cairn reach beyond the internet: networks, hosts, and hosts below a name (``*.corp``)."""

    networks: tuple[IPNetwork, ...] = ()
    hosts: frozenset[str] = frozenset()
    suffixes: tuple[str, ...] = ()

    def allows_host(self, host: str) -> bool:
        """Tell whether the operator named this host (lower case, ASCII): then its addresses are theirs to choose."""
        return host in self.hosts or any(host.endswith(suffix) for suffix in self.suffixes)

    def allows_address(self, address: IPAddress) -> bool:
        """Tell whether the operator named a network with this address, and with every address hidden in it."""
        if not any(address in network for network in self.networks):
            return False
        return all(not special_meaning(inner) or self.allows_address(inner) for inner in embedded_ipv4(address))

    def refusal(self, address: IPAddress) -> str:
        """Return what a refused address stands for; empty if Cairn may connect to it."""
        return "" if self.allows_address(address) else special_meaning(address)


def parse_allow_list(entries: Sequence[str]) -> AllowList:
    """Return the allow list an operator wrote: networks, hosts and ``*.`` names, as the settings checked them."""
    networks: list[IPNetwork] = []
    hosts: set[str] = set()
    suffixes: list[str] = []
    for entry in entries:
        try:
            networks.append(ipaddress.ip_network(entry, strict=False))
            continue
        except ValueError:
            host = entry.lower()
        if host.startswith("*."):
            suffixes.append(host[1:])
        else:
            hosts.add(host)
    return AllowList(tuple(networks), frozenset(hosts), tuple(suffixes))


def allow_list_of(settings: Settings) -> AllowList:
    """Return this installation's allow list."""
    return parse_allow_list(settings.egress_allow)
