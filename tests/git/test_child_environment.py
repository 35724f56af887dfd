"""Git children know this program's settings, the repository they were given, and nothing else."""

import os
import subprocess
from pathlib import Path

import pytest
from tests.factories import git_repositories

from cairn.git.child_environment import base_environment, repository_environment
from cairn.git.commands import GitCommand
from cairn.git.runner import GitRunner

VERSION = GitCommand(name="version")


@pytest.fixture
def runner(tmp_path: Path) -> GitRunner:
    """Git, with a home of its own."""
    return GitRunner(home=tmp_path / "home")


async def test_the_environment_is_made_from_scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/somewhere")
    monkeypatch.setenv("CAIRN_SECRET_KEY", "secret")
    fake = tmp_path / "fake-git"
    fake.write_text("#!/bin/bash\nenv; pwd\n")
    fake.chmod(0o755)
    runner = GitRunner(home=tmp_path / "home", git_binary=str(fake))
    lines = (await runner.run(VERSION)).decode().splitlines()
    assert f"HOME={tmp_path}/home" in lines
    assert "GIT_CONFIG_GLOBAL=/dev/null" in lines
    assert not [line for line in lines if line.startswith(("GIT_DIR", "CAIRN_"))]
    assert lines[-1] == f"{tmp_path}/home"


async def test_config_of_a_repository_cannot_name_a_hook_or_a_program(runner: GitRunner, tmp_path: Path) -> None:
    """Attack: planted hooks, filters, textconv and fsmonitor in a repository run when git reads it."""
    repository = git_repositories.init(tmp_path / "r")
    repository.commit({"a": "one", ".gitattributes": "* diff=evil filter=evil merge=evil"})
    second = repository.commit({"a": "two"})
    canary = tmp_path / "canary"
    for key in ("core.fsmonitor", "diff.external", "diff.evil.textconv", "diff.evil.command", "core.pager"):
        repository.git("config", key, f"touch {canary}; cat")
    command = GitCommand(
        name="diff-tree", options=("-p", "--root", "--no-ext-diff", "--no-textconv", "--no-color"), revisions=(second,)
    )
    assert b"+two" in await runner.run(command, git_dir=repository.git_dir)
    assert not canary.exists()


async def test_alternates_with_colons_and_quotes_in_their_path_are_found(runner: GitRunner, tmp_path: Path) -> None:
    source = git_repositories.init(tmp_path / 'a:b"c')
    oid = source.commit({"a": "x"})
    empty = git_repositories.init(tmp_path / "empty", bare=True)
    command = GitCommand(name="cat-file", options=("--batch-check",))
    output = await runner.run(command, git_dir=empty.path, alternates=[source.objects], stdin=f"{oid}\n".encode())
    assert output.startswith(f"{oid} commit".encode())


def configuration(environment: dict[bytes, bytes]) -> dict[str, str]:
    """Return every setting as git itself reads it."""
    home = Path(os.fsdecode(environment[b"HOME"]))
    home.mkdir(exist_ok=True)
    command = ["git", "config", "--list", "-z"]
    listed = subprocess.run(command, env=environment, cwd=home, capture_output=True, check=True, timeout=60).stdout
    entries = listed.decode().removesuffix("\0").split("\0")
    assert len(entries) == int(environment[b"GIT_CONFIG_COUNT"]), "no other file was read"
    return dict(entry.split("\n", 1) for entry in entries)


def test_git_reads_our_settings_and_no_others(tmp_path: Path) -> None:
    """A gap in the numbering would silently drop every setting behind it; a file in the home would add some."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.gitconfig").write_text("[core]\n\teditor = evil\n")
    found = configuration(base_environment("/usr/bin/git", tmp_path / "home"))
    assert "core.editor" not in found
    assert found["core.hookspath"] == "/dev/null"
    assert found["safe.barerepository"] == "explicit"
    assert found["uploadpack.allowanysha1inwant"] == "false"
    assert (found["gc.auto"], found["maintenance.auto"]) == ("0", "false")


def test_no_child_may_open_another_repository_over_a_network_or_from_a_folder(tmp_path: Path) -> None:
    """Attack: a URL in a repository's configuration or a submodule makes the server fetch from inside its network."""
    source = git_repositories.init(tmp_path / "source")
    source.commit({"a": "x"})
    (tmp_path / "home").mkdir()
    environment = base_environment("/usr/bin/git", tmp_path / "home")
    for address in (str(source.path), f"file://{source.path}", "https://127.0.0.1:1/x", "ext::touch canary"):
        command = ["git", "ls-remote", address]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 128, address
        assert "not allowed" in done.stderr, address
    assert not (tmp_path / "canary").exists()


def test_a_child_finds_the_repository_it_was_given_and_none_around_its_folder(tmp_path: Path) -> None:
    around = git_repositories.init(tmp_path)
    around.commit({"a": "x"})
    given = git_repositories.init(tmp_path / "given")
    oid = given.commit({"b": "y"})
    (tmp_path / "home").mkdir()
    base = base_environment("/usr/bin/git", tmp_path / "home")

    def head(environment: dict[bytes, bytes]) -> str:
        command = ["git", "rev-parse", "HEAD"]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path / "home", capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    assert head(base) == ""
    assert head(base | repository_environment(given.git_dir, [], None, None)) == oid


def test_what_was_not_given_is_not_named() -> None:
    """An empty GIT_DIR or GIT_PROTOCOL is not the same as none: git takes the empty name for a repository."""
    assert repository_environment(None, [], None, None) == {}


def test_folders_are_absolute_and_a_protocol_is_named_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Children run in their home: a relative folder would be looked for there."""
    monkeypatch.chdir(tmp_path)
    found = repository_environment(Path("r.git"), [Path("one"), Path("two")], Path("incoming"), 2)
    here = os.fsencode(tmp_path)
    assert found == {
        b"GIT_DIR": here + b"/r.git",
        b"GIT_OBJECT_DIRECTORY": here + b"/incoming",
        b"GIT_ALTERNATE_OBJECT_DIRECTORIES": here + b"/one:" + here + b"/two",
        b"GIT_PROTOCOL": b"version=2",
    }
