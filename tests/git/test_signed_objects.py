"""Commits and tags taken apart as stock git does it."""

from pathlib import Path

import pytest
from tests.factories import git_repositories
from tests.factories.git_repositories import StockRepository
from tests.factories.signing import Gpg, gpg, make_ssh_key

from cairn.git import signed_objects
from cairn.git.history import Objects
from cairn.git.signed_objects import SignedObject, read_signed_objects, take_commit_apart, take_tag_apart
from cairn.git.types import Oid

__all__ = ["gpg"]

OID = Oid("1" * 40)
HEAD = b"tree %s\nauthor A <a@a.example> 1 +0000\ncommitter B <b@b.example> 2 +0000\n" % (b"2" * 40)


@pytest.fixture
def stock(tmp_path: Path) -> StockRepository:
    return git_repositories.init(tmp_path / "r")


async def read(stock: StockRepository, oid: Oid) -> SignedObject:
    return (await read_signed_objects(Objects(stock.git_dir), [oid]))[oid]


async def test_a_signed_commit_is_what_was_signed_and_the_signature(
    stock: StockRepository, gpg: Gpg, tmp_path: Path
) -> None:
    key = gpg.make_key("Ada <ada@example.org>")
    plain = stock.commit({"f": "1"}, "Plain\n\ngpgsig is a word here\n")
    signed = gpg.signing(stock, key).commit({"f": "2"}, "Signed")
    found = await read(stock, signed)
    raw = stock.git("cat-file", "commit", signed)
    assert found.signature is not None
    assert found.signature.startswith(b"-----BEGIN PGP SIGNATURE-----\n")
    assert found.signature.endswith(b"-----END PGP SIGNATURE-----\n")
    assert found.email == "grace@example.org"
    assert found.is_sound
    assert b"gpgsig" not in found.payload
    assert len(found.payload) < len(raw)
    # gpg itself says whether these are the bytes that were signed.
    (tmp_path / "signature").write_bytes(found.signature)
    gpg.run("--verify", str(tmp_path / "signature"), "-", stdin=found.payload)
    other = await read(stock, plain)
    assert (other.signature, other.payload) == (None, stock.git("cat-file", "commit", plain))


async def test_a_signed_tag_ends_with_its_signature(stock: StockRepository, tmp_path: Path) -> None:
    stock.commit({"f": "1"}, "One")
    make_ssh_key(tmp_path).signing(stock).git("tag", "-s", "v1", "-m", "One")
    stock.git("tag", "-a", "v2", "-m", "Two")
    found = await read(stock, stock.oid("v1"))
    assert found.signature is not None
    assert found.payload + found.signature == stock.git("cat-file", "tag", "v1")
    assert found.signature.startswith(b"-----BEGIN SSH SIGNATURE-----\n")
    assert found.payload.endswith(b"\n\nOne\n")
    assert found.email == "grace@example.org"
    assert (await read(stock, stock.oid("v2"))).signature is None


async def test_other_objects_and_absent_ones_are_left_out(stock: StockRepository) -> None:
    commit = stock.commit({"f": "1"}, "One")
    wanted = [commit, stock.oid("HEAD^{tree}"), stock.oid("HEAD:f"), OID]
    assert set(await read_signed_objects(Objects(stock.git_dir), wanted)) == {commit}


async def test_what_is_too_large_is_not_looked_into(stock: StockRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    oid = stock.commit({"f": "1"}, "x" * 500)
    monkeypatch.setattr(signed_objects, "SIGNED_BYTES_MAX", 400)
    found = await read(stock, oid)
    assert (found.is_whole, found.payload, found.signature) == (False, b"", None)


def test_a_commit_with_two_signatures_or_committers_is_not_sound() -> None:
    """The attack: one of two headers is shown and the other is checked."""
    one = b"gpgsig one\n 1\n"
    assert take_commit_apart(OID, HEAD + one + b"\nmessage").is_sound
    assert not take_commit_apart(OID, HEAD + one + one + b"\nmessage").is_sound
    assert not take_commit_apart(OID, HEAD + HEAD[46:] + one + b"\nmessage").is_sound
    assert not take_commit_apart(OID, HEAD.replace(b"committer ", b"other ") + one + b"\nmessage").is_sound


def test_the_signature_of_another_hash_is_no_part_of_what_was_signed() -> None:
    raw = HEAD + b"gpgsig one\n 1\n \n 2\ngpgsig-sha256 two\n 3\nencoding latin-1\n\nmessage\n gpgsig x\n"
    found = take_commit_apart(OID, raw)
    assert found.signature == b"one\n1\n\n2\n"
    assert found.payload == HEAD + b"encoding latin-1\n\nmessage\n gpgsig x\n"


def test_a_tag_without_a_tagger_is_sound_only_without_a_signature() -> None:
    raw = b"object %s\ntype commit\ntag v1\n\nOne\n" % (b"2" * 40)
    assert take_tag_apart(OID, raw).signature is None
    signed = take_tag_apart(OID, raw + b"-----BEGIN PGP SIGNATURE-----\nx\n")
    assert not signed.is_sound
    assert signed.payload == raw
