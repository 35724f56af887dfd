"""SSH keys: the kinds that are accepted, one account a key."""

import asyncio
import base64
import struct

import asyncssh
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from tests.factories.accounts import actor_of, make_account, with_token
from tests.factories.authentication import make_authentication

from cairn.base.actor import ANONYMOUS
from cairn.base.errors import Forbidden, NotFound, Unauthenticated
from cairn.db.database import Database
from cairn.identity import ssh_keys
from cairn.identity.authenticate import BadCredentials
from cairn.identity.ssh_keys import SshKeyInvalid, add_key, delete_key, list_keys, parse_public_key, read_key


def ed25519() -> str:
    return asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()


def rsa_key(bits: int) -> str:
    public = rsa.generate_private_key(65537, bits).public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def sk_ed25519() -> str:
    parts = (b"sk-ssh-ed25519@openssh.com", bytes(range(32)), b"ssh:")
    blob = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return "sk-ssh-ed25519@openssh.com " + base64.b64encode(blob).decode()


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"])
def test_modern_keys_are_read_with_the_fingerprint_that_ssh_keygen_prints(kind: str) -> None:
    private = asyncssh.generate_private_key(kind, comment="me@laptop")
    key = parse_public_key(f"  {private.export_public_key().decode()}\n")
    assert key.algorithm == kind
    assert key.fingerprint == private.get_fingerprint()
    assert key.fingerprint.startswith("SHA256:")
    assert key.comment == "me@laptop"
    assert key.text == " ".join(private.export_public_key().decode().split()[:2])


def test_security_keys_are_read() -> None:
    assert parse_public_key(sk_ed25519()).algorithm == "sk-ssh-ed25519@openssh.com"


def test_large_rsa_keys_are_read_and_small_ones_refused() -> None:
    assert parse_public_key(rsa_key(3072)).algorithm == "ssh-rsa"
    with pytest.raises(SshKeyInvalid, match="2,048 bits"):
        parse_public_key(rsa_key(2048))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ssh-dss AAAAB3NzaC1kc3MAAACBAP", "DSA"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nx", "private key"),
        ("", "no public key"),
        ("hello", "no public key"),
        ("ssh-ed25519 AAAA", "damaged"),
        ("ssh-ed25519 !!!!", "no public key"),
        ("ssh-ed448 AAAAC3NzaC1lZDI1NTE5", "not accepted"),
        ("ssh-ed25519-cert-v01@openssh.com AAAA", "not accepted"),
        ('command="rm -rf /" ssh-ed25519 AAAA', "no public key"),
        ("x" * 8193, "8,192"),
    ],
)
def test_other_texts_are_refused_with_a_sentence(text: str, says: str) -> None:
    with pytest.raises(SshKeyInvalid, match=says):
        parse_public_key(text)


def test_several_lines_are_refused() -> None:
    with pytest.raises(SshKeyInvalid, match="one key"):
        parse_public_key(f"{ed25519()}\n{ed25519()}")


def test_a_key_that_says_another_kind_is_refused() -> None:
    blob = ed25519().split()[1]
    with pytest.raises(SshKeyInvalid):
        parse_public_key(f"ecdsa-sha2-nistp256 {blob}")


def test_bytes_after_the_key_are_refused_or_do_not_matter() -> None:
    """Attack: the same key twice, in other bytes, signs in two accounts."""
    line = ed25519()
    algorithm, blob, *_ = line.split()
    longer = base64.b64encode(base64.b64decode(blob) + b"\0\0\0").decode()
    try:
        found = parse_public_key(f"{algorithm} {longer}")
    except SshKeyInvalid:
        return
    assert found.fingerprint == parse_public_key(line).fingerprint


@given(st.binary(max_size=80), st.sampled_from(["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"]))
def test_no_blob_breaks_the_parser(blob: bytes, algorithm: str) -> None:
    with pytest.raises(SshKeyInvalid):
        parse_public_key(f"{algorithm} {base64.b64encode(blob).decode()}")


async def test_a_key_signs_in_until_it_is_deleted(database: Database) -> None:
    parts = make_authentication(database)
    line = ed25519()
    fingerprint = parse_public_key(line).fingerprint
    async with database.write() as session:
        alice = await make_account(session, "alice")
        added = await add_key(session, actor_of(alice), alice.id, title="", text=f"{line} me@laptop")
    assert (added.title, added.fingerprint) == ("me@laptop", fingerprint)
    assert (await parts.authenticator.actor_of_fingerprint(fingerprint)).actor.account_id == alice.id
    async with database.write() as session:
        assert await list_keys(session, actor_of(alice), alice.id) == [added]
        await delete_key(session, actor_of(alice), alice.id, added.id)
        assert await list_keys(session, actor_of(alice), alice.id) == []
    with pytest.raises(BadCredentials):
        await parts.authenticator.actor_of_fingerprint(fingerprint)


async def test_a_key_belongs_to_one_account_only(database: Database) -> None:
    line = ed25519()
    async with database.write() as session:
        alice, mallory = await make_account(session), await make_account(session)
        await add_key(session, actor_of(alice), alice.id, title="a", text=line)
        for account in (alice, mallory):
            with pytest.raises(SshKeyInvalid, match="already in use") as refused:
                await add_key(session, actor_of(account), account.id, title="b", text=f"{line} other comment")
            assert refused.value.problems[0].code == "already_exists"


async def test_of_two_accounts_adding_one_key_at_once_one_gets_it(database: Database) -> None:
    line = ed25519()
    async with database.write() as session:
        people = [await make_account(session) for _ in range(3)]

    async def add(index: int) -> None:
        async with database.write() as session:
            await add_key(session, actor_of(people[index]), people[index].id, title="k", text=line)

    results = await asyncio.gather(*(add(index) for index in range(3)), return_exceptions=True)
    assert results.count(None) == 1
    assert sum(isinstance(result, SshKeyInvalid) for result in results) == 2


async def test_who_may_handle_keys(database: Database) -> None:
    async with database.write() as session:
        alice, mallory = await make_account(session), await make_account(session)
        key = await add_key(session, actor_of(alice), alice.id, title="k", text=ed25519())
        reader = with_token(actor_of(alice), "read:public_key")
        assert await read_key(session, reader, alice.id, key.id) == key
        await add_key(session, with_token(actor_of(alice), "write:public_key"), alice.id, title="x", text=ed25519())
        for actor, error in (
            (reader, Forbidden),
            (with_token(actor_of(alice), "repo", "user"), Forbidden),
            (actor_of(mallory), Forbidden),
            (ANONYMOUS, Unauthenticated),
        ):
            with pytest.raises(error):
                await add_key(session, actor, alice.id, title="m", text=ed25519())
            with pytest.raises(error):
                await delete_key(session, actor, alice.id, key.id)
        for stranger in (actor_of(mallory), with_token(actor_of(alice), "repo")):
            with pytest.raises(Forbidden):
                await list_keys(session, stranger, alice.id)
        with pytest.raises(NotFound):
            await read_key(session, actor_of(mallory), mallory.id, key.id)
        with pytest.raises(NotFound):
            await delete_key(session, actor_of(mallory), mallory.id, key.id)


async def test_an_account_holds_a_bounded_number_of_keys(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_keys, "KEYS_MAX", 1)
    async with database.write() as session:
        alice = await make_account(session)
        await add_key(session, actor_of(alice), alice.id, title="k", text=ed25519())
        with pytest.raises(SshKeyInvalid, match="at most 1"):
            await add_key(session, actor_of(alice), alice.id, title="k", text=ed25519())
