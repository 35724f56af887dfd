"""When each tip of a store was committed, and by whom: what lists of branches and tags are ordered and searched by.

A commit never changes, so the answer for one version of the refs begins with that for an earlier one: after a push only
the tips that moved are read.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable

import msgspec

from cairn.git.commands import TIP_FORMAT, GitCommand
from cairn.git.engine import Engine
from cairn.git.fetch_cache import answer_key
from cairn.git.kept_answers import keep_answer
from cairn.git.node_cache import View
from cairn.git.store_state import StoreState
from cairn.git.types import Oid

DEADLINE_SECONDS = 60
_EARLIER_TRIED = 100
_FIELDS = 3
_KIND = "tips"


class TipFact(msgspec.Struct, array_like=True, frozen=True):
    """When a commit was committed, in seconds since 1970, and its author's address."""

    seconds: int
    author_email: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, TipFact]).decode


async def read_tip_facts(engine: Engine, state: StoreState, view: View, tips: Iterable[Oid]) -> dict[Oid, TipFact]:
    """Return the facts of those tips that are commits; ``tips`` are all that refs of ``state`` mean.

    Errors: GitTimedOut after DEADLINE_SECONDS.
    """
    wanted = frozenset(tips)

    async def make() -> bytes:
        earlier = await asyncio.to_thread(_find_earlier, engine, state)
        found = {oid: fact for oid, fact in earlier.items() if oid in wanted}
        found |= {oid: fact async for oid, fact in _read(engine, view, wanted - found.keys())}
        return await asyncio.to_thread(_encode, found)

    kept = await keep_answer(engine, state, make, _KIND, state.ref_version, outlives_readers=True)
    return {Oid(oid): fact for oid, fact in (await asyncio.to_thread(_decode, kept)).items()}


def _find_earlier(engine: Engine, state: StoreState) -> dict[str, TipFact]:
    """Return the newest facts that this node has of an earlier version; empty for none."""
    for version in range(state.ref_version - 1, max(0, state.ref_version - 1 - _EARLIER_TRIED), -1):
        known = engine.answers.find(answer_key(_KIND, state.id, state.cache_epoch, version))
        if known is not None:
            return _decode(known if isinstance(known, bytes) else known.read_bytes())
    return {}


async def _read(engine: Engine, view: View, oids: frozenset[Oid]) -> AsyncIterator[tuple[Oid, TipFact]]:
    if not oids:
        return
    options = (TIP_FORMAT, "-z", "--no-walk=unsorted", "--stdin", "--no-patch", "--no-show-signature", "--no-notes")
    command = GitCommand(name="log", options=options)
    stdin = "".join(f"{oid}\n" for oid in sorted(oids)).encode("ascii")
    words: list[bytes] = []
    async with engine.runner.spawn(command, git_dir=view.path, stdin=stdin, deadline_seconds=DEADLINE_SECONDS) as child:
        async for batch in child.line_batches(b"\0"):
            words += batch
            whole = len(words) - len(words) % _FIELDS
            for start in range(0, whole, _FIELDS):
                oid, seconds, email = words[start : start + _FIELDS]
                yield Oid(oid.decode("ascii")), TipFact(int(seconds or 0), email.decode("utf-8", "replace"))
            del words[:whole]
        await child.finish()
