"""What an address asks for, and the addresses that ask for another part."""

import pytest
from tests.factories.forge import Forge

from cairn.repositories.code.diff_request import DiffRequest, GapLines, file_key


def test_addresses_keep_view_and_white_space_and_nothing_else() -> None:
    asked = DiffRequest(path="/a/b/commit/c", view="split", says_view=True, ignores_whitespace=True, skip=7)
    assert asked.address(file="x") == "/a/b/commit/c?diff=split&w=1&file=x"
    assert asked.address(skip=3, w=0) == "/a/b/commit/c?diff=split&skip=3"
    assert DiffRequest(path="/a", view="split").address() == "/a"
    assert DiffRequest(path="/a").address(**{**asked.here, "diff": "split"}) == "/a?skip=7&diff=split"


def test_a_key_names_a_path_of_any_bytes() -> None:
    keys = {file_key(path) for path in (b"a", b"a/b", b"\xff", b"")}
    assert len(keys) == 4
    assert all(len(key) == 12 and int(key, 16) >= 0 for key in keys)


def test_a_gap_has_a_word() -> None:
    assert GapLines(3, 9, 2).word == "3-9-2"
    assert GapLines(3, None, 2).word == "3--2"


@pytest.mark.parametrize(
    "query",
    [
        "skip=-1", "skip=x", "skip=99999999999999999999999999999999", "after=²", "file=../../x", "file=ABCDEF012345",
        "gap=0-0-0", "gap=9-3-1", "gap=1", "gap=1-2-99999999999", "grow=sideways", "diff=wide", "context=some",
        "list=2",
    ],
)  # fmt: skip
async def test_what_an_address_cannot_mean_is_taken_as_not_said(forge: Forge, query: str) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"a": b"1\n"})
    oid = await forge.commit(ada, repository, {"a": b"2\n"})
    answer = await forge.browser().get(f"/ada/engine/commit/{oid}?{query}")
    assert answer.status_code == 200
    assert "1 file changed" in answer.text
    assert "set-cookie" not in answer.headers or "cairn_diff" not in answer.headers["set-cookie"]
