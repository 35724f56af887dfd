"""A repository changes hands between two people, and every old address leads on: pages, API, git over HTTP and SSH."""

from pathlib import Path

import pytest
from tests.stories.browser import Browser
from tests.stories.installation import commit_file, git, installation, ssh_key, working_copy
from tests.stories.people import join


@pytest.mark.nightly
def test_after_a_transfer_with_consent_all_old_addresses_lead_on(tmp_path: Path) -> None:
    with installation(tmp_path / "cairn") as cairn:
        (olga_pages, olga), (sam_pages, sam) = join(cairn, "olga"), join(cairn, "sam")
        line, ssh = ssh_key(tmp_path)
        with cairn.client(sam) as api:
            assert api.post("/api/v3/user/keys", json={"title": "laptop", "key": line}).is_success
        with cairn.client(olga) as api:
            made = api.post("/api/v3/user/repos", json={"name": "gift", "private": True})
            work = working_copy(tmp_path / "work", {"README.md": "# Gift\n"})
            git("push", cairn.url("olga/gift", user="olga", secret=olga), "main", cwd=work)
            asked = api.post("/api/v3/repos/olga/gift/transfer", json={"new_owner": "sam"})
            assert (asked.status_code, asked.json()["full_name"]) == (202, "olga/gift")
        with cairn.client(sam) as api:
            assert api.get("/api/v3/repos/olga/gift").status_code == 404, "an offer lets nobody in"
        browser = Browser(sam_pages)
        assert "olga wants to give you olga/gift." in browser.open("/").text
        browser.open("/settings/transfers")
        taken = browser.submit(repository=str(made.json()["id"]), name="present")
        assert str(taken.url).endswith("/sam/present")

        old = cairn.url("olga/gift", user="sam", secret=sam)
        for number, (url, command) in enumerate([(old, ""), (cairn.ssh_url("olga/gift"), ssh)]):
            clone = tmp_path / f"clone{number}"
            git("clone", url, clone, ssh_command=command)
            git("config", "user.name", "Sam", cwd=clone)
            git("config", "user.email", "sam@example.org", cwd=clone)
            commit_file(clone, f"file{number}", "1")
            git("push", url, "main", cwd=clone, ssh_command=command)
        head = git("rev-parse", "main", cwd=tmp_path / "clone1").strip()
        with cairn.client(sam) as api:
            moved = api.get("/api/v3/repos/olga/gift/commits/main")
            assert moved.status_code == 301
            assert api.get(moved.headers["location"]).json()["sha"] == head
        page = sam_pages.get("/olga/gift/commits")
        assert (page.status_code, page.headers["location"]) == (301, "/sam/present/commits")
        # Olga stays with the write role; a new repository of hers takes the old name back.
        with cairn.client(olga) as api:
            may = api.get("/api/v3/repos/sam/present").json()["permissions"]
            assert (may["push"], may["admin"]) == (True, False)
            assert api.post("/api/v3/user/repos", json={"name": "gift"}).is_success
            assert api.get("/api/v3/repos/olga/gift").json()["full_name"] == "olga/gift"
        olga_pages.close()
