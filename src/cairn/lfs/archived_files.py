"""Large files in archives, in the place of the pointers that git has."""

import hashlib
from collections.abc import AsyncIterator

import msgspec

from cairn.git.archive_rewriting import Replacement
from cairn.git.archives import Replacements
from cairn.git.engine import Engine
from cairn.git.history import Objects
from cairn.git.kept_answers import keep_answer
from cairn.git.object_check import SMALL_FILE_BYTES
from cairn.git.store_state import StoreState
from cairn.git.tree_listing import list_tree
from cairn.git.types import Oid
from cairn.lfs.objects import StoredObject, find_objects
from cairn.lfs.pointers import pointers_among, read_pointer


async def large_files_in(engine: Engine, state: StoreState, commit: Oid, repository_id: int) -> Replacements | None:
    """Return what a commit's pointers stand for as far as the repository has it; None if that is nothing.

    The caller has proved that both may be read. Errors: GitFailed, GitBusy, the database's.
    """
    named = await _named_in(engine, state, commit)
    async with engine.database.read() as session:
        found = await find_objects(session, repository_id, named.keys())
    # As in a push, a pointer that says another size is none of the object's.
    here = {oid: stored for oid, stored in found.items() if stored.size == named[oid][0]}
    if not here:
        return None

    def find(content: bytes) -> Replacement | None:
        pointer = read_pointer(content)
        stored = None if pointer is None else here.get(pointer.sha256)
        return None if stored is None else Replacement(stored.size, lambda: _read(engine, stored))

    return Replacements(
        digest=hashlib.sha256("\n".join(sorted(here)).encode("ascii")).hexdigest(),
        more_bytes=sum(stored.size * named[oid][1] for oid, stored in here.items()),
        find=find,
    )


def _read(engine: Engine, stored: StoredObject) -> AsyncIterator[bytes]:
    return engine.storage.stream(stored.key, offset=0, size=stored.size)


async def _named_in(engine: Engine, state: StoreState, commit: Oid) -> dict[str, tuple[int, int]]:
    """Return what the pointers of a commit's tree name: of each SHA-256 the size said, and in how many places."""

    async def make() -> bytes:
        async with engine.view(state) as view:
            objects = Objects(view.path)
            # What has more entries than an archive may have is refused by whoever makes it.
            listing = await list_tree(
                engine.runner, objects, commit, recursive=True, max_entries=engine.settings.max_archive_entries
            )
            small = [entry.oid for entry in listing.entries if entry.size_bytes in SMALL_FILE_BYTES]
            pointers = await pointers_among(engine.runner, objects, sorted(set(small)))
        named: dict[str, tuple[int, int]] = {}
        for oid in small:
            if (pointer := pointers.get(oid)) is not None:
                named[pointer.sha256] = (pointer.size_bytes, named.get(pointer.sha256, (0, 0))[1] + 1)
        return msgspec.json.encode(named)

    kept = await keep_answer(engine, state, make, "large files", commit, engine.settings.max_archive_entries)
    return msgspec.json.decode(kept, type=dict[str, tuple[int, int]])
