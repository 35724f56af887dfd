"""Somebody protects a branch on the page; stock git is refused with the reason; PyGithub says the same in its words."""

from pathlib import Path

import pytest
from github import Auth, Github, GithubException
from tests.stories.browser import Browser
from tests.stories.installation import commit_file, git, installation, working_copy
from tests.stories.people import join

PAGE = "/ada/engine/settings/rules"


def test_main_is_protected_on_the_page_and_over_pygithub(tmp_path: Path) -> None:
    with installation(tmp_path / "cairn", program="web") as cairn:
        client, token = join(cairn, "ada")
        browser, work = Browser(client), working_copy(tmp_path / "work")
        ada = Github(
            auth=Auth.Token(token),
            base_url=f"{cairn.origin}/api/v3",
            retry=None,
            seconds_between_requests=0,
            seconds_between_writes=0,
        )
        repository = ada.get_user().create_repo("engine")
        url = cairn.url("ada/engine", user="ada", secret=token)
        git("push", "-q", url, "main", cwd=work)

        # On trial everything passes, and the page tells what would have been refused.
        browser.open(f"{PAGE}/new?preset=default-branch")
        fields = {"name": "Held", "enforcement": "evaluate"}
        assert "Held" in browser.submit(**fields).text
        commit_file(work, "a.txt", "1")
        git("push", "-q", url, "main", cwd=work)
        git("push", "-q", "-f", url, "HEAD~1:main", cwd=work)
        found = browser.open(f"{PAGE}/insights?result=trial").text
        assert "non_fast_forward" in found
        assert "On trial" in found

        # In force it is refused on the terminal, with the place where everybody reads why.
        browser.open(PAGE)
        ruleset = repository.requester.requestJsonAndCheck("GET", "/repos/ada/engine/rulesets")[1][0]
        own = f"{PAGE}/{ruleset['id']}"
        browser.open(own)
        browser.submit(name="Held", enforcement="active")
        git("push", "-q", url, "HEAD:main", cwd=work)
        with pytest.raises(AssertionError) as refused:
            git("push", "-f", url, "HEAD~1:main", cwd=work)
        assert "non_fast_forward" in str(refused.value)
        assert f"/ada/engine/rules#ruleset-{ruleset['id']}" in str(refused.value)
        shown = browser.open("/ada/engine/rules?ref=refs/heads/main").text
        assert f'id="ruleset-{ruleset["id"]}"' in shown

        # Who may bypass is let through, and that leaves a trace.
        browser.open(own)
        browser.submit(**{"name": "Held", "bypass.RepositoryRole.5": "always"})
        assert "bypassed rule non_fast_forward" in git("push", "-f", url, "HEAD~1:main", cwd=work)
        assert "Bypassed" in browser.open(f"{PAGE}/insights?result=bypassed").text

        # The older words are a ruleset of their own, and what is said comes back.
        branch = repository.get_branch("main")
        assert branch.protected
        with pytest.raises(GithubException) as absent:
            branch.get_protection()
        assert absent.value.status == 404
        assert "Branch not protected" in str(absent.value)
        branch.edit_protection(
            strict=True,
            contexts=["ci"],
            enforce_admins=True,
            required_linear_history=True,
            user_push_restrictions=["ada"],
        )
        protection = branch.get_protection()
        assert (protection.enforce_admins, protection.required_linear_history) == (True, True)
        assert (protection.allow_force_pushes, protection.allow_deletions) == (False, False)
        assert [person.login for person in branch.get_user_push_restrictions()] == ["ada"]
        checks = branch.get_required_status_checks()
        assert (checks.strict, checks.contexts) == (True, ["ci"])
        branch.edit_required_status_checks(strict=False, contexts=["ci", "lint"])
        assert branch.get_required_status_checks().contexts == ["ci", "lint"]
        branch.remove_required_status_checks()
        branch.add_required_signatures()
        assert branch.get_required_signatures()
        branch.remove_required_signatures()
        branch.remove_admin_enforcement()
        assert not branch.get_admin_enforcement()
        branch.remove_protection()
        assert branch.protected
        with pytest.raises(GithubException):
            branch.get_protection()
        assert [found.name for found in repository.get_branches() if found.protected] == ["main"]
