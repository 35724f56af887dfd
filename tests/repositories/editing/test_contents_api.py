"""PUT and DELETE of contents as clients use them: shapes, errors, races, who may."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.factories.forge import ApiClient, Forge, Person, open_forge
from tests.factories.forking import heads

from cairn.access.roles import Role, Visibility
from cairn.repositories.queries import RepositoryView

FILES = {"README.md": b"# Engine\n", "src/mill.py": b"1\n"}
AT = "/repos/ada/engine/contents/"


def coded(data: bytes) -> str:
    return base64.encodebytes(data).decode()


async def make(forge: Forge) -> tuple[Person, RepositoryView, ApiClient]:
    ada = await forge.person("ada")
    return ada, await forge.repository(ada, "engine", files=FILES), forge.api(ada)


async def put(api: ApiClient, path: str, content: bytes, /, **fields: Any) -> httpx2.Response:
    body = {"message": "Change", "content": coded(content)} | fields
    return await api.call("PUT", path if path.startswith("/repos") else AT + path, json=body)


async def sha_of(api: ApiClient, path: str) -> str:
    return str((await api.get(AT + path)).json()["sha"])


async def test_a_file_is_created_replaced_and_deleted(forge: Forge) -> None:
    _, repository, api = await make(forge)
    author = {"name": "Mona", "email": "mona@example.org", "date": "2024-01-02T03:04:05Z"}
    answer = await put(api, "docs/new%20file.md", b"one\n", author=author)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["content"]["path"], made["content"]["size"]) == ("docs/new file.md", 4)
    assert made["commit"]["author"] == author
    assert made["commit"]["committer"]["name"] == "ada"
    assert made["commit"]["message"] == "Change"
    assert (await api.get(made["content"]["url"])).json()["content"] == coded(b"one\n")
    answer = await put(api, "docs/new%20file.md", b"two\n", sha=made["content"]["sha"], branch="main")
    assert answer.status_code == 200, answer.text
    assert answer.json()["commit"]["parents"][0]["sha"] == made["commit"]["sha"]
    sha = answer.json()["content"]["sha"]
    answer = await api.call("DELETE", AT + "docs/new%20file.md", json={"message": "Away", "sha": sha})
    assert (answer.status_code, answer.json()["content"]) == (200, None), answer.text
    assert (await heads(forge, repository))["refs/heads/main"] == answer.json()["commit"]["sha"]
    assert (await api.get(AT + "docs")).status_code == 404
    sha = await sha_of(api, "src/mill.py")
    answer = await api.call("DELETE", AT + f"src/mill.py?message=Away&sha={sha}&branch=main")
    assert answer.status_code == 200, answer.text


async def test_the_first_file_of_an_empty_repository_makes_its_branch(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "empty")
    answer = await put(forge.api(ada), "/repos/ada/empty/contents/README.md", b"hello\n")
    assert answer.status_code == 201, answer.text
    assert answer.json()["commit"]["parents"] == []
    assert list(await heads(forge, repository)) == ["refs/heads/main"]


async def test_each_error_has_githubs_status_and_says_why(forge: Forge) -> None:
    _, repository, api = await make(forge)
    before = await heads(forge, repository)
    stale = "1" * 40
    cases: list[tuple[int, str, str, dict[str, Any]]] = [
        (422, 'Invalid request.\n\n"sha" wasn\'t supplied.', "README.md", {}),
        (409, f"README.md does not match {stale}", "README.md", {"sha": stale}),
        (422, "not an object id", "README.md", {"sha": "abc"}),
        (422, "not valid Base64", "x", {"content": "%%%"}),
        (422, "Say what this commit does", "x", {"message": ""}),
        (422, "is a folder", "src", {"sha": stale}),
        (422, "is a file", "README.md/x", {}),
        (422, "read it as .git", ".git/config", {}),
        (404, "Not Found", "x", {"branch": "nope"}),
        (422, "reserved", "x", {"branch": "gh-readonly-queue/x"}),
        (422, "is no time", "x", {"author": {"name": "a", "email": "a@b.c", "date": "tomorrow"}}),
        (422, "cannot be the name", "x", {"author": {"name": "<>", "email": "a@b.c"}}),
    ]
    for status, message, path, fields in cases:
        answer = await put(api, path, b"new\n", **fields)
        assert (answer.status_code, message in answer.json()["message"]) == (status, True), (path, fields, answer.text)
    sha = await sha_of(api, "README.md")
    answer = await put(api, "README.md", FILES["README.md"], sha=sha)
    assert (answer.status_code, "changes nothing" in answer.text) == (422, True)
    deletions: list[tuple[int, str, dict[str, Any]]] = [
        (422, "README.md", {"message": "m"}),
        (422, "README.md", {"sha": sha}),
        (409, "README.md", {"message": "m", "sha": stale}),
        (404, "gone", {"message": "m", "sha": stale}),
        (422, "src", {"message": "m", "sha": stale}),
    ]
    for status, path, fields in deletions:
        answer = await api.call("DELETE", AT + path, json=fields)
        assert answer.status_code == status, (path, fields, answer.text)
    assert await heads(forge, repository) == before


async def test_of_two_writers_with_the_same_sha_one_wins(forge: Forge) -> None:
    _, repository, api = await make(forge)
    sha = await sha_of(api, "README.md")
    answers = await asyncio.gather(*(put(api, "README.md", b"%d" % n, sha=sha) for n in range(2)))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    [won] = [answer.json() for answer in answers if answer.status_code == 200]
    assert (await heads(forge, repository))["refs/heads/main"] == won["commit"]["sha"]


async def test_who_may_not_write_changes_nothing(forge: Forge) -> None:
    ada, repository, _ = await make(forge)
    secret = await forge.repository(ada, "secret", visibility=Visibility.PRIVATE, files=FILES)
    ben, cleo = await forge.person("ben"), await forge.person("cleo")
    await forge.grant(repository, ben, Role.READ)
    await forge.grant(secret, ben, Role.READ)
    before = [await heads(forge, one) for one in (repository, secret)]
    callers = {
        "anonymous": (forge.api(), 401, 404),
        "reader": (forge.api(ben), 403, 403),
        "stranger": (forge.api(cleo), 403, 404),
        "token without a scope": (forge.api(await forge.token(ada.account)), 403, 404),
        "token of public repositories": (forge.api(await forge.token(ada.account, "read:user")), 403, 404),
    }
    for name, (api, on_public, on_private) in callers.items():
        for path, expected in (("engine", on_public), ("secret", on_private)):
            answer = await put(api, f"/repos/ada/{path}/contents/x", b"1")
            assert answer.status_code == expected, (name, path, answer.text)
            answer = await api.call("DELETE", f"/repos/ada/{path}/contents/README.md?message=m&sha={'1' * 40}")
            assert answer.status_code == expected, (name, path, answer.text)
    assert [await heads(forge, one) for one in (repository, secret)] == before
    answer = await forge.api(ada).call("PATCH", "/repos/ada/engine", json={"archived": True})
    assert answer.status_code == 200
    answer = await put(forge.api(ada), "x", b"1")
    assert (answer.status_code, "archived" in answer.json()["message"]) == (403, True)


async def test_a_file_beyond_the_limit_is_refused_with_its_name(tmp_path: Path, sqlite_template: Path) -> None:
    async with open_forge(tmp_path / "small", sqlite_template, settings={"max_file_bytes": 100}) as forge:
        _, _, api = await make(forge)
        answer = await put(api, "big", b"x" * 101)
        assert (answer.status_code, "CAIRN_MAX_FILE_BYTES" in answer.json()["message"]) == (413, True)


@pytest.mark.parametrize("path", ["src/mill.py", "src%2Fmill.py"])
async def test_a_renamed_repository_keeps_its_writers(forge: Forge, path: str) -> None:
    _, _, api = await make(forge)
    sha = await sha_of(api, "src/mill.py")
    await api.call("PATCH", "/repos/ada/engine", json={"name": "motor"})
    answer = await put(api, path, b"2\n", sha=sha)
    assert answer.status_code == 307, answer.text
    answer = await api.call(
        "PUT", answer.headers["location"], json={"message": "m", "content": coded(b"2\n"), "sha": sha}
    )
    assert answer.status_code == 200, answer.text
