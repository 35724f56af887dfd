"""OpenPGP keys and signatures, by Sequoia: pure functions on bytes, without keyring, network or child process.

Sequoia judges a signature as of the moment it was made: by a key that has expired since it still holds, by one that was
revoked as compromised it never does. SHA-1 and keys below 2,048 bits are no longer taken.
"""

import base64
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from pysequoia import Cert, Sig, verify
from pysequoia.packet import HashAlgorithm, Packet, PacketPile, SignatureType, Tag

KEY_TEXT_LENGTH_MAX = 128 << 10
CERTIFICATE_BYTES_MAX = 65_535
KEYS_MAX = 50
"""Of one certificate, the primary key included."""

EMAILS_MAX = 50
SIGNATURE_BYTES_MAX = 64 << 10

_PARSED_MAX = 64
"""So many are remembered, of CERTIFICATE_BYTES_MAX each."""

_PRIVATE = "This is a private key, which must never leave your machine: export the public key."
_NOT_TAKEN = (
    "This key is not taken: it says of itself what its signatures do not prove, or is of a kind that is too weak or "
    "not known here (RSA below 2,048 bits, signatures over SHA-1, Brainpool curves)."
)
_KEYS = (Tag.PublicKey, Tag.PublicSubkey)
_SECRET = (Tag.SecretKey, Tag.SecretSubkey)
_WEAK = (HashAlgorithm.MD5, HashAlgorithm.SHA1, HashAlgorithm.RipeMD)
_SELF_SIGNATURES = (
    SignatureType.DirectKey,
    SignatureType.GenericCertification,
    SignatureType.PersonaCertification,
    SignatureType.CasualCertification,
    SignatureType.PositiveCertification,
)


class OpenPgpInvalid(Exception):
    """The bytes are no such thing, or one that is not taken; the message is for whoever sent them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFacts:
    """One key of a certificate, as it says itself: for people, and to name the reason where a signature fails.

    ``fingerprint`` and ``key_id`` are lower-case hex; ``public_key`` is the key's packet in base64.
    """

    fingerprint: str
    key_id: str
    algorithm: str
    public_key: str
    can_sign: bool = False
    can_certify: bool = False
    can_encrypt_comms: bool = False
    can_encrypt_storage: bool = False
    is_revoked: bool = False
    made_at: datetime
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Certificate:
    """A public key with its subkeys: ``keys`` begins with the primary one. ``data`` is all of it, in binary."""

    data: bytes
    keys: tuple[KeyFacts, ...]
    emails: tuple[str, ...]
    name: str
    """What the key calls its holder first, or nothing."""


@dataclass(frozen=True, slots=True)
class SignatureFacts:
    """What a signature says of itself before anything is verified; ids are lower-case hex, empty if it has none."""

    issuer_fingerprint: str
    issuer_key_id: str
    created_at: datetime | None
    is_weak: bool
    """Made over a hash that can be forged."""


def parse_certificate(text: str) -> Certificate:
    """Read one public key as ``gpg --armor --export`` writes it; OpenPgpInvalid says what is wrong with it."""
    if len(text) > KEY_TEXT_LENGTH_MAX:
        raise OpenPgpInvalid(
            f"The key has {len(text):,} characters; the limit is {KEY_TEXT_LENGTH_MAX:,}. Export it without the "
            "signatures of others: gpg --armor --export-options export-minimal --export ID"
        )
    if "PRIVATE KEY BLOCK" in text:
        raise OpenPgpInvalid(_PRIVATE)
    if "BEGIN PGP PUBLIC KEY BLOCK" not in text:
        raise OpenPgpInvalid("This is no public key; it starts with '-----BEGIN PGP PUBLIC KEY BLOCK-----'.")
    with _reading("The key is damaged; paste the whole block."):
        data = text.strip().encode()
        has_secrets = any(packet.tag in _SECRET for packet in PacketPile.from_bytes(data))
        found = Cert.split_bytes(data)
    if has_secrets:
        raise OpenPgpInvalid(_PRIVATE)
    if len(found) != 1:
        raise OpenPgpInvalid(f"This block holds {len(found)} keys; add them one by one.")
    with _reading("The key is damaged; paste the whole block."):
        return _certificate(found[0])


def armor(certificate: bytes) -> str:
    """Return a certificate in the form that is pasted and imported."""
    return str(Cert.from_bytes(certificate))


def _certificate(cert: Cert) -> Certificate:
    data = bytes(cert)
    if len(data) > CERTIFICATE_BYTES_MAX:
        raise OpenPgpInvalid(
            f"The key has {len(data):,} bytes; the limit is {CERTIFICATE_BYTES_MAX:,}. Export it without pictures and "
            "the signatures of others: gpg --armor --export-options export-minimal --export ID"
        )
    reading = _read_packets(data, cert.fingerprint.lower())
    if len(reading.keys) > KEYS_MAX:
        raise OpenPgpInvalid(f"The key has more than {KEYS_MAX} subkeys.")
    with _reading(_NOT_TAKEN):
        primary = replace(reading.keys[0], is_revoked=cert.is_revoked, expires_at=cert.expiration)
    if not any(key.can_sign for key in (primary, *reading.keys[1:])):
        raise OpenPgpInvalid("This key cannot sign: neither it nor a subkey is made for signatures.")
    return Certificate(data, (primary, *reading.keys[1:]), tuple(reading.emails[:EMAILS_MAX]), reading.name)


@dataclass(slots=True)
class _Reading:
    """What was found so far. ``newest`` is when the self-signature was made that says how the last key may be used."""

    keys: list[KeyFacts] = field(default_factory=list)
    emails: list[str] = field(default_factory=list)
    name: str = ""
    newest: datetime | None = None


def _read_packets(data: bytes, primary: str) -> _Reading:
    found = _Reading()
    for packet in PacketPile.from_bytes(data):
        if packet.tag in _KEYS:
            found.keys.append(_key(packet))
            found.newest = None
        elif packet.tag == Tag.UserID:
            email = (packet.user_id_email or "").lower()
            if email and email not in found.emails:
                found.emails.append(email)
            found.name = found.name or packet.user_id or ""
        elif packet.tag == Tag.Signature and found.keys and _is_own(packet, primary):
            _apply(found, packet)
    return found


def _is_own(signature: Packet, primary: str) -> bool:
    fingerprint, key_id = signature.issuer_fingerprint, signature.issuer_key_id
    return fingerprint.lower() == primary if fingerprint else key_id is not None and primary.endswith(key_id.lower())


def _key(packet: Packet) -> KeyFacts:
    fingerprint, key_id, made_at = packet.fingerprint, packet.key_id, packet.key_created
    if fingerprint is None or key_id is None or made_at is None:
        raise OpenPgpInvalid("The key is of a kind that is not known here.")
    algorithm = str(packet.key_algorithm).rpartition(".")[2]
    public_key = base64.b64encode(bytes(packet)).decode("ascii")
    return KeyFacts(
        fingerprint=fingerprint.lower(),
        key_id=key_id.lower(),
        algorithm=algorithm,
        public_key=public_key,
        made_at=made_at,
    )


def _apply(found: _Reading, signature: Packet) -> None:
    """Take from a self-signature what it says of the last key: the newest one counts, a revocation always."""
    key, kind, made = found.keys[-1], signature.signature_type, signature.signature_created
    if kind == SignatureType.SubkeyRevocation:
        found.keys[-1] = replace(key, is_revoked=True)
        return
    is_about_key = kind == SignatureType.SubkeyBinding if len(found.keys) > 1 else kind in _SELF_SIGNATURES
    if not is_about_key or made is None or (found.newest is not None and made < found.newest):
        return
    found.newest = made
    flags, validity = signature.key_flags, signature.key_validity_period
    if flags is not None:
        key = replace(
            key,
            can_sign=flags.signing,
            can_certify=flags.certification,
            can_encrypt_comms=flags.transport_encryption,
            can_encrypt_storage=flags.storage_encryption,
        )
    elif len(found.keys) == 1:
        key = replace(key, can_sign=True, can_certify=True)  # keys from before there were flags
    found.keys[-1] = replace(key, expires_at=key.made_at + validity if validity else None)


def read_signature(signature: bytes) -> SignatureFacts:
    """Return what a detached signature says of itself; OpenPgpInvalid if it is none."""
    if len(signature) > SIGNATURE_BYTES_MAX:
        raise OpenPgpInvalid(f"The signature has {len(signature):,} bytes; the limit is {SIGNATURE_BYTES_MAX:,}.")
    with _reading("The signature is damaged."):
        found = Sig.from_bytes(signature)
        return SignatureFacts(
            (found.issuer_fingerprint or "").lower(),
            (found.issuer_key_id or "").lower(),
            found.created,
            found.hash_algorithm in _WEAK,
        )


def is_signed_by(certificate: bytes, signature: bytes, payload: bytes) -> bool:
    """Tell whether a key of the certificate made the signature over the payload when it might.

    OpenPgpInvalid for bytes that are no certificate or no signature.
    """
    with _reading("The key or the signature is damaged."):
        cert, sig = _parsed(certificate), Sig.from_bytes(signature)
    try:
        with _reading("The signature does not hold."):
            return bool(verify(bytes=payload, store=lambda ids: [cert], signature=sig).valid_sigs)
    except OpenPgpInvalid:
        return False


@functools.lru_cache(maxsize=_PARSED_MAX)
def _parsed(certificate: bytes) -> Cert:
    """Return a certificate, parsed once for all that it signed on a page."""
    return Cert.from_bytes(certificate)


@contextmanager
def _reading(message: str) -> Iterator[None]:
    """Turn whatever the library says of bytes from strangers into OpenPgpInvalid.

    A defect inside it arrives as a panic, which is no Exception: it must not end more than this reading.
    """
    try:
        yield
    except OpenPgpInvalid:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise OpenPgpInvalid(message) from None
