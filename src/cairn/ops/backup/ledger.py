"""What is wanted and what is there, in a scratch file instead of in memory: a store may have millions of keys."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

from cairn.ops.backup.stored_keys import StoredKey

PAGE_KEYS = 1000


class KeyLedger:
    """Two sets of keys, compared by the disk. Calls block: make them in a thread, one at a time."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        for statement in (
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE wanted (key TEXT PRIMARY KEY, size INTEGER, sha256 TEXT) WITHOUT ROWID",
            "CREATE TABLE present (key TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID",
        ):
            self._connection.execute(statement)

    def want(self, keys: Iterable[StoredKey]) -> None:
        """Add keys that are wanted; what is known of one already is kept, what is not is added."""
        self._connection.executemany(
            "INSERT INTO wanted VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE "
            "SET size = COALESCE(size, excluded.size), sha256 = COALESCE(sha256, excluded.sha256)",
            [(item.key, item.size, item.sha256) for item in keys],
        )

    def describe(self, keys: Iterable[StoredKey]) -> None:
        """Add what is told of keys that are wanted already, where nothing was known; others are left out."""
        self._connection.executemany(
            "UPDATE wanted SET size = COALESCE(size, ?), sha256 = COALESCE(sha256, ?) WHERE key = ?",
            [(item.size, item.sha256, item.key) for item in keys],
        )

    def find(self, keys: Iterable[tuple[str, int]]) -> None:
        """Add keys that are there, with their sizes."""
        self._connection.executemany("INSERT OR REPLACE INTO present VALUES (?, ?)", list(keys))

    def settle(self, keys: Iterable[StoredKey]) -> None:
        """Note what was copied: it is there, and this is its size and SHA-256."""
        found = list(keys)
        self._connection.executemany(
            "UPDATE wanted SET size = ?, sha256 = ? WHERE key = ?", [(i.size, i.sha256, i.key) for i in found]
        )
        self.find([(item.key, item.size or 0) for item in found])

    def forget(self, key: str) -> None:
        """Want a key no more."""
        self._connection.execute("DELETE FROM wanted WHERE key = ?", (key,))

    def absent(self) -> Iterator[StoredKey]:
        """Yield what is wanted and not there, or there with another size, or without a known SHA-256, by key."""
        yield from self._wanted(
            "LEFT JOIN present USING (key) WHERE (present.size IS NULL OR present.size IS NOT wanted.size "
            "OR sha256 IS NULL) AND key > ?"
        )

    def wanted(self) -> Iterator[StoredKey]:
        """Yield everything wanted, by key."""
        yield from self._wanted("WHERE key > ?")

    def unwanted(self) -> Iterator[tuple[str, int]]:
        """Yield key and size of what is there and not wanted, by key."""
        after = ""
        while rows := self._connection.execute(
            "SELECT key, size FROM present WHERE key > ? AND key NOT IN (SELECT key FROM wanted) ORDER BY key LIMIT ?",
            (after, PAGE_KEYS),
        ).fetchall():
            yield from rows
            after = rows[-1][0]

    def totals(self) -> tuple[int, int]:
        """Return how many keys are wanted and how many bytes they are said to have."""
        row: tuple[int, int] = self._connection.execute(
            "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM wanted"
        ).fetchone()
        return row

    def absent_totals(self) -> tuple[int, int]:
        """Return the same of ``absent``."""
        row: tuple[int, int] = self._connection.execute(
            "SELECT COUNT(*), COALESCE(SUM(wanted.size), 0) FROM wanted LEFT JOIN present USING (key) "
            "WHERE present.size IS NULL OR present.size IS NOT wanted.size OR sha256 IS NULL"
        ).fetchone()
        return row

    def close(self) -> None:
        """Close the file; deleting it is its folder's affair."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _wanted(self, condition: str) -> Iterator[StoredKey]:
        after = ""
        while rows := self._connection.execute(
            f"SELECT key, wanted.size, sha256 FROM wanted {condition} ORDER BY key LIMIT ?",  # noqa: S608 (constants)
            (after, PAGE_KEYS),
        ).fetchall():
            yield from (StoredKey(*row) for row in rows)
            after = rows[-1][0]
