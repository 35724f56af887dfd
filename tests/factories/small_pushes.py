"""Pushes of one small commit each, made by hand: a store gets many packs in little time."""

import asyncio
from dataclasses import dataclass, field
from random import Random

from tests.factories.pushes import MAIN, push
from tests.factories.raw_packs import BLOB, COMMIT, TREE, object_id, raw_pack, whole

from cairn.git.engine import Engine
from cairn.git.types import ZERO_OID, Oid, RefName

_PERSON = b"Ada <ada@example.org> %d +0000"
_CONTENT_BYTES = 30
_FIRST_SECOND, _SECONDS_BETWEEN = 1_600_000_000, 60
"""Dates grow as people's do: git walks a history of one and the same second to its root, however little is asked."""


@dataclass
class SmallPusher:
    """One who pushes to a store and remembers what was acknowledged."""

    engine: Engine
    store: int
    choices: Random = field(default_factory=lambda: Random(1))
    refs: dict[RefName, Oid] = field(default_factory=dict)
    """What the store has, as far as its answers said so."""
    made: int = 0

    def make(self, parent: Oid | None) -> tuple[Oid, bytes]:
        """Return a new commit upon ``parent`` and the pack with its three objects."""
        person = _PERSON % (_FIRST_SECOND + self.made * _SECONDS_BETWEEN)
        self.made += 1
        content = self.choices.randbytes(_CONTENT_BYTES)
        blob = object_id("blob", content)
        tree = b"100644 file\0" + bytes.fromhex(blob)
        lines = [f"tree {object_id('tree', tree)}".encode()]
        lines += [f"parent {parent}".encode()] if parent else []
        commit = b"\n".join([*lines, b"author " + person, b"committer " + person, b"", b"change", b""])
        pack = raw_pack([whole(COMMIT, commit), whole(TREE, tree), whole(BLOB, content)])
        return object_id("commit", commit), pack

    def skip(self, count: int) -> None:
        """Go on as one who made so many commits already, in an earlier run."""
        for _ in range(count):
            self.choices.randbytes(_CONTENT_BYTES)
        self.made += count

    async def push(self, name: RefName = MAIN, *, is_forced: bool = False) -> Oid:
        """Move a ref to a new commit: upon its old one, or (forced) upon none."""
        old = self.refs.get(name)
        new, pack = self.make(None if is_forced else old)
        report = await push(self.engine, self.store, [(name, old or ZERO_OID, new)], pack)
        assert report.is_ok, report
        self.refs[name] = new
        return new

    async def push_many(self, count: int) -> None:
        """Push so many commits to ``main``, one after the other."""
        for _ in range(count):
            await self.push()

    async def push_branches(self, count: int) -> None:
        """Push so many new branches, side by side."""
        await asyncio.gather(*(self.push(b"refs/heads/side-%d" % number) for number in range(count)))

    async def delete(self, name: RefName) -> None:
        """Delete a ref."""
        report = await push(self.engine, self.store, [(name, self.refs[name], ZERO_OID)])
        assert report.is_ok, report
        del self.refs[name]
