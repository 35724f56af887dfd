"""A2: a token opens the same, whichever way it is carried, for reading and writing, over pages' API, git and LFS."""

import base64
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256

import httpx2
import pytest
from tests.factories.pushes import EMPTY_PACK, push_request
from tests.stories.installation import Installation, git, installation, working_copy
from tests.stories.people import join, make_token

from cairn.git.types import ZERO_OID, Oid

PUSH = {"content-type": "application/x-git-receive-pack-request"}
SCOPES = {"repo": ("repo",), "public": ("public_repo",), "narrow": ("read:user",)}


def basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def carriers(token: str) -> dict[str, str]:
    """Return the Authorization header of each way to send a token."""
    return {
        "bearer": f"Bearer {token}",
        "token": f"token {token}",
        "password of the owner": basic("ada", token),
        "password of anything": basic("x-access-token", token),
        "name without password": basic(token, ""),
        "name before x-oauth-basic": basic(token, "x-oauth-basic"),
    }


@dataclass
class World:
    """A running Cairn with ``ada/secret`` (private) and ``ada/open``, and Ada's tokens by what they may do."""

    cairn: Installation
    tokens: dict[str, str]
    head: Oid


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("carriers")
    with installation(folder / "site", program="web") as cairn:
        pages, token = join(cairn, "ada")
        with closing(pages):
            tokens = {name: make_token(cairn, pages, scopes) for name, scopes in SCOPES.items()}
        work = working_copy(folder / "work")
        with cairn.client(token) as client:
            for name, is_private in (("secret", True), ("open", False)):
                made = client.post("/api/v3/user/repos", json={"name": name, "private": is_private})
                assert made.status_code == 201
                git("push", "-q", cairn.url(f"ada/{name}", user="ada", secret=token), "main", cwd=work)
        head = Oid(git("rev-parse", "HEAD", cwd=work).strip())
        revoked = token[:-1] + ("a" if token[-1] != "a" else "b")
        yield World(cairn, tokens | {"everything": token, "wrong": revoked}, head)


def outcomes(world: World, header: str, marker: str) -> dict[str, int | bool]:
    """Return what each request amounts to; ``marker`` names what is written, so that nothing is there before."""
    found: dict[str, int | bool] = {}
    with httpx2.Client(
        base_url=world.cairn.origin, headers={"authorization": header}, timeout=60, trust_env=False
    ) as client:
        found["who"] = client.get("/api/v3/user").status_code
        found["keys"] = client.get("/api/v3/user/keys").status_code
        for name in ("secret", "open"):
            found[f"{name}: read"] = client.get(f"/api/v3/repos/ada/{name}").status_code
            found[f"{name}: page"] = client.get(f"/ada/{name}").status_code
            found[f"{name}: raw"] = client.get(f"/ada/{name}/raw/main/README.md").status_code
            written = client.patch(f"/api/v3/repos/ada/{name}", json={"description": marker})
            found[f"{name}: write"] = written.status_code
            for service in ("git-upload-pack", "git-receive-pack"):
                address = f"/ada/{name}.git/info/refs?service={service}"
                found[f"{name}: {service}"] = client.get(address).status_code
            body = push_request([(f"refs/heads/{marker}".encode(), ZERO_OID, world.head)]) + EMPTY_PACK
            pushed = client.post(f"/ada/{name}.git/git-receive-pack", content=body, headers=PUSH)
            found[f"{name}: push"] = pushed.status_code
            found[f"{name}: pushed"] = f"ok refs/heads/{marker}" in pushed.text
            for operation in ("download", "upload"):
                batch: dict[str, object] = {"operation": operation, "objects": []}
                answer = client.post(f"/ada/{name}.git/info/lfs/objects/batch", json=batch)
                found[f"{name}: LFS {operation}"] = answer.status_code
            address = f"/ada/{name}.git/info/lfs/objects/{sha256(marker.encode()).hexdigest()}"
            found[f"{name}: large object"] = client.put(address, content=marker.encode()).status_code
            locked = client.post(f"/ada/{name}.git/info/lfs/locks", json={"path": marker})
            found[f"{name}: lock"] = locked.status_code
    return found


def test_a_token_opens_the_same_whichever_way_it_is_carried(world: World) -> None:
    """SSH carries keys and no tokens; keys by door: ``tests/stories/test_every_actor.py``."""
    by_token: dict[str, dict[str, int | bool]] = {}
    for kind, token in world.tokens.items():
        answers = {
            how: outcomes(world, header, f"{kind}-{number}")
            for number, (how, header) in enumerate(carriers(token).items())
        }
        wrong = [
            f"{kind} token, {request}: {how} {found[request]}, bearer {answers['bearer'][request]}"
            for how, found in answers.items()
            for request in found
            if found[request] != answers["bearer"][request]
        ]
        assert not wrong, "\n".join(wrong)
        by_token[kind] = answers["bearer"]
    # The table is one in which something differs: each of these tokens may something else.
    reads = {kind: (found["secret: read"], found["open: read"]) for kind, found in by_token.items()}
    assert reads == {
        "everything": (200, 200),
        "repo": (200, 200),
        "public": (404, 200),
        "narrow": (404, 200),
        "wrong": (401, 401),
    }
    for kind, found in by_token.items():
        for name in ("secret", "open"):
            assert found[f"{name}: LFS download"] == found[f"{name}: git-upload-pack"], kind
            assert found[f"{name}: LFS upload"] == found[f"{name}: git-receive-pack"], kind
            assert (found[f"{name}: large object"] == 200) == found[f"{name}: pushed"], kind
            assert (found[f"{name}: lock"] == 201) == found[f"{name}: pushed"], kind
    pushes = {kind: (found["secret: pushed"], found["open: pushed"]) for kind, found in by_token.items()}
    assert pushes == {
        "everything": (True, True),
        "repo": (True, True),
        "public": (False, True),
        "narrow": (False, False),
        "wrong": (False, False),
    }
