"""Files and folders over REST: every kind of entry, every form of answer."""

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from tests.factories.forge import ApiClient, Forge
from tests.factories.git_repositories import StockRepository, init
from tests.web.support import ORIGIN

from cairn.repositories.code import contents_api, raw_answer
from cairn.repositories.queries import RepositoryView

MODULES = '[submodule "lib"]\n\tpath = vendor/lib\n\turl = https://example.org/lib.git\n'
RAW = {"accept": "application/vnd.github.raw+json"}
OBJECT = {"accept": "application/vnd.github.object"}
ODD_NAME = b"caf\xe9 100%.txt"


def link(repository: StockRepository, path: str, target: bytes) -> None:
    oid = repository.git("hash-object", "-w", "--stdin", stdin=target).decode().strip()
    repository.git("update-index", "--add", "--cacheinfo", f"120000,{oid},{path}")


@pytest.fixture
async def everything(forge: Forge, tmp_path: Path) -> tuple[RepositoryView, StockRepository]:
    """A repository with a file, a folder, links, a submodule, a name that is no UTF-8, and an empty file."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    stock = init(tmp_path / "stock")
    first = stock.commit(
        {"README.md": "# Engine\n", "src/mill.py": "x = 1\n", "src/empty": "", "docs/readme.txt": "Hi"}
    )
    blob = stock.oid("HEAD:src/mill.py")
    stock.git("update-index", "--add", "-z", "--index-info", stdin=f"100644 {blob}\t".encode() + ODD_NAME + b"\0")
    link(stock, "src/to-file", b"../README.md")
    link(stock, "to-folder", b"src")
    link(stock, "away", b"../../etc/passwd")
    link(stock, "absolute", b"/etc/passwd")
    stock.write(".gitmodules", MODULES)
    stock.git("add", ".gitmodules")
    stock.git("update-index", "--add", "--cacheinfo", f"160000,{first},vendor/lib")
    stock.git("commit", "-q", "-m", "everything")
    stock.git("branch", "feature/x", first)
    await forge.push_refs(repository, stock, "refs/heads/main", "refs/heads/feature/x")
    return repository, stock


async def get(forge: Forge, path: str, **headers: str) -> Any:
    return await client(forge).get(f"/repos/ada/engine{path}", headers=headers)


def client(forge: Forge) -> ApiClient:
    return forge.api(forge.people["ada"])


async def test_a_file_comes_with_its_content_and_every_address(
    forge: Forge, everything: tuple[RepositoryView, StockRepository]
) -> None:
    body = (await get(forge, "/contents/src/mill.py")).json()
    oid = everything[1].oid("HEAD:src/mill.py")
    api, html = f"{ORIGIN}/api/v3/repos/ada/engine", f"{ORIGIN}/ada/engine"
    assert base64.b64decode(body.pop("content")) == b"x = 1\n"
    assert body == {
        "type": "file",
        "encoding": "base64",
        "size": 6,
        "name": "mill.py",
        "path": "src/mill.py",
        "sha": oid,
        "url": f"{api}/contents/src/mill.py?ref=main",
        "git_url": f"{api}/git/blobs/{oid}",
        "html_url": f"{html}/blob/main/src/mill.py",
        "download_url": f"{html}/raw/main/src/mill.py",
        "_links": {
            "self": f"{api}/contents/src/mill.py?ref=main",
            "git": f"{api}/git/blobs/{oid}",
            "html": f"{html}/blob/main/src/mill.py",
        },
    }
    for url in (body["url"], body["git_url"]):
        assert (await client(forge).get(url)).status_code == 200
    assert (await forge.browser().get(body["download_url"])).text == "x = 1\n"


async def test_a_file_comes_as_it_is_to_who_asks_for_raw(
    forge: Forge, everything: tuple[RepositoryView, StockRepository]
) -> None:
    answer = await get(forge, "/contents/src/mill.py", **RAW)
    assert answer.content == b"x = 1\n"
    assert answer.headers["content-type"] == "application/vnd.github.raw; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    empty = (await get(forge, "/contents/src/empty")).json()
    assert (empty["content"], empty["encoding"], empty["size"]) == ("", "base64", 0)


async def test_a_folder_lists_each_kind_of_entry(
    forge: Forge, everything: tuple[RepositoryView, StockRepository]
) -> None:
    listed = {item["name"]: item for item in (await get(forge, "/contents")).json()}
    assert (listed["src"]["type"], listed["src"]["size"], listed["src"]["download_url"]) == ("dir", 0, None)
    assert (listed["README.md"]["type"], listed["README.md"]["size"]) == ("file", 9)
    assert listed["to-folder"]["type"] == "symlink"
    assert "content" not in listed["README.md"]
    assert (await get(forge, "/contents/")).json() == (await get(forge, "/contents")).json()
    vendor = (await get(forge, "/contents/vendor")).json()
    assert [(item["type"], item["submodule_git_url"]) for item in vendor] == [("file", "https://example.org/lib.git")]
    whole = (await get(forge, "/contents/src", **OBJECT)).json()
    assert (whole["type"], [item["path"] for item in whole["entries"]]) == (
        "dir",
        ["src/empty", "src/mill.py", "src/to-file"],
    )


async def test_a_file_is_one_object_in_either_form_and_a_folder_has_no_raw_one(
    forge: Forge, everything: tuple[RepositoryView, StockRepository]
) -> None:
    plain = (await get(forge, "/contents/src/mill.py")).json()
    assert (await get(forge, "/contents/src/mill.py", **OBJECT)).json() == plain
    assert (await get(forge, "/contents/src", **RAW)).json() == (await get(forge, "/contents/src")).json()
    whole = (await get(forge, "/contents/vendor", **OBJECT)).json()
    [module] = whole["entries"]
    assert (module["type"], module["submodule_git_url"]) == ("file", "https://example.org/lib.git")
    assert whole["path"] == "vendor"


async def test_a_pointer_of_git_lfs_comes_as_what_it_is(forge: Forge) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'4d7a' * 16}\nsize 12345\n".encode()
    await forge.repository(await forge.person("ada"), "engine", files={"film.mov": pointer}, may_lack_objects=True)
    body = (await get(forge, "/contents/film.mov")).json()
    assert (base64.b64decode(body["content"]), body["size"]) == (pointer, len(pointer))
    assert (await get(forge, "/contents/film.mov", **RAW)).content == pointer


async def test_a_link_is_followed_to_a_file_and_nowhere_else(
    forge: Forge, everything: tuple[RepositoryView, StockRepository]
) -> None:
    followed = (await get(forge, "/contents/src/to-file")).json()
    assert (followed["type"], base64.b64decode(followed["content"])) == ("file", b"# Engine\n")
    for name, target in (("to-folder", "src"), ("away", "../../etc/passwd"), ("absolute", "/etc/passwd")):
        body = (await get(forge, f"/contents/{name}")).json()
        assert (body["type"], body["target"]) == ("symlink", target)
    assert (await get(forge, "/contents/away", **RAW)).text == "../../etc/passwd"


async def test_a_submodule_says_where_it_leads(
    forge: Forge, everything: tuple[RepositoryView, StockRepository]
) -> None:
    body = (await get(forge, "/contents/vendor/lib")).json()
    assert (body["type"], body["submodule_git_url"]) == ("submodule", "https://example.org/lib.git")
    assert body["html_url"] == f"https://example.org/lib/tree/{body['sha']}"


async def test_a_name_that_is_no_text_is_found_by_its_bytes(
    forge: Forge, everything: tuple[RepositoryView, StockRepository]
) -> None:
    answer = await get(forge, f"/contents/{quote_from_bytes(ODD_NAME)}", **RAW)
    assert answer.content == b"x = 1\n"


@pytest.mark.parametrize("ref", ["feature/x", "feature%2Fx", "refs/heads/feature/x", "heads/feature/x"])
async def test_a_ref_is_named_in_any_of_gits_ways(
    forge: Forge, everything: tuple[RepositoryView, StockRepository], ref: str
) -> None:
    listed = [item["name"] for item in (await get(forge, f"/contents?ref={ref}")).json()]
    assert "to-folder" not in listed
    assert "README.md" in listed
    by_id = await get(forge, f"/contents/README.md?ref={everything[1].oid('feature/x')}")
    assert by_id.status_code == 200


async def test_what_is_not_there_is_not_found(forge: Forge, everything: tuple[RepositoryView, StockRepository]) -> None:
    for path in ("/contents/nothing", "/contents/README.md/x", "/contents?ref=nowhere", f"/contents?ref={'1' * 40}"):
        answer = await get(forge, path)
        assert (answer.status_code, answer.json()["message"]) == (404, "Not Found"), path


async def test_a_readme_is_found_in_any_folder(
    forge: Forge, everything: tuple[RepositoryView, StockRepository]
) -> None:
    root = (await get(forge, "/readme")).json()
    assert (root["path"], base64.b64decode(root["content"])) == ("README.md", b"# Engine\n")
    assert (await get(forge, "/readme/docs")).json()["path"] == "docs/readme.txt"
    assert (await get(forge, "/readme/docs", **RAW)).text == "Hi"
    assert (await get(forge, "/readme/src")).status_code == 404


async def test_a_large_file_is_there_as_raw_only(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine", files={"big": b"12345678", "huge": b"1" * 100})
    monkeypatch.setattr(contents_api, "CONTENT_BYTES_MAX", 7)
    monkeypatch.setattr(raw_answer, "RAW_BYTES_MAX", 50)
    body = (await get(forge, "/contents/big")).json()
    assert (body["encoding"], body["content"], body["size"]) == ("none", "", 8)
    assert (await get(forge, "/contents/big", **RAW)).text == "12345678"
    too_large = await get(forge, "/contents/huge", **RAW)
    assert too_large.status_code == 413
    assert "more than the 50" in too_large.json()["message"]


async def test_a_folder_beyond_the_bound_is_refused_with_the_way_out(
    forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine", files={str(number): b"" for number in range(5)})
    monkeypatch.setattr(contents_api, "FOLDER_ENTRIES_MAX", 4)
    answer = await get(forge, "/contents")
    assert answer.status_code == 413
    assert "git trees" in answer.json()["message"]


async def test_an_empty_repository_has_no_contents(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    assert (await get(forge, "/contents")).status_code == 404
    assert (await get(forge, "/readme")).status_code == 404
