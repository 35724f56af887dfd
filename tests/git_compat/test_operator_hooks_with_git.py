"""The operator's hooks with stock git over both doors: output comes as ``remote:``, a refusal as git's own."""

import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.factories.git_repositories import StockGitFailed, StockRepository
from tests.git_compat.fixtures import Place
from tests.git_compat.programs import LOGIN, Installation, running_installation

HOOKS = {
    "pre-receive": 'echo "$CAIRN_ACTOR pushes to $CAIRN_REPOSITORY with $GIT_PUSH_OPTION_COUNT options"',
    "update": 'git log --format=%s "$3" -1 | grep -q WIP && { echo "no WIP here" >&2; exit 1; }; exit 0',
    "post-receive": 'while read old new ref; do echo "after: $(git rev-parse "$ref")"; done',
}


@pytest.fixture(scope="module")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Cairn with hooks."""
    folder = tmp_path_factory.mktemp("hooks")
    folder.chmod(0o755)
    for name, body in HOOKS.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    with running_installation(tmp_path_factory.mktemp("hooked"), {"CAIRN_HOOKS_DIR": str(folder)}) as running:
        yield running


@pytest.fixture(params=["http", "ssh"])
def client(request: pytest.FixtureRequest, hooked: Installation, tmp_path: Path) -> StockRepository:
    """A client with one commit."""
    place = Place(hooked, request.param, hooked.create(f"h-{secrets.token_hex(5)}"), tmp_path)
    client = place.client()
    client.commit({"a.txt": "one\n"}, "first")
    return client


def test_the_pusher_reads_what_the_hooks_say(client: StockRepository) -> None:
    said = subprocess.run(
        ["git", "push", "-o", "fast", "origin", "main"],
        cwd=client.path, env=client.environment, capture_output=True, text=True, check=True, timeout=60,
    ).stderr  # fmt: skip
    assert f"remote: {LOGIN} pushes to {LOGIN}/h-" in said
    assert "with 1 options" in said
    assert f"remote: after: {client.oid('HEAD')}" in said


def test_the_pusher_reads_why_a_ref_was_refused_while_the_other_moved(client: StockRepository) -> None:
    client.git("push", "-q", "origin", "main")
    client.git("checkout", "-q", "-b", "wip")
    client.commit({"a.txt": "two\n"}, "WIP: second")
    with pytest.raises(StockGitFailed) as failed:
        client.git("push", "origin", "wip", "main:other")
    assert "remote: no WIP here" in str(failed.value)
    assert "[remote rejected] wip -> wip (hook declined)" in str(failed.value)
    assert client.git("ls-remote", "origin", "other", "wip").endswith(b"\trefs/heads/other\n")
