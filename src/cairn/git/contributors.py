"""How many commits each author has: counted once, then from the nearest earlier count on."""

import asyncio
from collections import Counter

import msgspec

from cairn.base.errors import Unavailable
from cairn.git.commands import AUTHOR_FORMAT, GitCommand, exclude
from cairn.git.engine import Engine
from cairn.git.kept_answers import find_earlier, keep_answer
from cairn.git.node_cache import View
from cairn.git.store_state import StoreState
from cairn.git.types import Oid

DEADLINE_SECONDS = 60
AUTHORS_MAX = 50_000
"""Names with addresses that one history may have: beyond them, further ones are not counted."""

_KIND = "contributors"
_WORDS = 2


NAME_LENGTH_MAX = 300
"""Characters of a name or an address that are kept: git sets no bound, and thousands of them are held at once."""


class AuthorCount(msgspec.Struct, array_like=True, frozen=True):
    """Somebody as commits name them, and how many of them: merges are not counted."""

    name: str
    email: str
    commits: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[AuthorCount]).decode


async def read_contributors(engine: Engine, state: StoreState, view: View, tip: Oid) -> list[AuthorCount]:
    """Return the authors of all commits that are no merges and that ``tip`` reaches, the busiest first.

    ``tip`` is proved reachable by the caller. Errors: Unavailable beyond DEADLINE_SECONDS.
    """

    async def make() -> bytes:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await _count(engine, state, view, tip)
        except TimeoutError:
            raise Unavailable("The history takes too long to read; try again later.") from None

    return _decode(await keep_answer(engine, state, make, _KIND, tip))


async def _count(engine: Engine, state: StoreState, view: View, tip: Oid) -> bytes:
    earlier = await find_earlier(engine, state, view, tip, _KIND)
    revisions = (tip,) if earlier is None else (tip, exclude(earlier[0]))
    known = [] if earlier is None else _decode(earlier[1])
    counted = Counter({(one.name, one.email): one.commits for one in known})
    options = (AUTHOR_FORMAT, "-z", "--no-merges", "--no-patch", "--no-show-signature", "--no-notes")
    command = GitCommand(name="log", options=options, revisions=revisions)
    rest: list[bytes] = []

    def feed(words: list[bytes]) -> None:
        rest.extend(words)
        whole = len(rest) - len(rest) % _WORDS
        for name, email in zip(rest[:whole:_WORDS], rest[1:whole:_WORDS], strict=True):
            pair = (
                name.decode("utf-8", "replace")[:NAME_LENGTH_MAX],
                email.decode("utf-8", "replace")[:NAME_LENGTH_MAX],
            )
            if pair in counted or len(counted) < AUTHORS_MAX:
                counted[pair] += 1
        del rest[:whole]

    async with engine.runner.spawn(command, git_dir=view.path) as child:
        async for words in child.line_batches(b"\0"):
            await asyncio.to_thread(feed, words)
        await child.finish()
    return _encode([AuthorCount(name, email, count) for (name, email), count in counted.most_common()])
