"""What can go wrong with the object store, in words that show no endpoint, header or credential.

OpenDAL's errors carry neither a code nor a flag: the kind and whether a retry may help stand only in the text
(``NotFound (permanent) at stat …``), and an open file raises the same text as OSError. ``explain`` reads it once.
"""

import re
from collections.abc import Callable

from opendal import exceptions

from cairn.base.errors import CairnError, Conflict, Invalid, Misconfigured, NotFound, TooLarge, Unavailable

OPENDAL_ERRORS: tuple[type[Exception], ...] = (
    exceptions.Error,
    exceptions.Unexpected,
    exceptions.Unsupported,
    exceptions.ConfigInvalid,
    exceptions.NotFound,
    exceptions.PermissionDenied,
    exceptions.IsADirectory,
    exceptions.NotADirectory,
    exceptions.AlreadyExists,
    exceptions.IsSameFile,
    exceptions.ConditionNotMatch,
    exceptions.RateLimited,
    exceptions.RangeNotSatisfied,
    exceptions.Conflict,
    OSError,
)


class StorageNotFound(NotFound):
    """The store answered that it has no such object."""


class StorageUnavailable(Unavailable):
    """The store did not answer in time, answered with a failure, or is left alone while it recovers."""


class StorageRefused(CairnError):
    """The store answered and declined a request it should have served; a retry does not help."""


class StorageCorrupt(CairnError):
    """The store gave or kept other bytes than it should: an incident, never a shorter answer."""


class StorageMisconfigured(Misconfigured):
    """The address, the credentials or the bucket are wrong, or the store lacks what Cairn relies on."""


class StorageKeyInvalid(Invalid):
    """A key or prefix is not a relative path of plain names."""


class StorageKeyTaken(Conflict):
    """The key is a folder of other keys, or lies below an object: not every store can hold both."""


class StorageRangeOutside(Invalid):
    """The wanted range does not lie within the object."""


class StorageObjectTooLarge(TooLarge):
    """The object has more bytes than the caller accepts or than one upload can carry."""


_TEXT = re.compile(r"(?P<kind>\w+) \((?P<lasting>temporary|permanent|persistent)\)")
_STATUS = re.compile(r"status: (\d{3})\b")
_NOT_A_FILE = re.compile(r"\(os error (?:20|21|39)\)")
_BY_KIND: dict[str, Callable[[str, str], CairnError]] = {
    "NotFound": lambda _, key: StorageNotFound(f"the object store has no {key!r}"),
    "RangeNotSatisfied": lambda _, key: StorageRangeOutside(f"the range of {key!r} does not lie within the object"),
    "PermissionDenied": lambda operation, _: StorageMisconfigured(
        f"the object store refused to {operation} with these credentials: check CAIRN_STORAGE_URL"
    ),
    "ConfigInvalid": lambda operation, _: StorageMisconfigured(
        f"the object store cannot {operation} as it is configured: check CAIRN_STORAGE_URL"
    ),
    "Unsupported": lambda operation, _: StorageMisconfigured(f"this kind of object store cannot {operation}"),
}
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound")
_AT_END = "content range is invalid: end is less than start"
"""What OpenDAL makes of an Azure server that answers a read from the very end with no bytes instead of 416."""
_WRONG_LENGTH = ("reader got too", "does not contain file content length")


def explain(error: Exception, *, operation: str, key: str) -> tuple[CairnError, bool]:
    """Return the error to raise instead, and whether trying again may help."""
    text = str(error)
    match = _TEXT.match(text)
    kind = match["kind"] if match else type(error).__name__
    is_temporary = match is not None and match["lasting"] == "temporary"
    if answer := _answer(kind, text, is_temporary=is_temporary, operation=operation, key=key):
        return answer, False
    return unavailable(operation, _cause(error, text)), is_temporary


def _answer(kind: str, text: str, *, is_temporary: bool, operation: str, key: str) -> CairnError | None:
    """Return what the store said by its answer; None if it failed to answer properly."""
    if _NOT_A_FILE.search(text) or kind in {"IsADirectory", "NotADirectory", "AlreadyExists"}:
        return _not_a_file(operation, key)
    if any(word in text for word in _NO_BUCKET):
        return StorageMisconfigured("the object store has no such bucket: check CAIRN_STORAGE_URL")
    if any(word in text for word in _WRONG_LENGTH):
        return StorageCorrupt(f"the object store answered {operation} of {key!r} with the wrong number of bytes")
    status = _STATUS.search(text)
    if starts_at_end(text) or (status and status[1] == "416"):
        return _BY_KIND["RangeNotSatisfied"](operation, key)
    if kind == "Unexpected" and not is_temporary and status and status[1].startswith("4"):
        return StorageRefused(f"the object store refused {operation} of {key!r} (HTTP {status[1]})")
    return _BY_KIND[kind](operation, key) if kind in _BY_KIND else None


def starts_at_end(text: str) -> bool:
    """Tell whether an OpenDAL error only says that the read began where the object ends."""
    return _AT_END in text


def unavailable(operation: str, cause: str, *, retry_after_seconds: int = 5) -> StorageUnavailable:
    """Return the error of a store that cannot be used now; ``cause`` is a few words without addresses."""
    return StorageUnavailable(
        f"the object store is not available ({operation}: {cause}); try again in {retry_after_seconds} seconds",
        retry_after_seconds=retry_after_seconds,
    )


def _not_a_file(operation: str, key: str) -> CairnError:
    if operation in {"put", "copy"}:
        return StorageKeyTaken(f"{key!r} is a folder of other objects or lies below one")
    return StorageNotFound(f"the object store has no {key!r}")


def _cause(error: Exception, text: str) -> str:
    """A cause that names no address: the system's own words, the HTTP status, or the kind of failure."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if found := re.search(r"([A-Z][\w ]+) \(os error \d+\)", text):
        return found[1].lower()
    if found := _STATUS.search(text):
        return f"HTTP {found[1]}"
    if "timeout reached" in text:
        return "no answer in time"
    return "no valid answer"
