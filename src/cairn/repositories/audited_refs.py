"""What an entry of the audit log says of refs that moved."""

from collections.abc import Sequence

from cairn.git.ref_transaction import RefUpdate
from cairn.git.types import show

AUDITED_REFS_MAX = 20
"""Refs an audit row names, with how many more there are; the events have all."""


def audited_refs(moving: Sequence[RefUpdate]) -> dict[str, str]:
    """Return old and new object id by the ref's name, and under ``more`` how many are left out."""
    details = {show(change.name): f"{change.old} {change.new}" for change in moving[:AUDITED_REFS_MAX]}
    if len(moving) > AUDITED_REFS_MAX:
        details["more"] = str(len(moving) - AUDITED_REFS_MAX)
    return details
