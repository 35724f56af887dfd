"""Keys: relative paths of plain names, the same on every backend."""

import re

from cairn.storage.errors import StorageKeyInvalid

KEY_LENGTH_MAX = 700
_NAME = r"[A-Za-z0-9_=@+~-][A-Za-z0-9._=@+~-]{0,199}"
_KEY = re.compile(rf"{_NAME}(?:/{_NAME})*")


def checked_key(key: str) -> str:
    """Return the key if it is safe; StorageKeyInvalid for everything a path could do besides naming.

    Names of up to 200 letters, digits and ``. _ = @ + ~ -`` divided by single slashes, none starting with a dot:
    no ``..``, no absolute path, no hidden file, nothing a shell, a URL or a file system reads in another way.
    """
    if len(key) > KEY_LENGTH_MAX or not _KEY.fullmatch(key):
        raise StorageKeyInvalid(
            f"the storage key {key[:KEY_LENGTH_MAX]!r} is not a relative path of plain names (letters, digits and "
            f"'._=@+~-', no name starting with a dot, {KEY_LENGTH_MAX} characters at most)"
        )
    return key


def checked_folder(prefix: str) -> str:
    """Return the prefix with a slash at its end ("" stays: everything); StorageKeyInvalid as ``checked_key``.

    A prefix is a folder, never the start of a name: ``a/b`` does not reach ``a/bc``.
    """
    return f"{checked_key(prefix.removesuffix('/'))}/" if prefix else ""
