"""OpenPGP keys and signatures as stock gpg makes them, and hostile ones."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.factories.signing import Gpg, gpg

from cairn.identity.openpgp import OpenPgpInvalid, armor, is_signed_by, parse_certificate, read_signature

__all__ = ["gpg"]

DATA = b"tree 0\n\nmessage\n"


def test_a_key_is_read_with_its_subkeys(gpg: Gpg) -> None:
    key = gpg.make_key("Ada Lovelace <Ada@example.org>", usage="cert", expires="2y")
    gpg.run("--quick-add-uid", key, "ada@second.example")
    signs = gpg.add_subkey(key, expires="1y")
    encrypts = gpg.add_subkey(key, "cv25519", "encr")
    found = parse_certificate(gpg.export(key))
    assert [one.fingerprint for one in found.keys] == [key, signs, encrypts]
    assert [one.can_sign for one in found.keys] == [False, True, False]
    assert [one.can_certify for one in found.keys] == [True, False, False]
    assert [one.can_encrypt_comms for one in found.keys] == [False, False, True]
    assert [one.key_id for one in found.keys] == [one.fingerprint[-16:] for one in found.keys]
    assert set(found.emails) == {"ada@example.org", "ada@second.example"}
    primary, subkey, other = found.keys
    assert primary.expires_at is not None
    assert subkey.expires_at is not None
    assert subkey.expires_at < primary.expires_at
    assert other.expires_at is None
    again = parse_certificate(armor(found.data))
    assert again.keys == found.keys


@pytest.mark.parametrize("algorithm", ["ed25519", "rsa2048", "nistp384"])
def test_what_gpg_signs_holds_for_its_key_and_bytes_alone(gpg: Gpg, algorithm: str) -> None:
    key = gpg.make_key(f"{algorithm} <a@example.org>", algorithm)
    other = gpg.make_key(f"Not {algorithm} <b@example.org>")
    mine, others = parse_certificate(gpg.export(key)).data, parse_certificate(gpg.export(other)).data
    signature = gpg.sign(key, DATA)
    facts = read_signature(signature)
    assert facts.issuer_fingerprint == key
    assert facts.issuer_key_id == key[-16:]
    assert not facts.is_weak
    assert is_signed_by(mine, signature, DATA)
    assert not is_signed_by(mine, signature, DATA + b"x")
    assert not is_signed_by(others, signature, DATA)


def test_a_subkey_signs_for_its_primary_key(gpg: Gpg) -> None:
    key = gpg.make_key("Sub <sub@example.org>", usage="cert")
    subkey = gpg.add_subkey(key)
    certificate = parse_certificate(gpg.export(key)).data
    signature = gpg.sign(f"{subkey}!", DATA)
    assert read_signature(signature).issuer_fingerprint == subkey
    assert is_signed_by(certificate, signature, DATA)


def test_a_signature_counts_if_its_key_was_valid_when_it_was_made(gpg: Gpg) -> None:
    key = gpg.make_key("Old <old@example.org>", expires="30d", at="20240101T000000")
    expired = parse_certificate(gpg.export(key))
    in_time = gpg.sign(key, DATA, at="20240110T000000")
    gpg.run("--quick-set-expire", key, "10y", at="20240120T000000")
    late = gpg.sign(key, DATA, at="20240301T000000")
    extended = parse_certificate(gpg.export(key))
    assert is_signed_by(expired.data, in_time, DATA)
    assert not is_signed_by(expired.data, late, DATA)
    assert is_signed_by(extended.data, late, DATA)
    made_at = read_signature(late).created_at
    assert made_at is not None
    assert expired.keys[0].expires_at is not None
    assert expired.keys[0].expires_at < made_at


def test_a_signature_from_the_future_or_before_its_key_does_not_count(gpg: Gpg) -> None:
    key = gpg.make_key("Time <time@example.org>")
    certificate = parse_certificate(gpg.export(key)).data
    assert not is_signed_by(certificate, gpg.sign(key, DATA, at="20990101T000000"), DATA)
    assert not is_signed_by(certificate, gpg.sign(key, DATA, at="20200101T000000"), DATA)


def test_a_revoked_key_has_signed_nothing(gpg: Gpg) -> None:
    key = gpg.make_key("Lost <lost@example.org>")
    signature = gpg.sign(key, DATA)
    assert is_signed_by(parse_certificate(gpg.export(key)).data, signature, DATA)
    gpg.revoke(key)
    revoked = parse_certificate(gpg.export(key))
    assert revoked.keys[0].is_revoked
    assert not is_signed_by(revoked.data, signature, DATA)


@pytest.mark.parametrize("reason", [2, 3])
def test_a_key_that_was_only_replaced_has_signed_what_it_signed_before(gpg: Gpg, reason: int) -> None:
    key = gpg.make_key(f"Replaced {reason} <replaced@example.org>", at="20240101T000000")
    before, after = (gpg.sign(key, DATA, at=at) for at in ("20240110T000000", "20240301T000000"))
    gpg.revoke(key, reason=reason, at="20240201T000000")
    revoked = parse_certificate(gpg.export(key)).data
    assert is_signed_by(revoked, before, DATA)
    assert not is_signed_by(revoked, after, DATA)


def test_weak_hashes_do_not_count(gpg: Gpg) -> None:
    key = gpg.make_key("Weak <weak@example.org>", "rsa2048")
    signature = gpg.sign(key, DATA, "--digest-algo", "SHA1")
    assert read_signature(signature).is_weak
    assert not is_signed_by(parse_certificate(gpg.export(key)).data, signature, DATA)


def test_what_is_no_public_key_for_signing_is_refused_with_the_reason(gpg: Gpg) -> None:
    key = gpg.make_key("One <one@example.org>")
    two = gpg.export(key) + gpg.export(gpg.make_key("Two <two@example.org>"))
    only_certifies = gpg.export(gpg.make_key("Cert <cert@example.org>", usage="cert"))
    secret = gpg.run("--armor", "--export-secret-keys", key).decode()
    for text, reason in (
        ("", "starts with"),
        ("ssh-ed25519 AAAA", "starts with"),
        (secret, "private key"),
        (two, "2 keys"),
        (only_certifies, "cannot sign"),
        (gpg.export(gpg.make_key("Short <short@example.org>", "rsa1024")), "too weak"),
        (gpg.export(gpg.make_key("Pool <pool@example.org>", "brainpoolP256r1")), "not known here"),
        (gpg.export(key)[:200], "damaged"),
        (gpg.export(key).replace("\nm", "\nn", 1), "damaged"),
        ("-----BEGIN PGP PUBLIC KEY BLOCK-----\n" + "A" * 200_000, "the limit is"),
    ):
        with pytest.raises(OpenPgpInvalid, match=reason):
            parse_certificate(text)


def test_a_subkey_that_was_not_bound_by_its_primary_key_signs_nothing(gpg: Gpg) -> None:
    """The attack: Mallory puts Ada's signing subkey under a primary key of their own, to take over what she signed."""
    ada, mallory = gpg.make_key("Ada <a@a.example>", usage="cert"), gpg.make_key("Mallory <m@m.example>")
    subkey = gpg.add_subkey(ada)
    signature = gpg.sign(f"{subkey}!", DATA)
    assert is_signed_by(parse_certificate(gpg.export(ada)).data, signature, DATA)
    from pysequoia import Cert

    taken = bytes(Cert.from_bytes(gpg.export(ada).encode()))
    own = bytes(Cert.from_bytes(gpg.export(mallory).encode()))
    start = _subkey_start(taken)
    assert not is_signed_by(own + taken[start:], signature, DATA)


def _subkey_start(certificate: bytes) -> int:
    """Return where the first subkey's packet begins."""
    from pysequoia.packet import PacketPile, Tag

    at = 0
    for packet in PacketPile.from_bytes(certificate):
        if packet.tag == Tag.PublicSubkey:
            return at
        at += len(bytes(packet))
    raise AssertionError("no subkey")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_signature_or_refused(data: bytes) -> None:
    for text in (data, b"-----BEGIN PGP SIGNATURE-----\n\n" + data + b"\n-----END PGP SIGNATURE-----\n"):
        try:
            read_signature(text)
        except OpenPgpInvalid:
            continue


def test_every_changed_byte_of_a_signature_is_refused(gpg: Gpg) -> None:
    key = gpg.make_key("Bytes <bytes@example.org>")
    certificate = parse_certificate(gpg.export(key)).data
    signature = gpg.run("--dearmor", stdin=gpg.sign(key, DATA))
    assert is_signed_by(certificate, signature, DATA)
    hashed_part = 40
    for at in range(hashed_part):
        changed = signature[:at] + bytes([signature[at] ^ 1]) + signature[at + 1 :]
        try:
            assert not is_signed_by(certificate, changed, DATA)
        except OpenPgpInvalid:
            continue
