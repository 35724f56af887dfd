"""Addresses and commands of git clients."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.git_server.requests import CommandUnknown, Part, Verb, parse_address, parse_command, requested_version


@pytest.mark.parametrize(
    ("path", "name", "part"),
    [
        ("/ada/engine/info/refs", "engine", Part.REFS),
        ("/ada/engine.git/info/refs", "engine.git", Part.REFS),
        ("/ada/engine.git/git-upload-pack", "engine.git", Part.FETCH),
        ("/ada/engine/git-receive-pack", "engine", Part.PUSH),
        ("/ada/engine.git/HEAD", "engine.git", Part.DUMB),
        ("/ada/engine.git/objects/info/packs", "engine.git", Part.DUMB),
        ("/ada/engine.git/objects/4b/825dc642cb6eb9a060e54bf8d69288fbee4904", "engine.git", Part.DUMB),
        ("/ada/engine.git/objects/pack/pack-1.idx", "engine.git", Part.DUMB),
    ],
)
def test_addresses_of_git_are_recognised(path: str, name: str, part: Part) -> None:
    address = parse_address(path)
    assert address is not None
    assert (address.owner, address.name, address.part) == ("ada", name, part)


@pytest.mark.parametrize(
    "path",
    ["/", "/ada/engine", "/ada/engine/tree/main/info/refs", "/info/refs", "/a/b/c/git-upload-pack",
     "/ada/engine/HEAD/x", "/ada/engine/blob/main/objects/pack/x", "/ada//info/refs", "/ada/engine/git-upload-pack/"],
)  # fmt: skip
def test_other_addresses_are_left_to_the_pages(path: str) -> None:
    assert parse_address(path) is None


@pytest.mark.parametrize(
    ("protocol", "version"),
    [("", 0), ("version=2", 2), ("version=1", 1), ("version=0", 0), ("version=1:version=2", 2), ("a=b:version=2:c", 2),
     ("version=3", 0), ("version=22", 0), ("xversion=2", 0), ("version=2\n", 0), ("version=2:" + "x" * 300, 0)],
)  # fmt: skip
def test_the_highest_known_version_counts(protocol: str, version: int) -> None:
    assert requested_version(protocol) == version


@pytest.mark.parametrize(
    "command",
    ["git-upload-pack 'ada/engine.git'", "git-upload-pack '/ada/engine.git'", "git upload-pack 'ada/engine.git/'",
     'git-upload-pack "ada/engine.git"', "git-upload-pack /ada/engine.git", "git-upload-pack ada/'engine'.git "],
)  # fmt: skip
def test_every_way_to_write_a_path_names_the_repository(command: str) -> None:
    parsed = parse_command(command)
    assert (parsed.verb, parsed.owner, parsed.name) == (Verb.FETCH, "ada", "engine.git")


@pytest.mark.parametrize(
    "command",
    ["", "sh", "bash -c 'git-upload-pack x'", "git-upload-pack", "git-upload-pack 'a'; id", "git-upload-pack $(id)",
     "git-upload-pack 'a/b' 'c/d'", "git-upload-pack --strict 'a/b' x", "git-upload-pack `id`", "git-upload-pack 'a",
     "git-upload-pack a/b|id", "git-upload-pack a/b\nid", 'git-upload-pack "$HOME"',
     "git-shell", "scp -t /", "git-receive-pack\t", "git-upload-pack " + "a" * 2000],
)  # fmt: skip
def test_no_other_command_is_understood(command: str) -> None:
    """Attack: make the door run a shell, an option or a second command."""
    with pytest.raises(CommandUnknown):
        parse_command(command)


@pytest.mark.parametrize("path", ["../../etc/passwd", "/ada/../bob/secret", "~/x", "a", "a/b/c"])
def test_a_path_is_only_a_name(path: str) -> None:
    """Attack: leave the repositories by the path. It is looked up as a name, and no name looks like this."""
    parsed = parse_command(f"git-upload-pack '{path}'")
    assert f"{parsed.owner}/{parsed.name}".rstrip("/") == path.removeprefix("/")


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=80))
def test_what_git_quotes_is_what_is_read(path: str) -> None:
    quoted = "'" + path.replace("'", "'\\''").replace("!", "'\\!'") + "'"
    parsed = parse_command(f"git-receive-pack {quoted}")
    owner, _, name = path.removeprefix("/").removesuffix("/").partition("/")
    assert (parsed.owner, parsed.name) == (owner, name)


def test_git_quotes_as_this_test_believes() -> None:
    shown = subprocess.run(
        ["git", "ls-remote", "ssh://host.invalid/it's!"],
        env={"PATH": "/usr/bin:/bin", "GIT_SSH_COMMAND": "echo >&2", "GIT_SSH_VARIANT": "simple"},
        capture_output=True, text=True, check=False,
    ).stderr  # fmt: skip
    assert "git-upload-pack '/it'\\''s'\\!''" in shown
