"""Keys that sign, over REST, in GitHub's shape."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
from sqlalchemy import update
from tests.factories.accounts import LONG_AGO
from tests.factories.signing import Gpg, gpg
from tests.identity.web_support import People, open_people

from cairn.db.database import Database
from cairn.identity.models import AccountEmail

__all__ = ["gpg"]

GPG = "/api/v3/user/gpg_keys"
SSH = "/api/v3/user/ssh_signing_keys"
GPG_MEMBERS = {
    *("id", "name", "primary_key_id", "key_id", "public_key", "emails", "subkeys", "can_sign", "can_encrypt_comms"),
    *("can_encrypt_storage", "can_certify", "created_at", "expires_at", "revoked", "raw_key"),
}


@pytest.fixture
async def people(tmp_path: Path, database: Database) -> AsyncIterator[People]:
    async with open_people(tmp_path, database) as opened:
        yield opened


async def test_a_gpg_key_is_added_shown_and_deleted(people: People, gpg: Gpg) -> None:
    ada = await people.account("ada")
    async with people.database.write() as session:
        await session.execute(update(AccountEmail).values(verified_at=LONG_AGO))
    key = gpg.make_key("Ada <ada@example.test>", expires="1y")
    gpg.run("--quick-add-uid", key, "Ada <other@example.test>")
    subkey = gpg.add_subkey(key, "cv25519", "encr")
    client = people.program(await people.token(ada, "write:gpg_key"))
    made = await client.post(GPG, json={"name": "Laptop", "armored_public_key": gpg.export(key)})
    assert made.status_code == 201, made.text
    body = made.json()
    assert set(body) == GPG_MEMBERS
    assert (body["name"], body["key_id"], body["primary_key_id"]) == ("Laptop", key[-16:].upper(), None)
    assert {one["email"]: one["verified"] for one in body["emails"]} == {
        "ada@example.test": True,
        "other@example.test": False,
    }
    assert (body["can_sign"], body["can_certify"], body["can_encrypt_comms"]) == (True, True, False)
    assert body["expires_at"].endswith("Z")
    assert body["raw_key"].startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    [sub] = body["subkeys"]
    assert set(sub) == GPG_MEMBERS - {"name"}
    assert (sub["key_id"], sub["primary_key_id"], sub["raw_key"]) == (subkey[-16:].upper(), body["id"], None)
    assert (sub["can_sign"], sub["can_encrypt_comms"], sub["emails"], sub["subkeys"]) == (False, True, [], [])
    assert (await client.get(f"{GPG}/{body['id']}")).json() == body
    assert (await client.get(GPG)).json() == [body]
    assert (await people.program().get("/api/v3/users/ada/gpg_keys")).json() == [body]
    assert (await client.delete(f"{GPG}/{body['id']}")).status_code == 204
    assert (await client.get(f"{GPG}/{body['id']}")).status_code == 404


async def test_a_signing_key_is_added_shown_and_deleted(people: People) -> None:
    ada = await people.account("ada")
    text = asyncssh.generate_private_key("ssh-ed25519", comment="loom").export_public_key().decode().strip()
    client = people.program(await people.token(ada, "write:ssh_signing_key"))
    made = await client.post(SSH, json={"title": "Laptop", "key": text})
    assert made.status_code == 201, made.text
    body = made.json()
    assert set(body) == {"id", "key", "title", "created_at"}
    assert (body["title"], body["key"]) == ("Laptop", " ".join(text.split()[:2]))
    assert (await client.get(f"{SSH}/{body['id']}")).json() == body
    assert (await client.get(SSH)).json() == [body]
    assert (await people.program().get("/api/v3/users/ada/ssh_signing_keys")).json() == [body]
    assert (await people.program().get("/api/v3/users/ada/keys")).json() == []
    assert (await client.delete(f"{SSH}/{body['id']}")).status_code == 204
    assert (await client.get(SSH)).json() == []


async def test_what_is_no_key_is_refused_at_its_field(people: People) -> None:
    ada = await people.account("ada")
    client = people.program(await people.token(ada, "admin:gpg_key", "admin:ssh_signing_key"))
    for path, body, field in (
        (GPG, {"armored_public_key": "nothing"}, "armored_public_key"),
        (SSH, {"key": "nothing"}, "key"),
    ):
        answer = await client.post(path, json=body)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize("scope", ["", "repo", "admin:public_key"])
async def test_other_scopes_neither_list_nor_add(people: People, scope: str, gpg: Gpg) -> None:
    ada = await people.account("ada")
    client = people.program(await people.token(ada, *([scope] if scope else [])))
    for path in (GPG, SSH):
        assert (await client.get(path)).status_code == 403
    assert (await client.post(GPG, json={"armored_public_key": "x"})).status_code == 403
    assert (await client.post(SSH, json={"key": "x"})).status_code == 403
    assert (await people.program().get(GPG)).status_code == 401
