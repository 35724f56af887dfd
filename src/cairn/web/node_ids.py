"""Node ids: one opaque text for a thing, the same in REST (``node_id``) and GraphQL (``id``)."""

import base64
import binascii
import re
from dataclasses import dataclass

_FORM = re.compile(r"([A-Z][A-Za-z]{0,15})_([A-Za-z0-9_-]{1,64})")


@dataclass(frozen=True, slots=True)
class NodeId:
    """What a node id names: ``kind`` is GitHub's prefix (U, O, R, PR, I …), ``key`` our id as text."""

    kind: str
    key: str


def make_node_id(kind: str, key: int | str) -> str:
    """Return the node id of a thing, ``U_dTE`` for the user with id 1; ``read_node_id`` is the way back."""
    encoded = base64.urlsafe_b64encode(f"{kind.lower()}{key}".encode()).decode().rstrip("=")
    return f"{kind}_{encoded}"


def read_node_id(text: str) -> NodeId | None:
    """Return what a node id names, None if it is none of ours."""
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    kind, encoded = match[1], match[2]
    try:
        inner = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    key = inner.removeprefix(kind.lower())
    # Only the one spelling that make_node_id gives: equal things have equal ids.
    return NodeId(kind, key) if key and make_node_id(kind, key) == text else None
