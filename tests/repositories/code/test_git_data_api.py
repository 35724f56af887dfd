"""Git's objects over REST: by id only what this repository reaches (A3, P-5)."""

import base64
from pathlib import Path
from typing import Any

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository, init
from tests.web.support import ORIGIN

from cairn.access.roles import Visibility
from cairn.repositories.code import git_data_api
from cairn.repositories.code.browse import Code


@pytest.fixture
async def stock(forge: Forge, tmp_path: Path) -> StockRepository:
    """Two commits, an annotated tag, a tag of a tag, a tag of a file."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    made = init(tmp_path / "stock")
    made.commit({"a": "1", "src/b": "22"}, "First")
    made.commit({"a": "333"}, "Second")
    made.git("tag", "-a", "v1", "-m", "Version one")
    made.git("tag", "-a", "signed-off", "-m", "Twice", "v1")
    made.git("tag", "file", "HEAD:a")
    await forge.push_refs(repository, made, "refs/heads/main", "refs/tags/v1", "refs/tags/signed-off", "refs/tags/file")
    return made


async def get(forge: Forge, path: str, **headers: str) -> Any:
    return await forge.api().get(f"/repos/ada/engine{path}", headers=headers)


async def test_a_ref_names_its_object_and_the_kind_of_it(forge: Forge, stock: StockRepository) -> None:
    body = (await get(forge, "/git/ref/heads/main")).json()
    assert body["ref"] == "refs/heads/main"
    assert body["object"] == {
        "type": "commit",
        "sha": stock.oid("main"),
        "url": f"{ORIGIN}/api/v3/repos/ada/engine/git/commits/{stock.oid('main')}",
    }
    tag = (await get(forge, "/git/ref/tags/v1")).json()["object"]
    assert (tag["type"], tag["sha"]) == ("tag", stock.oid("refs/tags/v1"))
    assert (await get(forge, "/git/ref/tags/file")).json()["object"]["type"] == "blob"
    for name in ("heads/mai", "heads", "main", "heads/nowhere"):
        assert (await get(forge, f"/git/ref/{name}")).status_code == 404, name


async def test_refs_are_found_by_the_start_of_their_name(forge: Forge, stock: StockRepository) -> None:
    async def names(path: str) -> list[str]:
        return [item["ref"] for item in (await get(forge, path)).json()]

    assert await names("/git/matching-refs/tags/") == ["refs/tags/file", "refs/tags/signed-off", "refs/tags/v1"]
    assert await names("/git/matching-refs/heads/ma") == ["refs/heads/main"]
    assert len(await names("/git/matching-refs")) == 4
    assert await names("/git/matching-refs/heads/nowhere") == []


async def test_too_many_refs_are_refused(forge: Forge, stock: StockRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_data_api, "REFS_MAX", 2)
    assert (await get(forge, "/git/matching-refs/tags")).status_code == 413


async def test_a_tree_is_listed_one_level_or_whole(forge: Forge, stock: StockRepository) -> None:
    tree = stock.oid("main^{tree}")
    for name in (tree, stock.oid("main"), "main", stock.oid("refs/tags/v1")):
        body = (await get(forge, f"/git/trees/{name}")).json()
        assert (body["sha"], body["truncated"]) == (tree, False)
        assert [(item["path"], item["mode"], item["type"], item.get("size")) for item in body["tree"]] == [
            ("a", "100644", "blob", 3),
            ("src", "040000", "tree", None),
        ]
    whole = (await get(forge, "/git/trees/main?recursive=1")).json()
    assert [item["path"] for item in whole["tree"]] == ["a", "src", "src/b"]
    assert (await forge.api().get(whole["tree"][2]["url"])).json()["size"] == 2
    assert (await get(forge, f"/git/trees/{stock.oid('main:a')}")).status_code == 404


async def test_a_tree_beyond_the_bound_says_that_it_is_truncated(
    forge: Forge, stock: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    defaults = Code.listing.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "max_entries", 2)
    body = (await get(forge, "/git/trees/main?recursive=true")).json()
    assert (body["truncated"], [item["path"] for item in body["tree"]]) == (True, ["a", "src"])


async def test_a_blob_comes_coded_or_as_it_is(forge: Forge, stock: StockRepository) -> None:
    oid = stock.oid("main:a")
    body = (await get(forge, f"/git/blobs/{oid}")).json()
    assert (base64.b64decode(body["content"]), body["encoding"], body["size"]) == (b"333", "base64", 3)
    assert (await get(forge, f"/git/blobs/{oid}", accept="application/vnd.github.raw")).text == "333"
    assert (await get(forge, f"/git/blobs/{oid[:10]}")).status_code == 422
    assert (await get(forge, f"/git/blobs/{stock.oid('main')}")).status_code == 404


async def test_commits_and_tags_are_objects_of_their_own(forge: Forge, stock: StockRepository) -> None:
    commit = (await get(forge, f"/git/commits/{stock.oid('main')}")).json()
    assert (commit["message"], commit["tree"]["sha"]) == ("Second", stock.oid("main^{tree}"))
    assert commit["verification"]["verified"] is False
    tag = (await get(forge, f"/git/tags/{stock.oid('refs/tags/v1')}")).json()
    assert (tag["tag"], tag["message"], tag["tagger"]["name"]) == ("v1", "Version one", "Grace")
    assert (tag["object"]["type"], tag["object"]["sha"]) == ("commit", stock.oid("main"))
    outer = (await get(forge, f"/git/tags/{stock.oid('refs/tags/signed-off')}")).json()
    assert (outer["object"]["type"], outer["object"]["sha"]) == ("tag", stock.oid("refs/tags/v1"))
    assert (await get(forge, f"/git/tags/{stock.oid('main')}")).status_code == 404


async def test_old_content_is_read_as_long_as_history_reaches_it(forge: Forge, stock: StockRepository) -> None:
    oid = stock.oid("main~1:a")
    assert (await get(forge, f"/git/blobs/{oid}", accept="application/vnd.github.raw")).text == "1"


async def test_an_object_of_another_repository_is_not_found_here(forge: Forge, stock: StockRepository) -> None:
    """The attack: read a private repository's objects by their ids through one that is public."""
    ada = forge.people["ada"]
    secret = await forge.repository(ada, "secret", visibility=Visibility.PRIVATE)
    commit = await forge.commit(ada, secret, {"plan": b"attack at dawn"})
    owned = forge.api(ada)
    blob = (await owned.get("/repos/ada/secret/contents/plan")).json()["sha"]
    tree = (await owned.get(f"/repos/ada/secret/git/commits/{commit}")).json()["tree"]["sha"]
    for client in (forge.api(), owned):
        for path in (f"git/blobs/{blob}", f"git/trees/{tree}", f"git/commits/{commit}", f"commits/{commit}"):
            assert (await client.get(f"/repos/ada/engine/{path}")).status_code == 404, path
        assert (await client.get(f"/repos/ada/engine/contents/plan?ref={commit}")).status_code == 404
    assert (await forge.api().get(f"/repos/ada/secret/git/blobs/{blob}")).status_code == 404


async def test_an_object_no_ref_reaches_is_not_found(forge: Forge, stock: StockRepository) -> None:
    assert (await get(forge, f"/git/blobs/{'1' * 40}")).status_code == 404
    assert (await get(forge, f"/git/trees/{'1' * 40}")).status_code == 404
