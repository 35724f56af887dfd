"""Secrets at rest: sealed with AES-256-GCM for exactly one place in the database.

What is sealed for one row cannot be opened in another: table, column and row are part of what is authenticated.
A sealed value is one version byte, 4 bytes of key id, a 12-byte nonce, and the ciphertext with its 16-byte tag.
"""

import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cairn.base.errors import CairnError
from cairn.base.folders import make_folder, sync_folder
from cairn.base.settings import SettingInvalid, Settings

SECRET_KEY_FILE = "secret_key"  # noqa: S105 (a file's name)
OLD_KEYS_FILE = "secret_key.old"
SECRET_KEY_LENGTH_MIN = 32
_VERSION = b"\x01"
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_TAG_BYTES = 16
_HEADER_BYTES = len(_VERSION) + _KEY_ID_BYTES + _NONCE_BYTES


class SecretUnreadable(CairnError):
    """A sealed value cannot be opened: another secret key sealed it, or it is not the value of this place."""


class SecretBox:
    """Seals with the first of its keys and opens with any: a new key goes to the front, the old ones stay."""

    def __init__(self, secret_keys: Sequence[str]) -> None:
        assert secret_keys
        self._keys = [_derive(key) for key in secret_keys]

    def seal(self, plain: bytes, *, table: str, column: str, row: str | int) -> bytes:
        """Return ``plain`` encrypted for one place: 33 bytes longer."""
        key_id, key = self._keys[0]
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + key_id + nonce + AESGCM(key).encrypt(nonce, plain, _place(table, column, row))

    def open(self, sealed: bytes, *, table: str, column: str, row: str | int) -> bytes:
        """Return what was sealed for this place; SecretUnreadable says which key it wants or that it was changed."""
        where = f"{table}.{column} of row {row}"
        if len(sealed) < _HEADER_BYTES + _TAG_BYTES or sealed[:1] != _VERSION:
            raise SecretUnreadable(f"{where} holds no sealed value.")
        key_id = sealed[1 : 1 + _KEY_ID_BYTES]
        key = next((key for id_, key in self._keys if id_ == key_id), None)
        if key is None:
            raise SecretUnreadable(
                f"{where} was sealed with another secret key ({key_id.hex()}); "
                "set CAIRN_SECRET_KEY to the one this installation was made with."
            )
        nonce = sealed[1 + _KEY_ID_BYTES : _HEADER_BYTES]
        try:
            return AESGCM(key).decrypt(nonce, sealed[_HEADER_BYTES:], _place(table, column, row))
        except InvalidTag:
            raise SecretUnreadable(f"{where} was changed, or sealed for another place.") from None

    @property
    def key_ids(self) -> frozenset[str]:
        """The ids of the keys that this box can open with, as ``key_id_of`` tells them."""
        return frozenset(id_.hex() for id_, _ in self._keys)

    def is_current(self, sealed: bytes) -> bool:
        """Tell whether a value was sealed with the first key, so that a rotation knows what is left to seal anew."""
        return sealed[1 : 1 + _KEY_ID_BYTES] == self._keys[0][0]


def key_id_of(sealed: bytes) -> str:
    """Return the id of the key that sealed a value: 8 hex digits."""
    return bytes(sealed)[1 : 1 + _KEY_ID_BYTES].hex()


def load_secret_key(settings: Settings) -> str:
    """Return the installation's secret key: the setting, or on SQLite the one made once in the data folder.

    On a database server a key is not made: each node would make its own. SettingInvalid then says what to do.
    """
    if settings.secret_key:
        return settings.secret_key
    if not settings.is_embedded:
        raise SettingInvalid(
            "CAIRN_SECRET_KEY: is not set. Every node on a database server needs the same one: "
            "make one with `openssl rand -hex 32`, keep it apart from the backups, and set it everywhere."
        )
    path = settings.data_dir / SECRET_KEY_FILE
    if not path.exists():
        _make_key_file(path)
    key = path.read_text("ascii").strip()
    if len(key) < SECRET_KEY_LENGTH_MIN:
        raise SettingInvalid(f"{path}: has {len(key)} characters, wants at least {SECRET_KEY_LENGTH_MIN}")
    return key


def load_key_ring(settings: Settings) -> tuple[str, ...]:
    """Return every key this installation may have sealed with, the current one first; errors as ``load_secret_key``.

    Old ones come from the setting and, where the data folder holds the key, from the file that a rotation left there.
    """
    old = list(settings.secret_keys_old)
    kept = settings.data_dir / OLD_KEYS_FILE
    if not settings.secret_key and settings.is_embedded and kept.exists():
        old += kept.read_text("ascii").split()
    return tuple(dict.fromkeys((load_secret_key(settings), *old)))


def replace_key_file(settings: Settings) -> None:
    """Make a new key the one of an embedded installation and keep the one it replaces to open what it sealed.

    Programs that run keep the ring they read: they have to be started anew. SettingInvalid where a setting has the key.
    """
    if settings.secret_key or not settings.is_embedded:
        raise SettingInvalid(
            "CAIRN_SECRET_KEY: has the key, so the new one belongs there, and the one it replaces into "
            "CAIRN_SECRET_KEYS_OLD, on every node."
        )
    replaced = load_secret_key(settings)
    path, kept = settings.data_dir / SECRET_KEY_FILE, settings.data_dir / OLD_KEYS_FILE
    known = kept.read_text("ascii").split() if kept.exists() else []
    # The old key is safe before the new one takes its place: a crash between the two only leaves it in both files.
    _write_file(kept, "\n".join(dict.fromkeys([replaced, *known])))
    _write_file(path, secrets.token_hex(32))


def forget_old_key_file(settings: Settings) -> None:
    """Delete the keys that a rotation kept, once nothing needs them any more."""
    (settings.data_dir / OLD_KEYS_FILE).unlink(missing_ok=True)


def _write_file(path: Path, text: str) -> None:
    """Replace a file whole and synced, readable by its owner alone."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".secret_key-", delete=False) as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)
    sync_folder(path.parent)


def _make_key_file(path: Path) -> None:
    """Write a new key, whole and synced, unless another program of this node was first."""
    make_folder(path.parent)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".secret_key-") as file:  # made with mode 0600
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
        try:
            os.link(file.name, path)
        except FileExistsError:
            return
    sync_folder(path.parent)


def _derive(secret_key: str) -> tuple[bytes, bytes]:
    """Return id and key. The key is not used as it is: it also signs cookies, each use derives its own."""
    key = HKDF(SHA256(), 32, salt=None, info=b"cairn secret box 1").derive(secret_key.encode())
    return hashlib.sha256(b"id" + key).digest()[:_KEY_ID_BYTES], key


def _place(table: str, column: str, row: str | int) -> bytes:
    return json.dumps([table, column, str(row)]).encode()
