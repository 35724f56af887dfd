"""The life of a repository from a template to its return: by pages, API, git over HTTP and SSH, large objects."""

import hashlib
from pathlib import Path
from typing import Any

from tests.stories.browser import Browser
from tests.stories.installation import Installation, commit_file, fails, git, installation, ssh_key
from tests.stories.people import join

LARGE = b"a large object\n" * 1000
OID = hashlib.sha256(LARGE).hexdigest()


def lfs(api: Any, path: str, operation: str) -> dict[str, Any]:
    body = {"operation": operation, "transfers": ["basic"], "objects": [{"oid": OID, "size": len(LARGE)}]}
    answer = api.post(f"{path}.git/info/lfs/objects/batch", json=body)
    if answer.status_code != 200:
        return {"status": answer.status_code}
    return dict(answer.json()["objects"][0])


def doors(cairn: Installation, path: str, secret: str, ssh: str, folder: Path) -> None:
    """Fail if any door still shows the repository."""
    with cairn.client(secret) as api:
        for address in (f"/repos/{path}", f"/repos/{path}/contents", f"/repos/{path}/stargazers"):
            assert api.get(f"/api/v3{address}").status_code == 404, address
        assert path not in api.get("/api/v3/user/repos").text
        assert path not in api.get("/api/v3/user/starred").text
        assert path not in api.get("/api/v3/search/repositories", params={"q": path.split("/")[1]}).text
    assert "not found" in fails("ls-remote", cairn.url(path, user="ada", secret=secret)).lower()
    assert "not found" in fails("ls-remote", cairn.ssh_url(path), ssh_command=ssh).lower()


def test_from_template_to_return(tmp_path: Path) -> None:
    with installation(tmp_path / "cairn") as cairn:
        (ada_pages, ada), (ben_pages, ben) = join(cairn, "ada"), join(cairn, "ben")
        line, ssh = ssh_key(tmp_path)
        with cairn.client(ada) as api:
            assert api.post("/api/v3/user/keys", json={"title": "laptop", "key": line}).is_success
            mould = {"name": "mould", "auto_init": True, "gitignore_template": "Python", "license_template": "mit"}
            assert api.post("/api/v3/user/repos", json=mould | {"is_template": True}).is_success
        # A template: the files, one commit, no history and no fork.
        with cairn.client(ada) as api:
            made = api.post("/api/v3/repos/ada/mould/generate", json={"name": "stone", "description": "Cut"}).json()
            assert (made["fork"], made["template_repository"]["full_name"]) == (False, "ada/mould")
            names = [one["name"] for one in api.get("/api/v3/repos/ada/stone/contents").json()]
            assert names == [".gitignore", "LICENSE", "README.md"]
        work = tmp_path / "work"
        git("clone", cairn.url("ada/stone", user="ada", secret=ada), work)
        assert git("rev-list", "--count", "HEAD", cwd=work).strip() == "1"
        git("config", "user.name", "Ada", cwd=work)
        git("config", "user.email", "ada@example.org", cwd=work)
        commit_file(work, "more", "1")
        git("push", "origin", "main", "main:side", cwd=work)
        head = git("rev-parse", "main", cwd=work).strip()

        # What must survive: a star, a deploy key, a large object; and a fork.
        with cairn.client(ada) as api:
            deploy, _ = ssh_key(tmp_path, "deploy")
            assert api.post("/api/v3/repos/ada/stone/keys", json={"title": "ci", "key": deploy}).is_success
            there = lfs_client(api, cairn, "ada", ada)
            sent = lfs(there, "/ada/stone", "upload")["actions"]["upload"]
            assert there.put(sent["href"], content=LARGE, headers=sent.get("header", {})).is_success
        with cairn.client(ben) as api:
            assert api.put("/api/v3/user/starred/ada/stone").status_code == 204
            assert api.get("/api/v3/user/starred/ada/stone").status_code == 204
            assert api.post("/api/v3/repos/ada/stone/forks", json={}).status_code == 202

        # Renamed: every old address leads on.
        with cairn.client(ada) as api:
            assert api.patch("/api/v3/repos/ada/stone", json={"name": "rock"}).json()["full_name"] == "ada/rock"
            assert api.get("/api/v3/repos/ada/stone").status_code == 301
        page = ben_pages.get("/ada/stone/commits")
        assert (page.status_code, page.headers["location"]) == (301, "/ada/rock/commits")
        for url, command in ((cairn.url("ada/stone", user="ada", secret=ada), ""), (cairn.ssh_url("ada/stone"), ssh)):
            assert head in git("ls-remote", url, ssh_command=command)

        # Archived: no door takes a push.
        with cairn.client(ada) as api:
            assert api.patch("/api/v3/repos/ada/rock", json={"archived": True}).json()["archived"] is True
            commit_file(work, "late", "1")
            refused = fails("push", cairn.url("ada/rock", user="ada", secret=ada), "main", cwd=work)
            refused_too = fails("push", cairn.ssh_url("ada/rock"), "main", cwd=work, ssh_command=ssh)
            assert "archived" in refused
            assert "archived" in refused_too
            assert api.patch("/api/v3/repos/ada/rock", json={"archived": False}).json()["archived"] is False

        # Deleted: absent by every door, its name free.
        browser = Browser(ada_pages)
        browser.open("/ada/rock/settings")
        with cairn.client(ada) as api:
            number = api.get("/api/v3/repos/ada/rock").json()["id"]
            assert api.delete("/api/v3/repos/ada/rock").status_code == 204
            for path in ("ada/rock", "ada/stone"):
                doors(cairn, path, ada, ssh, tmp_path)
                assert ada_pages.get(f"/{path}").status_code == 404
            assert api.get(f"/api/v3/repositories/{number}").status_code == 404
            assert lfs(lfs_client(api, cairn, "ada", ada), "/ada/rock", "download")["status"] == 404
            assert "rock" not in ada_pages.get("/ada").text
        with cairn.client(ben) as api:
            fork = api.get("/api/v3/repos/ben/stone").json()
            assert (fork["fork"], "parent" in fork) == (False, False)
            assert head in git("ls-remote", cairn.url("ben/stone", user="ben", secret=ben))
            assert api.get("/api/v3/user/deleted").json() == []
            assert api.post(f"/api/v3/user/deleted/{number}/restore", json={}).status_code == 404

        # Another one takes the name; what was deleted comes back under another.
        with cairn.client(ada) as api:
            other = api.post("/api/v3/user/repos", json={"name": "rock"}).json()
            assert other["id"] != number
            assert [one["full_name"] for one in api.get("/api/v3/user/deleted").json()] == ["ada/rock"]
            assert "ada/rock" in browser.open("/settings/deleted").text
            taken = api.post(f"/api/v3/user/deleted/{number}/restore", json={})
            assert (taken.status_code, taken.json()["errors"][0]["code"]) == (422, "already_exists")
            back = api.post(f"/api/v3/user/deleted/{number}/restore", json={"name": "boulder"}).json()
            assert (back["id"], back["full_name"], back["stargazers_count"]) == (number, "ada/boulder", 1)
            refs = {one["ref"] for one in api.get("/api/v3/repos/ada/boulder/git/matching-refs/heads").json()}
            assert refs == {"refs/heads/main", "refs/heads/side"}
            assert [one["title"] for one in api.get("/api/v3/repos/ada/boulder/keys").json()] == ["ci"]
            there = lfs_client(api, cairn, "ada", ada)
            got = lfs(there, "/ada/boulder", "download")["actions"]["download"]
            assert there.get(got["href"], headers=got.get("header", {})).content == LARGE
            assert api.get("/api/v3/repos/ada/rock").json()["id"] == other["id"]
        with cairn.client(ben) as api:
            assert [one["full_name"] for one in api.get("/api/v3/user/starred").json()] == ["ada/boulder"]
        for url, command in (
            (cairn.url("ada/boulder", user="ada", secret=ada), ""),
            (cairn.ssh_url("ada/boulder"), ssh),
        ):
            assert head in git("ls-remote", url, ssh_command=command)
        ada_pages.close()
        ben_pages.close()


def lfs_client(api: Any, cairn: Installation, user: str, secret: str) -> Any:
    """Return a client that signs in as git does."""
    del api
    return cairn.client(auth=(user, secret))
