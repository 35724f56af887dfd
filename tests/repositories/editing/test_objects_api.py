"""Objects made one by one over REST, as Renovate and PyGithub do, and what keeps them and hides others."""

import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.factories.forge import ApiClient, Forge, Person
from tests.factories.forked_stores import sound
from tests.factories.forking import fork, heads

from cairn.git.collection import collect
from cairn.git.models import RefLog
from cairn.repositories.editing import new_objects
from cairn.repositories.queries import RepositoryView

AT = "/repos/ada/engine"
WHO = {"name": "Mona", "email": "mona@example.org", "date": "2024-01-02T03:04:05Z"}


async def make(forge: Forge) -> tuple[Person, RepositoryView, ApiClient, str]:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"a": b"0\n", "d/e": b"e\n", "d/f": b"f\n"})
    return ada, repository, forge.api(ada), (await heads(forge, repository))["refs/heads/main"]


async def post(api: ApiClient, path: str, status: int = 201, **body: Any) -> dict[str, Any]:
    answer = await api.call("POST", path if path.startswith("/repos") else f"{AT}/git/{path}", json=body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_commit_is_made_of_its_parts_and_lands_by_its_ref(forge: Forge, tmp_path: Path) -> None:
    _, repository, api, head = await make(forge)
    data = bytes(range(256)) * 10
    blob = await post(api, "blobs", content=base64.b64encode(data).decode(), encoding="base64")
    assert (await api.get(f"{AT}/git/blobs/{blob['sha']}")).json()["size"] == len(data)
    tree = await post(
        api,
        "trees",
        base_tree=head,
        tree=[
            {"path": "bin/run", "mode": "100755", "type": "blob", "sha": blob["sha"]},
            {"path": "d/new", "mode": "100644", "type": "blob", "content": "text\n"},
            {"path": "link", "mode": "120000", "type": "blob", "content": "bin/run"},
            {"path": "d/e", "mode": "100644", "type": "blob", "sha": None},
            {"path": "sub", "mode": "160000", "type": "commit", "sha": "5" * 40},
        ],
    )
    assert {entry["path"]: entry["mode"] for entry in tree["tree"]} == {
        "a": "100644",
        "bin": "040000",
        "d": "040000",
        "link": "120000",
        "sub": "160000",
    }
    # A whole folder stands in another tree under another name.
    folder = next(entry["sha"] for entry in tree["tree"] if entry["path"] == "d")
    copied = await post(api, "trees", base_tree=tree["sha"], tree=[{"path": "copy", "mode": "040000", "sha": folder}])
    commit = await post(api, "commits", message="Parts", tree=copied["sha"], parents=[head], author=WHO)
    assert (commit["author"], commit["committer"]) == (WHO, WHO)
    assert (await api.get(f"{AT}/git/commits/{commit['sha']}")).json()["message"] == "Parts"
    assert (await heads(forge, repository))["refs/heads/main"] == head
    answer = await api.call("PATCH", f"{AT}/git/refs/heads/main", json={"sha": commit["sha"]})
    assert answer.status_code == 200, answer.text
    assert (await api.get(f"{AT}/contents/copy/new")).json()["size"] == 5
    assert (await heads(forge, repository)) == {"refs/heads/main": commit["sha"]}
    await sound(forge.engine, repository.store_id, tmp_path / "sound")


async def test_a_tag_is_made_and_named(forge: Forge, tmp_path: Path) -> None:
    _, repository, api, head = await make(forge)
    tag = await post(api, "tags", tag="v1", message="One", object=head, type="commit", tagger=WHO)
    assert (tag["tag"], tag["message"], tag["object"]["sha"], tag["tagger"]) == ("v1", "One", head, WHO)
    assert (await api.get(f"{AT}/git/tags/{tag['sha']}")).json() == tag
    await post(api, f"{AT}/git/refs", ref="refs/tags/v1", sha=tag["sha"])
    assert (await api.get(f"{AT}/git/ref/tags/v1")).json()["object"]["type"] == "tag"
    await sound(forge.engine, repository.store_id, tmp_path / "sound")


async def test_a_signature_is_kept_to_the_letter(forge: Forge) -> None:
    _, _, api, head = await make(forge)
    tree = (await api.get(f"{AT}/git/commits/{head}")).json()["tree"]["sha"]
    armor = "-----BEGIN PGP SIGNATURE-----\n\niQEzBAABCAAdFiEE\n=abcd\n-----END PGP SIGNATURE-----"
    made = await post(
        api, "commits", message="Signed\n\nbody\n", tree=tree, parents=[head], author=WHO, signature=armor
    )
    assert made["verification"]["signature"].strip() == armor
    payload = (
        f"tree {tree}\nparent {head}\nauthor Mona <mona@example.org> 1704164645 +0000\n"
        "committer Mona <mona@example.org> 1704164645 +0000\n\nSigned\n\nbody\n"
    )
    assert made["verification"]["payload"] == payload
    error = await post(api, "commits", 422, message="m", tree=tree, signature="author Evil <e@e>\n\nx")
    assert "armor" in error["message"]


async def test_each_error_says_why(forge: Forge) -> None:
    _, repository, api, head = await make(forge)
    before = await heads(forge, repository)
    tree = (await api.get(f"{AT}/git/commits/{head}")).json()["tree"]["sha"]
    no = "1" * 40

    def entry(**fields: Any) -> dict[str, Any]:
        return {"tree": [{"path": "x"} | fields]}

    cases: list[tuple[str, dict[str, Any], str]] = [
        ("blobs", {"content": "%", "encoding": "base64"}, "not valid Base64"),
        ("blobs", {"content": "x", "encoding": "rot13"}, "send utf-8 or base64"),
        ("blobs", {}, '"content" wasn\'t supplied'),
        ("trees", entry(), "Must supply either tree.sha or tree.content"),
        ("trees", entry(sha=no, content="x"), "Must supply either"),
        ("trees", entry(sha=no), "Blob does not exist"),
        ("trees", entry(sha=tree), "Blob does not exist"),
        ("trees", entry(sha=no, mode="040000"), "Tree does not exist"),
        ("trees", entry(sha=no, mode="100600"), "'100600'"),
        ("trees", entry(content="x", mode="040000"), "is no tree"),
        ("trees", entry(content="x", type="tree"), "does not go with"),
        ("trees", entry(sha=None), "no 'x' to delete"),
        ("trees", entry(content="x", path="a/../b"), "is not a name"),
        ("trees", entry(content="x", path=".git/config"), "read it as .git"),
        ("trees", {"base_tree": no} | entry(content="x"), "Tree does not exist"),
        ("trees", {"tree": [{"path": "x", "content": "1"}, {"path": "x", "content": "2"}]}, "there twice"),
        ("commits", {"message": "m", "tree": no}, "Tree does not exist"),
        ("commits", {"message": "m", "tree": head}, "Tree does not exist"),
        ("commits", {"message": "m", "tree": tree, "parents": [no]}, "Commit does not exist"),
        ("commits", {"message": "m", "tree": tree, "parents": [head, head]}, "each of them once"),
        ("commits", {"message": "m\0", "tree": tree}, "NUL"),
        ("commits", {"message": "m", "tree": tree, "author": {"name": "", "email": "a@b"}}, "cannot be the name"),
        ("tags", {"tag": "a..b", "message": "m", "object": head}, "holds '..'"),
        ("tags", {"tag": "v1", "message": "m", "object": head, "type": "tree"}, "Tree does not exist"),
    ]
    for path, body, message in cases:
        answer = await api.call("POST", f"{AT}/git/{path}", json=body)
        assert (answer.status_code, message in answer.text.replace('\\"', '"')) == (422, True), (
            path,
            body,
            answer.text,
        )
    assert await heads(forge, repository) == before


async def test_what_no_ref_reaches_is_kept_for_fourteen_days_and_then_collected(forge: Forge, tmp_path: Path) -> None:
    _, repository, api, head = await make(forge)
    blob = (await post(api, "blobs", content="kept\n"))["sha"]
    assert (await heads(forge, repository)) == {"refs/heads/main": head}
    await collect(forge.engine, repository.store_id)
    assert (await api.get(f"{AT}/git/blobs/{blob}")).status_code == 200
    await sound(forge.engine, repository.store_id, tmp_path / "before")
    async with forge.database.write() as session:
        from sqlalchemy import select

        for line in await session.scalars(select(RefLog).where(RefLog.store_id == repository.store_id)):
            line.at -= timedelta(days=15)
    # Proofs are remembered for a while; another program has none.
    forge.engine.reachability._proved.clear()
    assert (await api.get(f"{AT}/git/blobs/{blob}")).status_code == 404
    answer = await api.call("POST", f"{AT}/git/trees", json={"tree": [{"path": "x", "sha": blob}]})
    assert answer.status_code == 422
    assert (await collect(forge.engine, repository.store_id)).dropped >= 1
    await sound(forge.engine, repository.store_id, tmp_path / "after")


async def test_objects_of_relatives_are_no_parts(forge: Forge) -> None:
    """Attack: a fork's blob or tree, known by its id, is put into a tree of one's own and read there."""
    ada, repository, api, _ = await make(forge)
    ben = await forge.person("ben")
    mine = await fork(forge, ben, repository)
    there = f"/repos/{mine.full_name}"
    blob = (await post(forge.api(ben), f"{there}/git/blobs", content="secret\n"))["sha"]
    tree = (await post(forge.api(ben), f"{there}/git/trees", tree=[{"path": "s", "sha": blob}]))["sha"]
    commit = (await post(forge.api(ben), f"{there}/git/commits", message="s", tree=tree))["sha"]
    later = await forge.commit(ada, repository, {"later": b"l\n"})
    for oid in (blob, tree, commit):
        assert (await api.get(f"{AT}/git/blobs/{oid}")).status_code == 404
    for body in ({"path": "x", "sha": blob}, {"path": "x", "sha": tree, "mode": "040000"}):
        await post(api, "trees", 422, tree=[body])
    await post(api, "trees", 422, base_tree=tree, tree=[{"path": "x", "content": "x"}])
    await post(api, "commits", 422, message="m", tree=tree)
    await post(api, "tags", 422, tag="t", message="m", object=commit)
    await post(forge.api(ben), f"{there}/git/tags", 422, tag="t", message="m", object=later)


async def test_a_repository_keeps_only_so_many(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, api, _ = await make(forge)
    monkeypatch.setattr(new_objects, "KEPT_MAX", 2)
    for content in ("1", "2"):
        await post(api, "blobs", content=content)
    answer = await api.call("POST", f"{AT}/git/blobs", json={"content": "3"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3600")
    assert "PUT contents" in answer.json()["message"]
