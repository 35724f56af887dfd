"""What holds for every page that shows code: small, absent for who may not see it, one connection."""

import re
from typing import Any

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository

from cairn.access.roles import Visibility
from cairn.repositories.code import file_pages, folder_pages, history_pages, ref_pages
from cairn.repositories.code.browse import open_code


async def get(forge: Forge, path: str) -> Any:
    return await forge.browser().get(f"/ada/engine{path}")


PAGE_BYTES_MAX = 100_000
ADDRESSES = ("", "/tree/main/src", "/blob/main/README.md", "/raw/main/README.md", "/commits", "/branches", "/tags")


async def test_pages_are_small(forge: Forge, stock: StockRepository) -> None:
    for path in ADDRESSES:
        assert len((await get(forge, path)).content) < PAGE_BYTES_MAX, path


@pytest.mark.parametrize(
    "path", ["/tree/nowhere", "/blob/main/nothing", "/raw/main/src", "/commit/" + "1" * 40, "/tree/main/.."]
)
async def test_what_is_not_there_is_a_designed_404(forge: Forge, stock: StockRepository, path: str) -> None:
    answer = await get(forge, path)
    assert (answer.status_code, "Nothing here" in answer.text) == (404, True)


async def test_a_private_repository_is_absent_for_others_on_every_page(forge: Forge) -> None:
    ada, eve = await forge.person("ada"), await forge.person("eve")
    await forge.repository(ada, "secret", visibility=Visibility.PRIVATE, files={"README.md": b"# Plans", "src/a": b"1"})
    for path in ADDRESSES:
        assert (await forge.browser(ada).get(f"/ada/secret{path}")).status_code == 200, path
        hidden = await forge.browser(eve).get(f"/ada/secret{path}")
        absent = await forge.browser(eve).get(f"/ada/absent{path}")
        assert (hidden.status_code, absent.status_code) == (404, 404)
        assert _without_what_differs(hidden.text, "secret") == _without_what_differs(absent.text, "absent")


def _without_what_differs(text: str, name: str) -> str:
    """Return a page without the name asked for and what is new in each answer."""
    return re.sub(r'(nonce|value)="[^"]*"', "", text.replace(name, "NAME"))


async def test_a_page_reads_the_database_before_git_and_not_while(
    forge: Forge, stock: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two connections for one request would let a full pool wait for itself."""
    open_sessions = 0
    real = open_code

    def watched(*arguments: Any) -> Any:
        assert forge.database._read_engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        nonlocal open_sessions
        open_sessions += 1
        return real(*arguments)

    for module in (file_pages, folder_pages, history_pages, ref_pages):
        monkeypatch.setattr(module, "open_code", watched)
    for path in ADDRESSES:
        assert (await get(forge, path)).status_code == 200
    assert open_sessions == len(ADDRESSES)
