"""Two commits of a wiki, as an address names them."""

from cairn.repositories.code.browse import Code
from cairn.repositories.code.comparing import ComparisonUnknown, Sides


async def read_two(code: Code, address: bytes) -> Sides:
    """Return what ``OLD...NEW`` or ``OLD..NEW`` compares: as the two are, since a wiki has one line of history.

    Errors: RevisionNotFound, ComparisonUnknown.
    """
    marks = b"..." if b"..." in address else b".."
    old, found, new = address.partition(marks)
    if not found or not old or not new or b".." in new:
        raise ComparisonUnknown("Name two versions to compare: OLD...NEW.")
    return Sides(await code.revision(old), await code.revision(new), is_direct=True)
