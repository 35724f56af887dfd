"""The only writer of refs, by the reading of the sources (its behaviour is tested with ``landing``)."""

import ast
import re
from pathlib import Path

import cairn

SOURCES = Path(cairn.__file__).parent
WRITERS = {"git/ref_transaction.py"}
_WRITES = r"insert\s+into|update|delete\s+from|replace\s+into|truncate(?:\s+table)?"
_SQL = re.compile(rf"\b(?:{_WRITES})\s+git_ref\b", re.IGNORECASE)


def test_nothing_else_writes_the_ref_table() -> None:
    """D7: merges, web edits, the queue, mirrors and the API land through the same transaction."""
    guilty = {
        f"{path.relative_to(SOURCES)}:{line}"
        for path in SOURCES.rglob("*.py")
        if str(path.relative_to(SOURCES)) not in WRITERS and "migrations" not in path.parts
        for line in _writes(ast.parse(path.read_text()))
    }
    assert not guilty, f"only cairn.git.ref_transaction writes git_ref, through land(): {sorted(guilty)}"


def test_the_reading_finds_every_way_to_write() -> None:
    """A check that cannot fail proves nothing."""
    for code in (
        "session.execute(insert(Ref).values(x=1))",
        "session.execute(delete(models.Ref))",
        "session.execute(sa.update(Ref.__table__))",
        "session.add(Ref(store_id=1))",
        "Ref.__table__.insert()",
        "text('DELETE FROM git_ref WHERE 1')",
    ):
        assert list(_writes(ast.parse(code))), code
    for code in ("select(Ref.oid)", "insert(RefLog)", "text('SELECT 1 FROM git_ref')", "Ref.name.in_(x)"):
        assert not list(_writes(ast.parse(code))), code


def _writes(tree: ast.AST) -> list[int]:
    """Return the lines that write git_ref: statements on Ref, instances of it, SQL that names its table."""
    return [node.lineno for node in ast.walk(tree) if _is_call_on_ref(node) or _is_sql(node)]  # type: ignore[attr-defined]  # every match has a line


def _is_call_on_ref(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    if called == "Ref":
        return True
    if called not in {"insert", "update", "delete"}:
        return False
    return any(_names_ref(argument) for argument in node.args) or (
        isinstance(node.func, ast.Attribute) and _names_ref(node.func.value)
    )


def _names_ref(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute) and node.attr == "__table__":
        node = node.value
    return (isinstance(node, ast.Name) and node.id == "Ref") or (isinstance(node, ast.Attribute) and node.attr == "Ref")


def _is_sql(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and _SQL.search(node.value) is not None
