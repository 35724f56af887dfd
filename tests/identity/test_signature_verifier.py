"""Whose signatures count: every reason, with commits and tags that stock git, gpg and ssh-keygen made."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, update
from tests.factories import git_repositories
from tests.factories.accounts import LONG_AGO, actor_of, make_account
from tests.factories.git_repositories import StockRepository
from tests.factories.signing import Gpg, gpg, make_ssh_key

from cairn.base.actor import Actor
from cairn.db.database import Database
from cairn.git.history import Objects
from cairn.git.signed_objects import read_signed_objects
from cairn.git.types import Oid
from cairn.identity import openpgp
from cairn.identity.gpg_keys import add_gpg_key, delete_gpg_key
from cairn.identity.models import Account, AccountEmail
from cairn.identity.signature_verifier import Finding, Verification, verify_objects
from cairn.identity.signing_keys import add_signing_key

__all__ = ["gpg"]

HOST = "forge.example"
ADA, BOB = "ada@example.test", "bob@example.test"


@pytest.fixture
def stock(tmp_path: Path) -> StockRepository:
    made = git_repositories.init(tmp_path / "r")
    made.commit({"f": "0"}, "Begin")
    return made


@pytest.fixture
async def people(database: Database) -> dict[str, Actor]:
    """Ada and Bob; their addresses are verified."""
    async with database.write() as session:
        made = {login: actor_of(await make_account(session, login)) for login in ("ada", "bob")}
        await session.execute(update(AccountEmail).values(verified_at=LONG_AGO))
    return made


async def verify(database: Database, stock: StockRepository, *oids: Oid) -> list[Verification]:
    objects = await read_signed_objects(Objects(stock.git_dir), oids)
    found = await verify_objects(database, HOST, objects.values())
    return [found[oid] for oid in oids]


async def finding(database: Database, stock: StockRepository, oid: Oid) -> Finding:
    [found] = await verify(database, stock, oid)
    return found.finding


async def add_gpg(database: Database, person: Actor, text: str) -> int:
    assert person.account_id is not None
    async with database.write() as session:
        return (await add_gpg_key(session, person, person.account_id, title="", text=text)).id


async def add_ssh(database: Database, person: Actor, text: str) -> int:
    assert person.account_id is not None
    async with database.write() as session:
        return (await add_signing_key(session, person, person.account_id, title="", text=text)).id


async def test_what_a_gpg_key_or_its_subkey_signed_counts(
    database: Database, people: dict[str, Actor], stock: StockRepository, gpg: Gpg
) -> None:
    key = gpg.make_key("Ada <ada@example.test>")
    subkey = gpg.add_subkey(key)
    await add_gpg(database, people["ada"], gpg.export(key))
    by_primary = gpg.signing(stock, f"{key}!", email=ADA).commit({"f": "1"}, "One")
    by_subkey = gpg.signing(stock, f"{subkey}!", email=ADA.upper()).commit({"f": "2"}, "Two")
    first, second = await verify(database, stock, by_primary, by_subkey)
    assert (first.finding, first.signer, first.fingerprint) == (Finding.VALID, "ada", key)
    assert (second.finding, second.signer, second.fingerprint) == (Finding.VALID, "ada", subkey)
    assert first.is_verified
    assert not first.is_ssh


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa"])
async def test_what_an_ssh_key_signed_counts_commits_and_tags(
    database: Database, people: dict[str, Actor], stock: StockRepository, tmp_path: Path, algorithm: str
) -> None:
    key = make_ssh_key(tmp_path, "ada", algorithm)
    await add_ssh(database, people["ada"], key.public)
    signing = key.signing(stock, email=ADA)
    commit = signing.commit({"f": "1"}, "One")
    signing.git("tag", "v1", "-m", "Version")
    found, tag = await verify(database, stock, commit, stock.oid("v1"))
    assert (found.finding, found.signer, found.is_ssh) == (Finding.VALID, "ada", True)
    assert tag.finding is Finding.VALID


async def test_a_noreply_address_is_its_accounts_own(
    database: Database, people: dict[str, Actor], stock: StockRepository, tmp_path: Path
) -> None:
    key = make_ssh_key(tmp_path)
    await add_ssh(database, people["ada"], key.public)
    mine = f"{people['ada'].account_id}+ada@users.noreply.{HOST}"
    other = f"{people['bob'].account_id}+ada@users.noreply.{HOST}"
    assert await finding(database, stock, key.signing(stock, email=mine).commit({}, "1")) is Finding.VALID
    assert await finding(database, stock, key.signing(stock, email=other).commit({}, "2")) is Finding.BAD_EMAIL


async def test_each_reason_has_its_word(
    database: Database, people: dict[str, Actor], stock: StockRepository, tmp_path: Path
) -> None:
    key, unknown = make_ssh_key(tmp_path, "known"), make_ssh_key(tmp_path, "unknown")
    await add_ssh(database, people["ada"], key.public)
    async with database.write() as session:
        session.add(
            AccountEmail(
                account_id=people["ada"].account_id, email="new@ada.test", email_key="new@ada.test", is_primary=False
            )
        )
    cases = {
        Finding.UNSIGNED: stock.commit({}, "Plain"),
        Finding.UNKNOWN_KEY: unknown.signing(stock, email=ADA).commit({}, "Unknown"),
        Finding.NO_USER: key.signing(stock, email="nobody@else.test").commit({}, "Nobody"),
        Finding.BAD_EMAIL: key.signing(stock, email=BOB).commit({}, "Not me"),
        Finding.UNVERIFIED_EMAIL: key.signing(stock, email="new@ada.test").commit({}, "Not proved"),
        Finding.VALID: key.signing(stock, email=ADA).commit({}, "Mine"),
    }
    found = await verify(database, stock, *cases.values())
    assert [one.finding for one in found] == list(cases)
    assert [one.finding.reason.value for one in found] == [
        *("unsigned", "unknown_key", "no_user", "bad_email", "unverified_email", "valid"),
    ]
    assert [one.is_verified for one in found] == [False] * 5 + [True]


async def rewritten(stock: StockRepository, oid: Oid, *changes: tuple[bytes, bytes]) -> Oid:
    """Return a copy of a commit with some bytes replaced, as somebody who forges it would make it."""
    raw = stock.git("cat-file", "commit", oid)
    for old, new in changes:
        assert old in raw
        raw = raw.replace(old, new)
    return Oid(stock.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=raw).decode().strip())


async def test_a_changed_commit_and_a_damaged_or_foreign_signature_do_not_count(
    database: Database, people: dict[str, Actor], stock: StockRepository, tmp_path: Path, gpg: Gpg
) -> None:
    key = make_ssh_key(tmp_path)
    await add_ssh(database, people["ada"], key.public)
    good = key.signing(stock, email=ADA).commit({}, "Pay 1")
    pgp = gpg.signing(stock, gpg.make_key("Ada <x@ada.test>"), email=ADA).commit({}, "Pay 1")
    forged = await rewritten(stock, good, (b"Pay 1", b"Pay 9"))
    damaged = await rewritten(stock, good, (b"U1NIU0lH", b"U1NIU0lI"))
    cut = await rewritten(
        stock, pgp, (b"\n -----END PGP SIGNATURE-----", b""), (b"gpgsig -----BEGIN PGP", b"gpgsig -----BEGIN PGP")
    )
    x509 = await rewritten(stock, good, (b"BEGIN SSH SIGNATURE", b"BEGIN SIGNED MESSAGE"))
    other = await rewritten(stock, good, (b"BEGIN SSH SIGNATURE", b"BEGIN SOMETHING ELSE"))
    assert await finding(database, stock, good) is Finding.VALID
    assert await finding(database, stock, forged) is Finding.INVALID
    assert await finding(database, stock, damaged) is Finding.MALFORMED
    assert await finding(database, stock, cut) in {Finding.MALFORMED, Finding.UNKNOWN_KEY}
    assert await finding(database, stock, x509) is Finding.UNKNOWN_TYPE
    assert await finding(database, stock, other) is Finding.UNKNOWN_TYPE


async def test_a_signature_for_another_namespace_does_not_count(
    database: Database, people: dict[str, Actor], stock: StockRepository, tmp_path: Path
) -> None:
    """The attack: Ada signed a text as a file; its signature is put under a commit that is that text."""
    key = make_ssh_key(tmp_path)
    await add_ssh(database, people["ada"], key.public)
    good = key.signing(stock, email=ADA).commit({}, "One")
    [taken] = (await read_signed_objects(Objects(stock.git_dir), [good])).values()
    assert taken.signature is not None
    as_header = taken.signature.rstrip(b"\n").replace(b"\n", b"\n ")
    foreign = key.sign(taken.payload, namespace="file").rstrip(b"\n").replace(b"\n", b"\n ")
    assert await finding(database, stock, await rewritten(stock, good, (as_header, foreign))) is Finding.WRONG_NAMESPACE


async def test_expired_revoked_and_other_keys_have_their_words(
    database: Database, people: dict[str, Actor], stock: StockRepository, gpg: Gpg
) -> None:
    old = gpg.make_key("Old <ada@example.test>", expires="30d", at="20240101T000000")
    await add_gpg(database, people["ada"], gpg.export(old))
    in_time = gpg.signing(stock, old, email=ADA, at="20240110T000000").commit({}, "In time")
    gpg.run("--quick-set-expire", old, "10y", at="20240120T000000")
    late = gpg.signing(stock, old, email=ADA, at="20240301T000000").commit({}, "Late")
    assert await finding(database, stock, in_time) is Finding.VALID
    assert await finding(database, stock, late) is Finding.EXPIRED_KEY
    lost = gpg.make_key("Lost <ada@example.test>")
    by_lost = gpg.signing(stock, lost, email=ADA).commit({}, "Before it was lost")
    whole = await add_gpg(database, people["ada"], gpg.export(lost))
    assert await finding(database, stock, by_lost) is Finding.VALID
    gpg.revoke(lost)
    async with database.write() as session:
        assert people["ada"].account_id is not None
        await delete_gpg_key(session, people["ada"], people["ada"].account_id, whole)
    assert await finding(database, stock, by_lost) is Finding.UNKNOWN_KEY
    await add_gpg(database, people["ada"], gpg.export(lost))
    assert await finding(database, stock, by_lost) is Finding.REVOKED_KEY
    assert Finding.REVOKED_KEY.reason.value == "expired_key"
    weak = gpg.make_key("Weak <ada@example.test>", "rsa2048")
    await add_gpg(database, people["ada"], gpg.export(weak))
    signing = gpg.signing(stock, weak, email=ADA, options="--digest-algo SHA1")
    assert await finding(database, stock, signing.commit({}, "Weak")) is Finding.WEAK


async def test_who_adds_somebody_elses_key_gains_nothing_and_takes_nothing(
    database: Database, people: dict[str, Actor], stock: StockRepository, tmp_path: Path, gpg: Gpg
) -> None:
    """The attack: Bob adds Ada's public keys first, so that hers are refused, or that what she signs becomes his."""
    ssh, pgp = make_ssh_key(tmp_path), gpg.make_key("Ada <two@ada.test>")
    for person in ("bob", "ada"):
        await add_ssh(database, people[person], ssh.public)
        await add_gpg(database, people[person], gpg.export(pgp))
    for signing in (ssh.signing(stock, email=ADA), gpg.signing(stock, pgp, email=ADA)):
        [found] = await verify(database, stock, signing.commit({}, "Mine"))
        assert (found.finding, found.signer) == (Finding.VALID, "ada")


async def test_a_suspended_account_signs_nothing(
    database: Database, people: dict[str, Actor], stock: StockRepository, tmp_path: Path
) -> None:
    key = make_ssh_key(tmp_path)
    await add_ssh(database, people["ada"], key.public)
    oid = key.signing(stock, email=ADA).commit({}, "One")
    assert await finding(database, stock, oid) is Finding.VALID
    async with database.write() as session:
        await session.execute(
            update(Account).where(Account.id == people["ada"].account_id).values(suspended_at=LONG_AGO)
        )
    assert await finding(database, stock, oid) is Finding.SUSPENDED
    assert Finding.SUSPENDED.reason.value == "unknown_key"


async def test_a_page_of_commits_costs_few_statements_and_each_is_verified_once(
    database: Database,
    people: dict[str, Actor],
    stock: StockRepository,
    tmp_path: Path,
    gpg: Gpg,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pgp, ssh = gpg.make_key("Ada <page@ada.test>"), make_ssh_key(tmp_path)
    await add_gpg(database, people["ada"], gpg.export(pgp))
    await add_ssh(database, people["ada"], ssh.public)
    signers = (gpg.signing(stock, pgp, email=ADA), ssh.signing(stock, email=ADA))
    oids = [signers[number % 2].commit({}, str(number)) for number in range(10)]
    statements: list[str] = []
    verified: list[bytes] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    honest = openpgp.is_signed_by

    def counted(certificate: bytes, signature: bytes, payload: bytes) -> bool:
        verified.append(payload)
        return honest(certificate, signature, payload)

    monkeypatch.setattr(openpgp, "is_signed_by", counted)
    event.listen(Engine, "before_cursor_execute", count)
    try:
        first = await verify(database, stock, *oids)
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert {one.finding for one in first} == {Finding.VALID}
    assert len(verified) == 5
    assert len([one for one in statements if one.startswith("SELECT account")]) == 3
    assert await verify(database, stock, *oids) == first
    assert len(verified) == 5
    forged = await rewritten(stock, oids[0], (b"\n\n0\n", b"\n\n9\n"))
    for _ in range(2):
        assert await finding(database, stock, forged) is Finding.INVALID
    assert len(verified) == 6


def test_every_finding_has_a_reason_of_githubs_and_a_sentence() -> None:
    reasons: Sequence[str] = [finding.reason.value for finding in Finding]
    assert set(reasons) <= {
        *("expired_key", "not_signing_key", "gpgverify_error", "gpgverify_unavailable", "unsigned"),
        *("unknown_signature_type", "no_user", "unverified_email", "bad_email", "unknown_key"),
        *("malformed_signature", "invalid", "valid"),
    }
    assert all(finding.sentence.endswith(".") for finding in Finding)


async def test_every_database_answers_whose_signature_it_is(
    any_database: Database, stock: StockRepository, tmp_path: Path, gpg: Gpg
) -> None:
    async with any_database.write() as session:
        ada = actor_of(await make_account(session, "ada"))
        await session.execute(update(AccountEmail).values(verified_at=LONG_AGO))
    ssh, pgp = make_ssh_key(tmp_path), gpg.make_key("Ada <every@ada.test>")
    subkey = gpg.add_subkey(pgp)
    await add_ssh(any_database, ada, ssh.public)
    await add_gpg(any_database, ada, gpg.export(pgp))
    by_ssh = ssh.signing(stock, email=ADA).commit({}, "1")
    by_gpg = gpg.signing(stock, f"{subkey}!", email=ADA).commit({}, "2")
    found = await verify(any_database, stock, by_ssh, by_gpg)
    assert [(one.finding, one.signer) for one in found] == [(Finding.VALID, "ada")] * 2
