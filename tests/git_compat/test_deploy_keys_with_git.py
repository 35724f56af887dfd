"""A machine with a deploy key: stock git over SSH reaches one repository, as far as the key goes."""

import json
import subprocess
import urllib.request
from pathlib import Path

import pytest
from tests.factories.git_repositories import StockGitFailed, StockRepository
from tests.git_compat.programs import LOGIN, Installation

from cairn.access.roles import Visibility


def _new_key(folder: Path, name: str) -> tuple[Path, str]:
    path = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)], check=True)
    return path, path.with_suffix(".pub").read_text()


def _call(running: Installation, method: str, path: str, body: object = None) -> dict[str, object]:
    request = urllib.request.Request(
        f"{running.origin}/api/v3/repos/{LOGIN}/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {running.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        found: dict[str, object] = json.loads(answer.read() or b"{}")
        return found


def test_a_deploy_key_reads_or_pushes_one_repository_until_it_is_deleted(
    embedded: Installation, tmp_path: Path
) -> None:
    running = embedded
    engine = running.create("deployed", visibility=Visibility.PRIVATE)
    other = running.create("not-deployed", visibility=Visibility.PRIVATE)
    (reading, reading_text), (writing, writing_text) = (_new_key(tmp_path, name) for name in ("reading", "writing"))
    added = _call(running, "POST", f"{engine.name}/keys", {"title": "ci", "key": reading_text})
    _call(running, "POST", f"{engine.name}/keys", {"title": "cd", "key": writing_text, "read_only": False})

    def machine(key: Path) -> StockRepository:
        repository = StockRepository(tmp_path / f"with-{key.name}", running.git_environment(tmp_path / "home", key=key))
        repository.path.mkdir()
        repository.git("init", "-q", "-b", "main")
        repository.git("remote", "add", "origin", running.ssh_url(engine.name))
        repository.git("remote", "add", "other", running.ssh_url(other.name))
        return repository

    reader, writer = machine(reading), machine(writing)
    tip = writer.commit({"a.txt": "one\n"})
    writer.git("push", "-q", "origin", "main")
    reader.git("fetch", "-q", "origin")
    assert reader.oid("origin/main") == tip
    reader.git("reset", "-q", "--hard", "origin/main")
    reader.commit({"a.txt": "two\n"})
    with pytest.raises(StockGitFailed, match=r"[Rr]ead"):
        reader.git("push", "-q", "origin", "main")
    for stranger in (reader, writer):
        with pytest.raises(StockGitFailed, match=r"[Nn]ot [Ff]ound"):
            stranger.git("fetch", "-q", "other")
        with pytest.raises(StockGitFailed, match=r"[Nn]ot [Ff]ound"):
            stranger.git("push", "-q", "other", "main")
    _call(running, "DELETE", f"{engine.name}/keys/{added['id']}")
    with pytest.raises(StockGitFailed, match="Permission denied"):
        reader.git("fetch", "-q", "origin")
    assert writer.git("ls-remote", "origin", "main").split()[0].decode() == tip
