"""Signatures on pages and over REST: what stock git signed is shown as verified, with the reason where it is not."""

import html
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from tests.factories.accounts import LONG_AGO
from tests.factories.forge import Forge, Person
from tests.factories.git_repositories import StockRepository, init
from tests.factories.signing import Gpg, SshKeyPair, gpg, make_ssh_key

from cairn.git.types import Oid
from cairn.identity.gpg_keys import add_gpg_key
from cairn.identity.models import AccountEmail
from cairn.identity.signing_keys import add_signing_key, delete_signing_key

__all__ = ["gpg"]

ADA = "ada@example.test"
R = "/repos/ada/engine"


@dataclass(frozen=True)
class World:
    """ada/engine with a plain commit, one by SSH, one by GPG, one by a stranger's key; and tags."""

    ada: Person
    stock: StockRepository
    ssh: SshKeyPair
    ssh_key_id: int
    plain: Oid
    by_ssh: Oid
    by_gpg: Oid
    by_stranger: Oid


@pytest.fixture
async def world(forge: Forge, tmp_path: Path, gpg: Gpg) -> World:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    ssh, stranger = make_ssh_key(tmp_path, "ada"), make_ssh_key(tmp_path, "stranger")
    key = gpg.make_key("Ada <key@ada.test>")
    async with forge.database.write() as session:
        await session.execute(update(AccountEmail).values(verified_at=LONG_AGO))
        added = await add_signing_key(session, ada.actor, ada.account.id, title="", text=ssh.public)
        await add_gpg_key(session, ada.actor, ada.account.id, title="", text=gpg.export(key))
    stock = init(tmp_path / "stock")
    plain = stock.commit({"f": "0"}, "Plain")
    by_ssh = ssh.signing(stock, email=ADA).commit({"f": "1"}, "By SSH")
    by_gpg = gpg.signing(stock, key, email=ADA).commit({"f": "2"}, "By GPG")
    by_stranger = stranger.signing(stock, email=ADA).commit({"f": "3"}, "By a stranger")
    gpg.signing(stock, key, email=ADA).git("tag", "-s", "signed", "-m", "Signed words")
    stock.git("tag", "-a", "plain", "-m", "Plain words")
    await forge.push_refs(repository, stock, "refs/heads/main", "refs/tags/signed", "refs/tags/plain")
    return World(ada, stock, ssh, added.id, plain, by_ssh, by_gpg, by_stranger)


async def verification(forge: Forge, path: str) -> Any:
    answer = await forge.api().get(f"{R}{path}")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["commit"]["verification"] if "commit" in body else body["verification"]


async def test_every_answer_with_a_commit_says_what_came_of_its_signature(forge: Forge, world: World) -> None:
    listed = (await forge.api().get(f"{R}/commits")).json()
    assert {one["sha"]: one["commit"]["verification"]["reason"] for one in listed} == {
        world.plain: "unsigned",
        world.by_ssh: "valid",
        world.by_gpg: "valid",
        world.by_stranger: "unknown_key",
    }
    for path in (f"/commits/{world.by_gpg}", f"/git/commits/{world.by_gpg}"):
        found = await verification(forge, path)
        assert set(found) == {"verified", "reason", "signature", "payload", "verified_at"}
        assert (found["verified"], found["reason"]) == (True, "valid")
        assert found["signature"].startswith("-----BEGIN PGP SIGNATURE-----")
        assert found["signature"].endswith("-----END PGP SIGNATURE-----")
        assert found["payload"] in world.stock.git("cat-file", "commit", world.by_gpg).decode().replace(
            "gpgsig " + found["signature"].replace("\n", "\n ") + "\n", ""
        )
    unsigned = await verification(forge, f"/commits/{world.plain}")
    assert unsigned == {
        "verified": False,
        "reason": "unsigned",
        "signature": None,
        "payload": None,
        "verified_at": None,
    }
    branch = (await forge.api().get(f"{R}/branches/main")).json()
    assert branch["commit"]["commit"]["verification"]["reason"] == "unknown_key"
    compared = (await forge.api().get(f"{R}/compare/{world.plain}...{world.by_gpg}")).json()
    assert [one["commit"]["verification"]["verified"] for one in compared["commits"]] == [True, True]
    assert compared["base_commit"]["commit"]["verification"]["reason"] == "unsigned"


async def test_a_tag_has_its_own_verification_and_its_message_without_the_signature(forge: Forge, world: World) -> None:
    signed = (await forge.api().get(f"{R}/git/tags/{world.stock.oid('signed')}")).json()
    assert (signed["verification"]["reason"], signed["message"]) == ("valid", "Signed words")
    assert signed["verification"]["signature"].startswith("-----BEGIN PGP SIGNATURE-----")
    plain = (await forge.api().get(f"{R}/git/tags/{world.stock.oid('plain')}")).json()
    assert (plain["verification"]["reason"], plain["message"]) == ("unsigned", "Plain words")


async def page(forge: Forge, path: str) -> str:
    answer = await forge.browser().get(f"/ada/engine{path}")
    assert answer.status_code == 200
    return html.unescape(answer.text)


async def test_pages_have_a_badge_that_says_why(forge: Forge, world: World) -> None:
    history = await page(forge, "/commits/main")
    assert re.findall(r'aria-label="(\w+) signature of commit (\w+)"', history) == [
        ("Unverified", world.by_stranger[:10]),
        ("Verified", world.by_gpg[:10]),
        ("Verified", world.by_ssh[:10]),
    ]
    one = await page(forge, f"/commit/{world.by_ssh}")
    assert "This signature counts" in one
    assert "SSH key" in one
    assert 'href="/ada">ada</a>' in one
    other = await page(forge, f"/commit/{world.by_stranger}")
    assert "This signature does not count" in other
    assert "not in any account's list of signing keys" in other
    assert "signature of" not in await page(forge, f"/commit/{world.plain}")
    tags = await page(forge, "/tags?wait=1")
    assert tags.count("Verified signature of tag") == 1
    assert "BEGIN PGP" not in tags
    compared = await page(forge, f"/compare/{world.plain}...{world.by_gpg}")
    assert compared.count("Verified signature of commit") == 2


async def test_a_key_that_is_deleted_takes_its_signatures_along(forge: Forge, world: World) -> None:
    async with forge.database.write() as session:
        await delete_signing_key(session, world.ada.actor, world.ada.account.id, world.ssh_key_id)
    assert (await verification(forge, f"/commits/{world.by_ssh}"))["reason"] == "unknown_key"
    assert (await verification(forge, f"/commits/{world.by_gpg}"))["reason"] == "valid"
