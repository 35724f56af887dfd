"""``gh`` as people run it: releases with their files, and ``gh api`` for what scripts do to a repository over REST."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.stories import gh as client
from tests.stories.gh import Gh
from tests.stories.installation import (
    PASSWORD,
    Installation,
    commit_file,
    fails,
    git,
    installation,
    run_cairnd,
    working_copy,
)

pytestmark = pytest.mark.skipif(not client.is_installed, reason="gh is not installed")


@dataclass(frozen=True)
class Place:
    """A running Cairn with ``ada/engine``, its owner's ``gh`` and working copy."""

    cairn: Installation
    gh: Gh
    work: Path
    token: str

    @property
    def url(self) -> str:
        """Where git pushes with the owner's token."""
        return self.cairn.url("ada/engine", user="ada", secret=self.token)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("gh")
    with installation(folder / "cairn", client.SETTINGS) as cairn:
        who = ("ada", "--email", "ada@example.org", "--password", PASSWORD)
        run_cairnd(cairn.environment, "admin", "create-user", *who)
        token = run_cairnd(cairn.environment, "admin", "create-token", "ada", "--scopes", "repo,user").split()[-1]
        with client.open_gh(cairn, folder / "gh", token) as gh:
            gh("api", "user/repos", "-f", "name=engine")
            found = Place(cairn, gh, working_copy(folder / "work"), token)
            git("push", found.url, "main", cwd=found.work)
            yield found


def test_gh_makes_a_release_with_files_and_scripts_read_and_end_it(place: Place) -> None:
    gh, release = place.gh, ("release", "create", "-R", "ada/engine")
    assert json.loads(gh("api", "user"))["login"] == "ada"
    made = gh(*release, "v1", "--title", "One", "--notes", "First").strip()
    assert made == "http://cairn.test/ada/engine/releases/tag/v1"
    (gh.folder / "change.log").write_text("what changed\n")
    (gh.folder / "engine v2.bin").write_bytes(bytes(range(256)) * 4096)
    gh(
        *release,
        "v2",
        "--target",
        "main",
        "--generate-notes",
        "--prerelease",
        "engine v2.bin",
        "change.log#The changes",
    )
    second = json.loads(gh("api", "repos/ada/engine/releases/tags/v2"))
    assert (second["draft"], second["prerelease"]) == (False, True)
    assert {(one["name"], one["label"], one["size"]) for one in second["assets"]} == {
        ("engine.v2.bin", "", 1 << 20),
        ("change.log", "The changes", 13),
    }
    assert json.loads(gh("api", "repos/ada/engine/releases/latest"))["tag_name"] == "v1"
    assert "refs/tags/v2" in git("ls-remote", "--tags", place.cairn.url("ada/engine"))
    [asset] = [one for one in second["assets"] if one["label"]]
    address = asset["url"].partition("/api/v3/")[2]
    assert gh("api", address, "-H", "accept: application/octet-stream") == "what changed\n"
    gh("api", "-X", "DELETE", f"repos/ada/engine/releases/{second['id']}")
    assert "HTTP 404" in gh.fails("api", "repos/ada/engine/releases/tags/v2")
    assert "HTTP 422" in gh.fails(*release, "v1", "--notes", "Again")


def test_gh_edits_a_file_and_protects_the_branch(place: Place) -> None:
    gh, address = place.gh, "repos/ada/engine/contents/notes.md"
    written = json.loads(gh("api", "-X", "PUT", address, "-f", "message=Add notes", "-f", "content=SGkK"))
    assert gh("api", address, "-H", "accept: application/vnd.github.raw") == "Hi\n"
    fields = ("-f", "message=Change notes", "-f", "content=SG8K", "-f", f"sha={'1' * 40}")
    assert "HTTP 409" in gh.fails("api", "-X", "PUT", address, *fields)
    gh("api", "-X", "DELETE", address, "-f", "message=Drop notes", "-f", f"sha={written['content']['sha']}")
    assert "HTTP 404" in gh.fails("api", address)

    rules = {
        "name": "Calm",
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
        "rules": [{"type": "non_fast_forward"}, {"type": "deletion"}],
    }
    (gh.folder / "rules.json").write_text(json.dumps(rules))
    made = json.loads(gh("api", "repos/ada/engine/rulesets", "--input", "rules.json"))
    assert [rule["type"] for rule in made["rules"]] == ["non_fast_forward", "deletion"]
    commit_file(place.work, "other", "history\n")
    assert "Calm" in fails("push", "--force", place.url, "main", cwd=place.work)
    gh("api", "-X", "DELETE", f"repos/ada/engine/rulesets/{made['id']}")
    git("push", "--force", place.url, "main", cwd=place.work)
