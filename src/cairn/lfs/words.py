"""Words: what an SSH client shows over HTTP, where its key is no proof.

A word is sealed with the installation's secret key and says for which key, repository and operation it was made, and
until when. It gives nothing by itself: each use asks what that key may do now, so a key that was removed, a role that
was lost and a deploy key's limits count at once.
"""

import base64
import binascii
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from cairn.base.errors import Unauthenticated
from cairn.base.secret_box import SecretBox, SecretUnreadable
from cairn.db.database import Database

WORD_SECONDS = 1800
SCHEME = "RemoteAuth"
_LENGTH_MAX = 1000
_TABLE, _COLUMN, _ROW = "(none)", "lfs_word", 1
"""No table has words: this keeps them apart from everything that is sealed for a place in one."""


class Operation(StrEnum):
    """What a client is about to do; values are LFS's words for it."""

    DOWNLOAD = "download"
    UPLOAD = "upload"


class WordInvalid(Unauthenticated):
    """The word was not made here, was changed, or its time is over."""

    def __init__(self, what: str) -> None:
        super().__init__(f"This credential {what}; repeat the command, and git-lfs asks for a new one.")


@dataclass(frozen=True, slots=True)
class Word:
    """For what a word was made. ``fingerprint`` is the SSH key's."""

    fingerprint: str
    repository_id: int
    operation: Operation


class _Sealed(msgspec.Struct, frozen=True, array_like=True):
    fingerprint: str
    repository_id: int
    operation: Operation
    expires_at: float


class Words:
    """Makes and reads words; expiry is the database's clock."""

    def __init__(self, database: Database, secrets: SecretBox) -> None:
        self._database = database
        self._secrets = secrets

    async def make(self, word: Word) -> str:
        """Return the Authorization header that carries a word, for WORD_SECONDS."""
        expires_at = (await self._database.now()).timestamp() + WORD_SECONDS
        plain = msgspec.json.encode(_Sealed(word.fingerprint, word.repository_id, word.operation, expires_at))
        sealed = self._secrets.seal(plain, table=_TABLE, column=_COLUMN, row=_ROW)
        return f"{SCHEME} {base64.urlsafe_b64encode(sealed).decode()}"

    async def read(self, header: str) -> Word:
        """Return what the word in an Authorization header was made for; WordInvalid if it no longer counts."""
        text = header.strip().partition(" ")[2].strip()
        try:
            if len(text) > _LENGTH_MAX:
                raise WordInvalid("is too long")
            sealed = base64.b64decode(text, altchars=b"-_", validate=True)
            plain = self._secrets.open(sealed, table=_TABLE, column=_COLUMN, row=_ROW)
            found = msgspec.json.decode(plain, type=_Sealed)
        except (binascii.Error, ValueError, SecretUnreadable, msgspec.MsgspecError):
            raise WordInvalid("was not made here") from None
        if found.expires_at <= (await self._database.now()).timestamp():
            raise WordInvalid(f"was for {WORD_SECONDS // 60} minutes, which are over")
        return Word(found.fingerprint, found.repository_id, found.operation)


def is_word(header: str | None) -> bool:
    """Tell whether an Authorization header carries a word."""
    return header is not None and header.strip().partition(" ")[0].lower() == SCHEME.lower()
