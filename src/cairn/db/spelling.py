"""A condition in two spellings, where the databases' planners do not see that they are the same."""

from typing import Any, Self

from sqlalchemy import Boolean, ColumnElement, Select, any_, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.sql.selectable import CompoundSelect


class spelled(FunctionElement[bool]):  # noqa: N801 (reads as part of a statement)
    """``spelled(on_postgresql, elsewhere)`` is the one or the other; both must be true for the same rows."""

    type = Boolean()
    inherit_cache = True
    name = "spelled"

    def __init__(self, on_postgresql: ColumnElement[bool], elsewhere: ColumnElement[bool]) -> None:
        super().__init__(on_postgresql, elsewhere)

    def self_group(self, against: Any = None) -> Self:  # noqa: ANN401 (SQLAlchemy's signature)
        """Stay as it is: it has its parentheses, and compared with 1, as other Booleans are, it would use no index."""
        return self


def _process(element: spelled, compiler: Any, place: int, **kw: Any) -> str:  # noqa: ANN401 (SQLAlchemy's signature)
    return f"({compiler.process(list(element.clauses)[place], **kw)})"


@compiles(spelled, "postgresql")
def _on_postgresql(element: spelled, compiler: Any, **kw: Any) -> str:  # noqa: ANN401
    return _process(element, compiler, 0, **kw)


@compiles(spelled)
def _elsewhere(element: spelled, compiler: Any, **kw: Any) -> str:  # noqa: ANN401
    return _process(element, compiler, 1, **kw)


def in_array(column: InstrumentedAttribute[int], wanted: Select[int] | CompoundSelect[int]) -> ColumnElement[bool]:
    """Return ``column IN (wanted)`` for PostgreSQL, which asks first and then uses an index also beside an OR."""
    return column == any_(func.array(wanted.scalar_subquery()))
