"""The hashes of the audit log: of an entry, of a range of entries, of a link of the chain. Pure functions.

An entry's hash covers every column. A link's covers its range, the entries' hashes and the hash of the link before, so
that whoever keeps one link's hash elsewhere (each is logged) knows that nothing before it has changed.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from cairn.audit.models import AuditEntry, AuditSeal

FIRST_PREVIOUS = "0" * 64
"""What stands for the hash before the first link."""
LEAF_BYTES = 16
_HALF = LEAF_BYTES // 2
_ENTRY_FORM = "cairn audit entry 1"
_SEAL_FORM = "cairn audit seal 1"


def entry_hash(entry: AuditEntry) -> bytes:
    """Return the SHA-256 of an entry as it stands in the table."""
    return _hash(
        _ENTRY_FORM,
        entry.id,
        _text(entry.at),
        entry.actor_id,
        entry.actor,
        entry.action,
        entry.target,
        entry.account_id,
        entry.organization_id,
        entry.repository_id,
        entry.address,
        entry.user_agent,
        entry.request_id,
        entry.details,
        entry.changes,
    )


def entries_hash(hashes: Iterable[tuple[int, bytes]]) -> str:
    """Return the hash of a range: of the ids and hashes of its entries, in order."""
    digest = hashlib.sha256()
    for entry_id, hashed in hashes:
        digest.update(entry_id.to_bytes(8, "big") + hashed)
    return digest.hexdigest()


def seal_hash(seal: AuditSeal) -> str:
    """Return the hash of a link as it stands in the table."""
    return _hash(
        _SEAL_FORM,
        seal.log_id,
        seal.number,
        seal.kind.value,
        seal.first_id,
        seal.last_id,
        seal.entries,
        _text(seal.newest_at),
        hashlib.sha256(seal.leaves).hexdigest(),
        seal.entries_sha256,
        seal.previous_sha256,
        _text(seal.sealed_at),
    ).hex()


def make_leaves(hashes: Iterable[tuple[int, bytes]]) -> bytes:
    """Return what a seal keeps of each entry: its id and the beginning of its hash."""
    return b"".join(entry_id.to_bytes(_HALF, "big") + hashed[:_HALF] for entry_id, hashed in hashes)


def read_leaves(leaves: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield id and beginning of the hash of each sealed entry."""
    for start in range(0, len(leaves), LEAF_BYTES):
        yield int.from_bytes(leaves[start : start + _HALF], "big"), leaves[start + _HALF : start + LEAF_BYTES]


def matches_leaf(hashed: bytes, leaf: bytes) -> bool:
    """Tell whether an entry's hash is the one a leaf remembers."""
    return hashed[:_HALF] == leaf


def _hash(*values: object) -> bytes:
    text = json.dumps(values, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
