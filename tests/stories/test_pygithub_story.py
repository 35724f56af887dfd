"""PyGithub as people run it, against a running Cairn: what its objects read from our API."""

from pathlib import Path
from typing import Any

import asyncssh
import pytest
from github import (
    Auth,
    BadCredentialsException,
    Github,
    GithubException,
    InputGitAuthor,
    InputGitTreeElement,
    UnknownObjectException,
)
from tests.services.ports import wait_until
from tests.stories.browser import Browser
from tests.stories.installation import Installation, commit_file, git, installation, run_cairnd, working_copy
from tests.stories.people import join


def _connect(cairn: Installation, token: str) -> Github:
    return Github(
        auth=Auth.Token(token),
        base_url=f"{cairn.origin}/api/v3",
        retry=None,
        seconds_between_requests=0,
        seconds_between_writes=0,
        per_page=2,
    )


def _everything(cairn: Installation, login: str) -> Github:
    """Connect with a token that has every scope that organizations, keys and deletion want."""
    scopes = "repo,delete_repo,user,admin:org,admin:public_key"
    secret = run_cairnd(cairn.environment, "admin", "create-token", login, "--scopes", scopes).split()[-1]
    return _connect(cairn, secret)


def test_pygithub_reads_and_edits_a_repository(tmp_path: Path) -> None:
    with installation(tmp_path / "cairn") as cairn:
        token = join(cairn, "ada")[1]
        join(cairn, "bob")
        ada = _connect(cairn, token)
        assert ada.get_user().login == "ada"
        assert ada.get_user("bob").login == "bob"
        made = ada.get_user().create_repo("engine", description="Steam")
        git("push", cairn.url("ada/engine", user="ada", secret=token), "main", cwd=working_copy(tmp_path / "work"))
        repository = ada.get_repo("ada/engine")
        assert ada.get_repo(made.id).full_name == "ada/engine"
        found = repository.get_contents("README.md")
        assert not isinstance(found, list)
        assert found.decoded_content == b"# Hello\n"
        commits = list(repository.get_commits())
        assert [commit.commit.message.strip() for commit in commits] == ["Begin"]
        assert [file.filename for file in repository.get_commit(commits[0].sha).files] == ["README.md"]
        assert repository.get_branch("main").commit.sha == commits[0].sha
        for number in range(4):
            ada.get_user().create_repo(f"part-{number}")
        assert len(list(ada.get_user().get_repos())) == 5  # three pages of two
        repository.edit(name="machine", archived=True)
        assert ada.get_repo("ada/machine").archived
        with pytest.raises(GithubException) as refused:
            ada.get_user().create_repo("machine")
        assert refused.value.status == 422
        ada.get_repo("ada/machine").delete()
        with pytest.raises(UnknownObjectException):
            ada.get_repo("ada/machine")
        with pytest.raises(BadCredentialsException):
            _connect(cairn, "crn_" + "x" * 36).get_user().login  # noqa: B018 (reading it asks)


def test_pygithub_organizes_people_and_shares_code(tmp_path: Path) -> None:
    with installation(tmp_path / "cairn") as cairn:
        client, token = join(cairn, "ada")
        join(cairn, "bob")
        ada, bob = _everything(cairn, "ada"), _everything(cairn, "bob")
        work = working_copy(tmp_path / "work")
        repository = ada.get_user().create_repo("engine")
        url = cairn.url("ada/engine", user="ada", secret=token)
        git("tag", "v1", cwd=work)
        git("checkout", "-q", "-b", "side", cwd=work)
        commit_file(work, "side.txt", "1")
        git("push", "-q", url, "main", "side", "v1", cwd=work)

        assert [branch.name for branch in repository.get_branches()] == ["main", "side"]
        assert [tag.name for tag in repository.get_tags()] == ["v1"]
        apart = repository.compare("main", "side")
        assert (apart.status, apart.ahead_by, [file.filename for file in apart.files]) == ("ahead", 1, ["side.txt"])
        head = repository.get_git_ref("heads/side").object.sha
        tree = repository.get_git_tree(head, recursive=True)
        assert {"README.md", "side.txt"} <= {entry.path for entry in tree.tree}
        assert repository.get_git_commit(head).parents[0].sha == repository.get_branch("main").commit.sha

        repository.add_to_collaborators("bob", "push")
        assert repository.has_in_collaborators("bob")
        assert repository.get_collaborator_permission("bob") == "write"
        key = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        deploy = repository.create_key("deploy", key, read_only=True)
        assert [found.id for found in repository.get_keys()] == [deploy.id]
        deploy.delete()
        mine = ada.get_user().create_key("laptop", key)
        assert [found.title for found in ada.get_user().get_keys()] == ["laptop"]
        mine.delete()
        assert [found.email for found in ada.get_user().get_emails()] == ["ada@example.org"]

        fork = bob.get_repo("ada/engine").create_fork()
        assert (fork.full_name, fork.parent.full_name) == ("bob/engine", "ada/engine")
        assert [found.full_name for found in repository.get_forks()] == ["bob/engine"]

        browser = Browser(client)
        browser.open("/organizations/new")
        browser.submit(login="acme")
        acme = ada.get_organization("acme")
        team = acme.create_team("core", privacy="closed")
        acme.add_to_members(ada.get_user("bob"))
        bob.requester.requestJsonAndCheck("PATCH", "/user/memberships/orgs/acme", input={"state": "active"})
        team.add_membership(ada.get_user("bob"))
        owned = acme.create_repo("mill", private=True)
        team.add_to_repos(owned)
        assert [found.name for found in team.get_repos()] == ["mill"]
        assert [found.name for found in acme.get_teams()] == ["core"]
        assert {found.login for found in acme.get_members()} >= {"ada"}
        assert ada.get_rate_limit().rate.limit > 0
        with pytest.raises(GithubException) as refused:
            bob.get_repo("ada/engine").edit(name="mine")
        assert refused.value.status == 403


def test_pygithub_searches_and_reads_topics_and_languages(tmp_path: Path) -> None:
    with installation(tmp_path / "cairn") as cairn:
        token = join(cairn, "ada")[1]
        ada = _connect(cairn, token)
        repository = ada.get_user().create_repo("engine", description="Steam")
        work = working_copy(tmp_path / "work")
        commit_file(work, "src/mill.py", "def grind(corn):\n    return corn\n")
        git("push", "-q", cairn.url("ada/engine", user="ada", secret=token), "main", cwd=work)
        repository.replace_topics(["mill", "steam"])
        assert repository.get_topics() == ["mill", "steam"]
        for number in range(3):
            ada.get_user().create_repo(f"steam-{number}")
        found = ada.search_repositories("steam")
        assert found.totalCount == 4  # two pages of two
        assert sorted(one.name for one in found) == ["engine", "steam-0", "steam-1", "steam-2"]
        assert [one.name for one in ada.search_repositories("topic:mill user:ada")] == ["engine"]
        assert [one.login for one in ada.search_users("ada")] == ["ada"]
        assert [one.name for one in ada.search_topics("ill")] == ["mill"]
        [code] = ada.search_code("grind repo:ada/engine", highlight=True)
        assert code.path == "src/mill.py"
        assert code.decoded_content == b"def grind(corn):\n    return corn\n"
        matches: Any = code.text_matches  # the library says text, and gives what came
        assert matches[0]["fragment"] == "def grind(corn):"
        with pytest.raises(GithubException) as refused:
            ada.search_code("grind").totalCount  # noqa: B018 (reading it asks)
        assert refused.value.status == 422
        assert ada.get_rate_limit().resources.search.limit == 60
        # The worker counts behind the push.
        wait_until(
            lambda: repository.get_languages().get("Python") == 33, within_seconds=60, what="the languages are counted"
        )
        assert ada.get_repo("ada/engine").language == "Python"


def test_pygithub_edits_files_makes_objects_and_tends_branches(tmp_path: Path) -> None:
    with installation(tmp_path / "cairn", program="web") as cairn:
        token = join(cairn, "ada")[1]
        ada = _connect(cairn, token)
        repository = ada.get_user().create_repo("engine")
        work = working_copy(tmp_path / "work")
        git("push", "-q", cairn.url("ada/engine", user="ada", secret=token), "main", cwd=work)

        repository.create_file("docs/a b.txt", "Write", b"\x00one\xff", branch="main")
        first = repository.get_contents("docs/a b.txt")
        assert not isinstance(first, list)
        assert first.decoded_content == b"\x00one\xff"
        changed = repository.update_file("docs/a b.txt", "Write again", "two\n", first.sha, branch="main")
        with pytest.raises(GithubException) as stale:
            repository.update_file("docs/a b.txt", "Too late", "three\n", first.sha, branch="main")
        assert stale.value.status == 409
        found = repository.get_contents("docs/a b.txt")
        assert not isinstance(found, list)
        assert found.decoded_content == b"two\n"
        assert found.sha == changed["content"].sha
        repository.delete_file("docs/a b.txt", "Drop", found.sha, branch="main")
        with pytest.raises(UnknownObjectException):
            repository.get_contents("docs/a b.txt")
        head = repository.get_branch("main").commit
        assert head.commit.message == "Drop"

        blob = repository.create_git_blob("run\n", "utf-8")
        entry = InputGitTreeElement("bin/run", "100755", "blob", sha=blob.sha)
        tree = repository.create_git_tree([entry], repository.get_git_tree(head.sha))
        who = InputGitAuthor("Mona", "mona@example.org", "2026-01-02T03:04:05Z")
        commit = repository.create_git_commit("Run", tree, [repository.get_git_commit(head.sha)], who)
        ref = repository.create_git_ref("refs/heads/side", commit.sha)
        assert ref.object.sha == commit.sha
        assert repository.get_commit("side").commit.author.name == "Mona"
        assert [file.filename for file in repository.compare("main", "side").files] == ["bin/run"]
        with pytest.raises(GithubException) as backwards:
            ref.edit(head.sha)
        assert backwards.value.status == 422
        ref.edit(head.sha, force=True)
        assert repository.get_branch("side").commit.sha == head.sha
        assert len(list(repository.get_git_matching_refs("heads/"))) == 2
        merged = repository.merge("main", commit.sha, "Bring it in")
        assert merged is not None
        assert {parent.sha for parent in merged.parents} == {head.sha, commit.sha}
        ref.delete()
        assert [branch.name for branch in repository.get_branches()] == ["main"]

        assert repository.rename_branch("main", "trunk")
        assert ada.get_repo("ada/engine").default_branch == "trunk"
        trunk = repository.get_branch("trunk")
        assert not trunk.protected
        trunk.edit_protection(required_linear_history=True)
        assert repository.get_branch("trunk").protected
        with pytest.raises(GithubException) as held:
            repository.get_git_ref("heads/trunk").delete()
        assert held.value.status == 422
        trunk.remove_protection()
        assert not repository.get_branch("trunk").protected


def test_pygithub_releases_with_files(tmp_path: Path) -> None:
    with installation(tmp_path / "cairn", program="web") as cairn:
        token = join(cairn, "ada")[1]
        ada = _connect(cairn, token)
        repository = ada.get_user().create_repo("engine")
        work = working_copy(tmp_path / "work")
        url = cairn.url("ada/engine", user="ada", secret=token)
        git("push", "-q", url, "main", cwd=work)

        first = repository.create_git_release("v1.0", "One", "It runs.", target_commitish="main")
        assert (first.tag_name, first.name, first.body) == ("v1.0", "One", "It runs.")
        assert [tag.name for tag in repository.get_tags()] == ["v1.0"]
        commit_file(work, "mill.py", "x = 1\n")
        git("push", "-q", url, "main", cwd=work)
        notes = repository.generate_release_notes("v2.0", previous_tag_name="v1.0", target_commitish="main")
        assert "Write mill.py" in notes.body
        second = repository.create_git_release("v2.0", generate_release_notes=True, prerelease=True)
        assert "Write mill.py" in (second.body or "")
        draft = repository.create_git_release("v3.0", "Three", "Soon", draft=True)
        assert [one.tag_name for one in repository.get_releases()] == ["v3.0", "v2.0", "v1.0"]  # two pages of two
        assert repository.get_latest_release().id == first.id
        assert repository.get_release("v2.0").id == second.id
        assert repository.get_release(draft.id).draft

        path = tmp_path / "mill 1.0.bin"
        path.write_bytes(bytes(range(256)) * 4000)
        asset = first.upload_asset(str(path), label="The mill", content_type="application/x-mill")
        assert (asset.name, asset.label, asset.size) == ("mill.1.0.bin", "The mill", 1_024_000)
        assert [one.name for one in first.get_assets()] == ["mill.1.0.bin"]
        asset.download_asset(str(tmp_path / "got"))
        assert (tmp_path / "got").read_bytes() == path.read_bytes()
        with pytest.raises(GithubException) as taken:
            first.upload_asset(str(path))
        assert taken.value.status == 422
        renamed = asset.update_asset("tool.bin", "The tool")
        assert (renamed.name, renamed.label) == ("tool.bin", "The tool")
        assert renamed.delete_asset()
        assert list(repository.get_release("v1.0").get_assets()) == []

        published = draft.update_release("Three", "Here it is", draft=False, tag_name="v3.0")
        assert (published.draft, published.body) == (False, "Here it is")
        assert repository.get_latest_release().tag_name == "v3.0"
        published.delete_release()
        with pytest.raises(UnknownObjectException):
            repository.get_release("v3.0")
        assert repository.get_latest_release().tag_name == "v1.0"
        assert "v3.0" in [tag.name for tag in repository.get_tags()]
