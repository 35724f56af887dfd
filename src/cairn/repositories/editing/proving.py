"""Objects that a caller names by id may be built on only if a root of the repository reaches them.

A repository's packs may hold more than that: what a fork shares with its parent, what nobody reaches any more.
"""

from collections.abc import Collection

from cairn.base.errors import FieldProblem, Invalid
from cairn.git.engine import Engine
from cairn.git.reading import ObjectReader
from cairn.git.types import ObjectKind, Oid
from cairn.repositories.queries import RepositoryView


class ObjectUnknown(Invalid):
    """No root of the repository reaches an object of that id, or it is of another kind than is wanted."""


async def kinds_of(engine: Engine, repository: RepositoryView, oids: Collection[Oid]) -> dict[Oid, ObjectKind]:
    """Return the kinds of those objects that a root of the last 14 days reaches, the others left out."""
    if not oids:
        return {}
    state = await engine.state(repository.store_id)
    snapshot = await engine.snapshot(state)
    state = snapshot.fresher(state)
    head = snapshot.find(state.head_target)
    # The likeliest first: its folders are searched before anything is walked.
    tips = list(dict.fromkeys([*([head.oid] if head else []), *(ref.oid for ref in snapshot.refs)]))
    async with engine.view(state) as view:
        proved = sorted(set(oids) - await engine.reachability.find_unreachable(state, view, oids, tips=tips))
        reader = ObjectReader(view.path)
        try:
            return dict(zip(proved, await reader.read_kinds(proved), strict=True))
        finally:
            reader.close()


async def require_kinds(engine: Engine, repository: RepositoryView, wanted: dict[Oid, ObjectKind]) -> None:
    """Return if every object is reachable and of its kind; ObjectUnknown names one that is not."""
    found = await kinds_of(engine, repository, wanted)
    for oid, kind in wanted.items():
        if found.get(oid) is not kind:
            raise object_unknown(oid, kind)


def object_unknown(oid: str, kind: ObjectKind | None = None, *, field: str = "sha") -> ObjectUnknown:
    """Return the error for an id that means nothing here."""
    what = "Object" if kind is None else kind.value.capitalize()
    message = f"{what} does not exist: {oid[:60]} is not in this repository."
    return ObjectUnknown(message, FieldProblem(field, "invalid", message))
