"""Addresses for SSH: one spelling each, and what is no address of a repository."""

import pytest

from cairn.egress.door import AddressRefused
from cairn.egress.ssh_address import SshAddress, is_ssh, parse_ssh


@pytest.mark.parametrize(
    ("given", "clean", "path"),
    [
        ("git@Git.Example:a/b.git", "git@git.example:a/b.git", "a/b.git"),
        ("git@git.example:/srv/b.git/", "ssh://git@git.example/srv/b.git", "/srv/b.git"),
        ("ssh://git@Git.Example:2222/a/b.git/", "ssh://git@git.example:2222/a/b.git", "/a/b.git"),
        ("SSH://git@git.example:22/a", "ssh://git@git.example/a", "/a"),
        ("ssh://ada@git.example/~/b", "ssh://ada@git.example/~/b", "~/b"),
        ("ssh://git@git.example/it%27s", "ssh://git@git.example/it%27s", "/it's"),
        ("git@[::1]:a", "git@[::1]:a", "a"),
        ("ssh://git@[2001:DB8::1]:2222/a", "ssh://git@[2001:db8::1]:2222/a", "/a"),
    ],
)
def test_an_address_has_one_spelling(given: str, clean: str, path: str) -> None:
    assert is_ssh(given)
    parsed = parse_ssh(given)
    assert (str(parsed), parsed.path) == (clean, path)
    assert parse_ssh(clean) == parsed


@pytest.mark.parametrize(
    "given",
    [
        *("ssh://git.example/a", "ssh://git:word@git.example/a", "ssh://git@git.example", "ssh://git@git.example/"),
        *("ssh://git@git.example/a?b", "ssh://git@git.example/a#b", "ssh://git@git.example:0/a"),
        *("ssh://git@git.example/a%0ab", "ssh://git@git.example/a%20b", "ssh://-oProxyCommand@git.example/a"),
        *("git@git.example:-a", "git@git.example:a\\b", "git@0x7f.1:a", "ssh://git@2130706433/a"),
        *("ssh://git@git.example/~-a\x00", "git@git.example:" + "a" * 1001),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(given: str) -> None:
    with pytest.raises(AddressRefused):
        parse_ssh(given)


@pytest.mark.parametrize(
    "given", ["https://git@git.example/a:b", "http://git.example:80/a", "git.example:a", "/a@b:c", "git+ssh://git@h/a"]
)
def test_other_addresses_are_not_for_ssh(given: str) -> None:
    assert not is_ssh(given)


def test_an_address_without_a_path_of_the_root_lies_in_the_home() -> None:
    assert parse_ssh("git@git.example:a") == SshAddress("git", "git.example", 22, "a")
