"""SSH signatures: what ssh-keygen signs holds, and nothing else does."""

import base64
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.factories.signing import make_ssh_key

from cairn.identity.ssh_keys import parse_public_key
from cairn.identity.ssh_signatures import SshSignature, SshSignatureInvalid, is_signed_by, read_signature

PAYLOAD = b"tree 0\n\nmessage\n"


@pytest.mark.parametrize(("algorithm", "bits"), [("ed25519", 0), ("ecdsa", 256), ("ecdsa", 521), ("rsa", 3072)])
def test_what_ssh_keygen_signs_holds_for_its_key_and_bytes_alone(tmp_path: Path, algorithm: str, bits: int) -> None:
    key, other = make_ssh_key(tmp_path, "a", algorithm, bits), make_ssh_key(tmp_path, "b")
    known = parse_public_key(key.public)
    found = read_signature(key.sign(PAYLOAD))
    assert found.fingerprint == known.fingerprint
    assert found.namespace == b"git"
    assert is_signed_by(known.text, found, PAYLOAD)
    assert not is_signed_by(known.text, found, PAYLOAD + b"x")
    assert not is_signed_by(parse_public_key(other.public).text, found, PAYLOAD)


def test_a_signature_made_for_something_else_than_git_does_not_hold(tmp_path: Path) -> None:
    """The attack: somebody is brought to sign a text as a file or a mail, and it is used as their commit."""
    key = make_ssh_key(tmp_path)
    found = read_signature(key.sign(PAYLOAD, namespace="file"))
    assert found.namespace == b"file"
    assert not is_signed_by(parse_public_key(key.public).text, found, PAYLOAD)


def test_a_signature_over_sha1_is_refused(tmp_path: Path) -> None:
    key = make_ssh_key(tmp_path, "a", "rsa", 3072)
    text = parse_public_key(key.public).text
    found = read_signature(key.sign(PAYLOAD))
    old = found.signature.replace(b"\0\0\0\x0crsa-sha2-512", b"\0\0\0\x07ssh-rsa")
    assert old != found.signature
    forged = SshSignature(found.public_key, found.fingerprint, found.namespace, found.hash_name, old)
    assert not is_signed_by(text, forged, PAYLOAD)
    unknown = SshSignature(found.public_key, found.fingerprint, found.namespace, b"sha1", found.signature)
    assert not is_signed_by(text, unknown, PAYLOAD)


def test_every_cut_or_changed_signature_is_refused(tmp_path: Path) -> None:
    key = make_ssh_key(tmp_path)
    text = parse_public_key(key.public).text
    armored = key.sign(PAYLOAD)
    lines = armored.decode().splitlines()
    blob = base64.b64decode("".join(lines[1:-1]))
    held = 0
    for at in range(len(blob)):
        for changed in (blob[:at], blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]):
            body = base64.b64encode(changed)
            try:
                found = read_signature(b"-----BEGIN SSH SIGNATURE-----\n" + body + b"\n-----END SSH SIGNATURE-----\n")
            except SshSignatureInvalid:
                continue
            held += is_signed_by(text, found, PAYLOAD)
    assert held == 0


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_signature_or_refused(data: bytes) -> None:
    wrapped = b"-----BEGIN SSH SIGNATURE-----\n" + base64.b64encode(b"SSHSIG\0\0\0\1" + data) + b"\n"
    for text in (data, wrapped + b"-----END SSH SIGNATURE-----\n"):
        try:
            found = read_signature(text)
        except SshSignatureInvalid:
            continue
        assert found.fingerprint.startswith("SHA256:")


def test_a_signature_of_megabytes_is_refused() -> None:
    with pytest.raises(SshSignatureInvalid, match="the limit is"):
        read_signature(b"-----BEGIN SSH SIGNATURE-----\n" + b"A" * (1 << 20) + b"\n-----END SSH SIGNATURE-----\n")
