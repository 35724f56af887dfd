"""Who signed a commit or a tag, by the keys of accounts, and why a signature does not count.

A signature counts if a key made it that is, now, in the lists of the account whose verified address stands in the
commit as the committer's (in the tag as the tagger's). So nobody gains by adding a stranger's public key, and a key or
an address that is taken away takes its signatures along at once. The cryptography, which never changes its answer, is
kept; what keys and addresses say is asked each time, three statements for a whole page.
"""

import asyncio
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from cairn.base.clock import utc_now
from cairn.db.database import Database
from cairn.git.signed_objects import SignedObject
from cairn.git.types import Oid
from cairn.identity import openpgp, ssh_signatures
from cairn.identity.emails import EMAIL_LENGTH_MAX, account_of_noreply
from cairn.identity.models import Account, AccountEmail, GpgKey, SigningKey
from cairn.identity.openpgp import OpenPgpInvalid, SignatureFacts
from cairn.identity.ssh_signatures import SshSignature, SshSignatureInvalid

OBJECTS_MAX = 1000
"""Of more on one page, the rest is not looked at."""

OUTCOMES_MAX = 50_000


class Reason(StrEnum):
    """GitHub's words for what came of a signature."""

    VALID = "valid"
    UNSIGNED = "unsigned"
    UNKNOWN_KEY = "unknown_key"
    NO_USER = "no_user"
    UNVERIFIED_EMAIL = "unverified_email"
    BAD_EMAIL = "bad_email"
    INVALID = "invalid"
    MALFORMED_SIGNATURE = "malformed_signature"
    UNKNOWN_SIGNATURE_TYPE = "unknown_signature_type"
    EXPIRED_KEY = "expired_key"
    NOT_SIGNING_KEY = "not_signing_key"
    ERROR = "gpgverify_error"


class Finding(Enum):
    """What came of a signature: GitHub's reason, finer where that has one word for several, and a sentence."""

    VALID = (Reason.VALID, "The signature is by a key of the account whose verified address this carries.")
    UNSIGNED = (Reason.UNSIGNED, "There is no signature.")
    UNKNOWN_KEY = (Reason.UNKNOWN_KEY, "The key that made the signature is not in any account's list of signing keys.")
    SUSPENDED = (Reason.UNKNOWN_KEY, "The account whose key made the signature is suspended.")
    NO_USER = (Reason.NO_USER, "The signature holds, but the address here belongs to no account.")
    UNVERIFIED_EMAIL = (
        Reason.UNVERIFIED_EMAIL,
        "The signature holds, but its account has not verified the address that stands here.",
    )
    BAD_EMAIL = (Reason.BAD_EMAIL, "The signature holds, but the address here belongs to another account than the key.")
    INVALID = (Reason.INVALID, "The signature does not fit: something was changed, or another key made it.")
    WEAK = (Reason.INVALID, "The signature is made over SHA-1 or MD5, which can be forged.")
    MALFORMED = (Reason.MALFORMED_SIGNATURE, "The signature is damaged.")
    WRONG_NAMESPACE = (Reason.MALFORMED_SIGNATURE, "The SSH signature was made for something else than git.")
    UNKNOWN_TYPE = (Reason.UNKNOWN_SIGNATURE_TYPE, "Signatures of this kind are not checked here, only GPG and SSH.")
    EXPIRED_KEY = (Reason.EXPIRED_KEY, "The key had expired when it made the signature.")
    REVOKED_KEY = (Reason.EXPIRED_KEY, "The key that made the signature was revoked.")
    NOT_SIGNING_KEY = (Reason.NOT_SIGNING_KEY, "The key that made the signature is not meant for signing.")
    TOO_LARGE = (Reason.ERROR, "This is too large to be checked.")

    def __init__(self, reason: Reason, sentence: str) -> None:
        self.reason = reason
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of one object. ``signer`` is the account whose key it is, if that is known; the fingerprint the key's.

    ``signature`` is None where there is none; ``is_ssh`` says of which kind it is.
    """

    finding: Finding
    payload: bytes = b""
    signature: bytes | None = None
    is_ssh: bool = False
    fingerprint: str = ""
    signer: str = ""

    @property
    def is_verified(self) -> bool:
        """True if the signature counts."""
        return self.finding is Finding.VALID

    @property
    def is_signed(self) -> bool:
        """True if there is a signature at all, whatever came of it."""
        return self.signature is not None


UNSIGNED = Verification(Finding.UNSIGNED)


async def verify_objects(database: Database, host: str, objects: Iterable[SignedObject]) -> dict[Oid, Verification]:
    """Return what came of each object's signature, OBJECTS_MAX at most; three statements, the work in a thread.

    ``host`` is that of noreply addresses.
    """
    wanted = list(objects)[:OBJECTS_MAX]
    found: dict[Oid, Verification] = {}
    claims: list[_Claim] = []
    for one, read in await asyncio.to_thread(lambda: [(item, _read(item)) for item in wanted]):
        if isinstance(read, _Claim):
            claims.append(read)
        else:
            found[one.oid] = Verification(read, one.payload, one.signature)
    if claims:
        async with database.read() as session:
            known = await _load(session, host, claims)
        judged = await asyncio.to_thread(lambda: [(claim.object.oid, _judge(claim, known)) for claim in claims])
        found |= dict(judged)
    return found


@dataclass(frozen=True, slots=True)
class _Claim:
    """A signature that says which key made it; one of ``pgp`` and ``ssh`` is set."""

    object: SignedObject
    signature: bytes
    pgp: SignatureFacts | None = None
    ssh: SshSignature | None = None


def _read(one: SignedObject) -> "_Claim | Finding":
    if not one.is_whole:
        return Finding.TOO_LARGE
    signature = one.signature
    if signature is None:
        return Finding.UNSIGNED
    if not one.is_sound:
        return Finding.MALFORMED
    try:
        if signature.startswith(b"-----BEGIN SSH SIGNATURE-----"):
            return _Claim(one, signature, ssh=ssh_signatures.read_signature(signature))
        if signature.startswith((b"-----BEGIN PGP SIGNATURE-----", b"-----BEGIN PGP MESSAGE-----")):
            facts = openpgp.read_signature(signature)
            if not facts.issuer_fingerprint and not facts.issuer_key_id:
                return Finding.MALFORMED
            return _Claim(one, signature, pgp=facts)
    except (OpenPgpInvalid, SshSignatureInvalid):
        return Finding.MALFORMED
    return Finding.UNKNOWN_TYPE


@dataclass(frozen=True, slots=True)
class _Key:
    """A key of an account; a GPG key has the certificate it belongs to, an SSH key its text."""

    account_id: int
    login: str
    is_suspended: bool
    fingerprint: str
    key_id: str = ""
    certificate: bytes = b""
    text: str = ""
    can_sign: bool = True
    is_revoked: bool = False
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """What the database knows of some claims: keys, and for addresses (account, whether it is verified)."""

    gpg: Sequence[_Key]
    ssh: Sequence[_Key]
    emails: dict[str, tuple[int, bool]]


async def _load(session: AsyncSession, host: str, claims: Sequence[_Claim]) -> _Known:
    emails = await _emails(session, host, {claim.object.email.lower() for claim in claims})
    accounts = {account_id for account_id, _ in emails.values()}
    fingerprints = {claim.pgp.issuer_fingerprint for claim in claims if claim.pgp} - {""}
    key_ids = {claim.pgp.issuer_key_id for claim in claims if claim.pgp and not claim.pgp.issuer_fingerprint}
    gpg = await _gpg_keys(session, fingerprints, key_ids, accounts) if fingerprints or key_ids else []
    ssh_fingerprints = {claim.ssh.fingerprint for claim in claims if claim.ssh}
    ssh = await _ssh_keys(session, ssh_fingerprints, accounts) if ssh_fingerprints else []
    return _Known(gpg, ssh, emails)


async def _emails(session: AsyncSession, host: str, keys: set[str]) -> dict[str, tuple[int, bool]]:
    """Return whose each address is, and whether that is verified; a noreply address is its account's own."""
    keys = {key for key in keys if 0 < len(key) <= EMAIL_LENGTH_MAX and key.isprintable()}
    found = {key: (number, True) for key in keys if (number := account_of_noreply(host, key)) is not None}
    # uq_account_email_email_key
    rows = await session.execute(
        select(AccountEmail.email_key, AccountEmail.account_id, AccountEmail.verified_at).where(
            AccountEmail.email_key.in_(keys)
        )
    )
    return found | {key: (account_id, verified_at is not None) for key, account_id, verified_at in rows}


async def _gpg_keys(session: AsyncSession, fingerprints: set[str], key_ids: set[str], accounts: set[int]) -> list[_Key]:
    # ix_account_gpg_key_fingerprint, ix_account_gpg_key_key_id
    wanted = or_(GpgKey.fingerprint.in_(fingerprints), GpgKey.key_id.in_(key_ids))
    primary = aliased(GpgKey)
    rows = await session.execute(
        select(GpgKey, primary, Account.login, Account.suspended_at)
        .join(primary, primary.id == func.coalesce(GpgKey.primary_id, GpgKey.id))
        .join(Account, Account.id == GpgKey.account_id)
        .where(wanted, _own_or_first(GpgKey, wanted, accounts))
    )
    return [
        _Key(
            account_id=key.account_id,
            login=login,
            is_suspended=suspended_at is not None,
            fingerprint=key.fingerprint,
            key_id=key.key_id,
            certificate=whole.certificate or b"",
            can_sign=key.can_sign,
            is_revoked=key.is_revoked or whole.is_revoked,
            expires_at=min((at for at in (key.expires_at, whole.expires_at) if at is not None), default=None),
        )
        for key, whole, login, suspended_at in rows
    ]


async def _ssh_keys(session: AsyncSession, fingerprints: set[str], accounts: set[int]) -> list[_Key]:
    # ix_account_signing_key_fingerprint
    wanted = SigningKey.fingerprint.in_(fingerprints)
    rows = await session.execute(
        select(SigningKey, Account.login, Account.suspended_at)
        .join(Account, Account.id == SigningKey.account_id)
        .where(wanted, _own_or_first(SigningKey, wanted, accounts))
    )
    return [
        _Key(key.account_id, login, suspended_at is not None, key.fingerprint, text=key.public_key)
        for key, login, suspended_at in rows
    ]


def _own_or_first(
    kind: type[GpgKey] | type[SigningKey], wanted: ColumnElement[bool], accounts: set[int]
) -> ColumnElement[bool]:
    """Keep the keys of accounts whose address is asked about, and of each key the first row of all.

    Anybody may add anybody's public key, thousands of times: however many have, a page loads few rows.
    """
    first = select(func.min(kind.id)).where(wanted).group_by(kind.fingerprint)
    return or_(kind.account_id.in_(accounts), kind.id.in_(first))


def _judge(claim: _Claim, known: _Known) -> Verification:
    """Say what came of a signature: first of its key, then whether it holds, then whose address stands there."""
    candidates = _candidates(claim, known)
    email = known.emails.get(claim.object.email.lower())
    # Of several accounts with this key the one whose address it is, else the first.
    candidates.sort(key=lambda key: email is None or key.account_id != email[0])
    key = candidates[0] if candidates else None
    return Verification(
        Finding.UNKNOWN_KEY if key is None else _finding(claim, key, email),
        claim.object.payload,
        claim.signature,
        claim.ssh is not None,
        key.fingerprint if key else _said_fingerprint(claim),
        key.login if key else "",
    )


def _candidates(claim: _Claim, known: _Known) -> list[_Key]:
    # What the site itself will sign (commits made on its pages) is one more key to look for here.
    if claim.ssh is not None:
        return [key for key in known.ssh if key.fingerprint == claim.ssh.fingerprint]
    assert claim.pgp is not None, "a claim is of one kind"
    facts = claim.pgp
    if facts.issuer_fingerprint:
        return [key for key in known.gpg if key.fingerprint == facts.issuer_fingerprint]
    return [key for key in known.gpg if key.key_id == facts.issuer_key_id]


def _said_fingerprint(claim: _Claim) -> str:
    if claim.ssh is not None:
        return claim.ssh.fingerprint
    return (claim.pgp.issuer_fingerprint or claim.pgp.issuer_key_id) if claim.pgp else ""


def _finding(claim: _Claim, key: _Key, email: tuple[int, bool] | None) -> Finding:
    if key.is_suspended:
        return Finding.SUSPENDED
    if not _holds(claim, key):
        return _why_not(claim, key)
    if email is None:
        return Finding.NO_USER
    account_id, is_verified = email
    if account_id != key.account_id:
        return Finding.BAD_EMAIL
    return Finding.VALID if is_verified else Finding.UNVERIFIED_EMAIL


def _holds(claim: _Claim, key: _Key) -> bool:
    """Tell whether the key made the signature when it might; the answer for an object and a key is kept."""
    about = hashlib.sha256(key.certificate or key.text.encode()).digest()
    known = _outcomes.find(claim.object.oid, about)
    if known is None:
        if claim.ssh is not None:
            known = ssh_signatures.is_signed_by(key.text, claim.ssh, claim.object.payload)
        else:
            known = openpgp.is_signed_by(key.certificate, claim.signature, claim.object.payload)
        if known or not _is_from_the_future(claim):
            _outcomes.keep(claim.object.oid, about, holds=known)
    return known


def _is_from_the_future(claim: _Claim) -> bool:
    """Tell whether a signature says that it is not made yet: it does not hold now, and may hold one day."""
    made_at = claim.pgp.created_at if claim.pgp is not None else None
    return made_at is not None and made_at > utc_now()


def _why_not(claim: _Claim, key: _Key) -> Finding:
    if claim.ssh is not None:
        is_for_git = claim.ssh.namespace == ssh_signatures.NAMESPACE
        return Finding.INVALID if is_for_git else Finding.WRONG_NAMESPACE
    assert claim.pgp is not None, "a claim is of one kind"
    if not key.can_sign:
        return Finding.NOT_SIGNING_KEY
    if key.is_revoked:
        return Finding.REVOKED_KEY
    made_at = claim.pgp.created_at
    if key.expires_at is not None and made_at is not None and made_at >= key.expires_at:
        return Finding.EXPIRED_KEY
    return Finding.WEAK if claim.pgp.is_weak else Finding.INVALID


class _Outcomes:
    """Whether a key (by the hash of all of it) made an object's signature: both never change, nor does the answer."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[tuple[Oid, bytes], bool] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, oid: Oid, key: bytes) -> bool | None:
        """Return the answer; None if it is not known."""
        with self._lock:
            found = self._known.get((oid, key))
            if found is not None:
                self._known.move_to_end((oid, key))
            return found

    def keep(self, oid: Oid, key: bytes, *, holds: bool) -> None:
        """Remember an answer, and forget the one asked for least recently beyond the bound."""
        with self._lock:
            self._known[oid, key] = holds
            while len(self._known) > self._most:
                self._known.popitem(last=False)


# One for the program: a pure function's results, like those of functools.lru_cache, without the bytes they came from.
_outcomes = _Outcomes(OUTCOMES_MAX)
