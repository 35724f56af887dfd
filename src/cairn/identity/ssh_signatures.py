"""Signatures by SSH keys, as ``ssh-keygen -Y sign -n git`` makes them. Source: PROTOCOL.sshsig of OpenSSH."""

import base64
import binascii
import hashlib
import re
import struct
from dataclasses import dataclass

import asyncssh

SIGNATURE_BYTES_MAX = 64 << 10
NAMESPACE = b"git"
"""What git signs in: a signature made for something else must not pass as one under a commit."""

_MAGIC = b"SSHSIG"
_VERSION = 1
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
_ARMOR = re.compile(rb"\s*-----BEGIN SSH SIGNATURE-----\s([A-Za-z0-9+/=\s]+)-----END SSH SIGNATURE-----\s*", re.DOTALL)
_REFUSED_ALGORITHMS = frozenset({b"ssh-rsa", b"ssh-dss"})
"""Signatures over SHA-1; RSA keys sign as rsa-sha2-256 or rsa-sha2-512."""


class SshSignatureInvalid(Exception):
    """The bytes are no signature, or one in a form that is not taken."""


@dataclass(frozen=True, slots=True)
class SshSignature:
    """A signature taken apart: ``fingerprint`` is its key's, as ssh-keygen prints it."""

    public_key: bytes
    fingerprint: str
    namespace: bytes
    hash_name: bytes
    signature: bytes


def read_signature(armored: bytes) -> SshSignature:
    """Take an armored signature apart; SshSignatureInvalid."""
    if len(armored) > SIGNATURE_BYTES_MAX:
        raise SshSignatureInvalid(f"The signature has {len(armored):,} bytes; the limit is {SIGNATURE_BYTES_MAX:,}.")
    match = _ARMOR.fullmatch(armored)
    if match is None:
        raise SshSignatureInvalid("This is no SSH signature.")
    try:
        blob = base64.b64decode(b"".join(match[1].split()), validate=True)
    except binascii.Error:
        raise SshSignatureInvalid("The signature is damaged.") from None
    if blob[:6] != _MAGIC or blob[6:10] != struct.pack(">I", _VERSION):
        raise SshSignatureInvalid("The signature is of a version that is not known here.")
    public_key, namespace, _, hash_name, signature = _strings(blob[10:], 5)
    digest = base64.b64encode(hashlib.sha256(public_key).digest()).decode("ascii").rstrip("=")
    return SshSignature(public_key, f"SHA256:{digest}", namespace, hash_name, signature)


def _strings(data: bytes, count: int) -> list[bytes]:
    """Return so many length-prefixed strings, which are all there is."""
    found: list[bytes] = []
    for _ in range(count):
        if len(data) < 4:
            raise SshSignatureInvalid("The signature is cut off.")
        (length,) = struct.unpack(">I", data[:4])
        if len(data) < 4 + length:
            raise SshSignatureInvalid("The signature is cut off.")
        found.append(data[4 : 4 + length])
        data = data[4 + length :]
    if data:
        raise SshSignatureInvalid("Something follows the signature.")
    return found


def is_signed_by(public_key: str, signature: SshSignature, payload: bytes) -> bool:
    """Tell whether the key (algorithm and base64) made the signature over the payload, for git."""
    hashing = _HASHES.get(signature.hash_name)
    if signature.namespace != NAMESPACE or hashing is None:
        return False
    parts = (signature.namespace, b"", signature.hash_name, hashing(payload).digest())
    signed = _MAGIC + b"".join(struct.pack(">I", len(part)) + part for part in parts)
    if _algorithm(signature.signature) in _REFUSED_ALGORITHMS:
        return False
    key = asyncssh.import_public_key(public_key)
    # Fewer bytes than a kind of key signs with, or another kind's, are an error of the library's parser.
    try:
        return key.public_data == signature.public_key and key.verify(signed, signature.signature)
    except (ValueError, asyncssh.Error):
        return False


def _algorithm(signature: bytes) -> bytes:
    (length,) = struct.unpack(">I", signature[:4].rjust(4, b"\0"))
    return signature[4 : 4 + length]
