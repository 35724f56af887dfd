"""Where a page of a history begins, as an address says it; pages themselves are tested with test_history_pages."""

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository

from cairn.git.reading import ObjectNotFound
from cairn.git.types import Oid
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.path_history import Chosen, Cursor, read_cursor, read_history
from cairn.repositories.code.revisions import Place, RevisionNotFound

OID = Oid("0123456789abcdef0123456789abcdef01234567")


@pytest.mark.parametrize("text", [f"{OID}+30", f"{OID} 30", f" {OID}+30 "])
def test_a_cursor_is_read_as_it_was_written(text: str) -> None:
    assert read_cursor(text) == Cursor(OID, 30)
    assert str(Cursor(OID, 30)) == f"{OID}+30"


@pytest.mark.parametrize("text", ["", OID, f"{OID}+", f"{OID}+-1", f"{OID}+999999999", f"{OID.upper()}+1", "HEAD+1"])
def test_what_is_no_cursor_is_the_beginning(text: str) -> None:
    assert read_cursor(text) is None


async def test_a_page_of_any_length_leads_on_to_exactly_the_rest(forge: Forge, stock: StockRepository) -> None:
    state = await forge.engine.refs.find(1, b"refs/heads/main")
    assert state is not None
    async with open_code(forge.engine, 1) as code:
        place = await code.place(b"main")
        for chosen in (Chosen(), Chosen(first_parent=True), Chosen(message="e")):
            wanted = [commit.oid for commit in (await read_history(code, place, chosen, None)).commits]
            for per_page in (1, 2, 3):
                seen, cursor = [], None
                while True:
                    found = await read_history(code, place, chosen, cursor, per_page=per_page)
                    seen += [commit.oid for commit in found.commits]
                    cursor = found.following
                    if cursor is None:
                        break
                assert seen == wanted, (chosen, per_page)


async def test_a_place_that_cannot_be_is_refused(forge: Forge, stock: StockRepository) -> None:
    async with open_code(forge.engine, 1) as code:
        main = (await code.place(b"main")).revision
        with pytest.raises(ObjectNotFound):
            await read_history(code, Place(main, b"a/../b"), Chosen(), None)
        with pytest.raises(RevisionNotFound):
            await read_history(code, Place(main, b""), Chosen(), Cursor(OID))
