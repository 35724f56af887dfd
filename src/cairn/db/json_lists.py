"""Columns that hold a list as JSON, asked by the database itself."""

from typing import Any

from sqlalchemy import BigInteger, Boolean, ColumnElement, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.expression import FunctionElement


class list_has(FunctionElement[bool]):  # noqa: N801 (reads as the SQL function it is)
    """Whether a JSON column's list has a number: ``list_has(Token.repository_ids, 7)``; a column that is NULL has none.

    The numbers are ids, far below 2**53, above which MariaDB tells neighbours in JSON no longer apart. No index serves
    it: a condition that has one must stand beside it.
    """

    type = Boolean()
    inherit_cache = True

    def __init__(self, column: InstrumentedAttribute[Any], number: int) -> None:
        super().__init__(column, literal(number, BigInteger()))


def _parts(element: list_has, compiler: Any, **kw: Any) -> list[str]:  # noqa: ANN401 (SQLAlchemy's own signature)
    clauses: list[ColumnElement[Any]] = list(element.clauses)
    return [compiler.process(clause, **kw) for clause in clauses]


@compiles(list_has, "postgresql")
def _postgresql(element: list_has, compiler: Any, **kw: Any) -> str:  # noqa: ANN401
    column, number = _parts(element, compiler, **kw)
    return f"COALESCE(CAST({column} AS JSONB) @> TO_JSONB({number}), FALSE)"


@compiles(list_has, "mysql")
@compiles(list_has, "mariadb")
def _mysql(element: list_has, compiler: Any, **kw: Any) -> str:  # noqa: ANN401
    column, number = _parts(element, compiler, **kw)
    return f"COALESCE(JSON_CONTAINS({column}, CAST({number} AS CHAR)), FALSE)"


@compiles(list_has, "sqlite")
def _sqlite(element: list_has, compiler: Any, **kw: Any) -> str:  # noqa: ANN401
    column, number = _parts(element, compiler, **kw)
    return f"EXISTS (SELECT 1 FROM json_each({column}) AS item WHERE item.value = {number})"  # noqa: S608 (compiled SQL)
