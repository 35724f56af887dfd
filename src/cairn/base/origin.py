"""Where a request came from: what the door knows and the audit log keeps."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """The peer's address (after trusted proxies) and the request's id; both empty for Cairn's own work."""

    address: str = ""
    request_id: str = ""


NOWHERE = Origin()
