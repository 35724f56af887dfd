"""Histories and single commits."""

from typing import Any

from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository


async def get(forge: Forge, path: str) -> Any:
    return await forge.browser().get(f"/ada/engine{path}")


async def test_history_is_by_day_and_by_path(forge: Forge, stock: StockRepository) -> None:
    text = (await get(forge, "/commits")).text
    assert "14 November 2023" in text
    assert text.count('class="list-row"') == 3
    of_mill = (await get(forge, "/commits/main/src/mill.py")).text
    assert of_mill.count('class="list-row"') == 2
    assert "Third" not in of_mill
    nothing = await get(forge, "/commits/main?page=9")
    assert "No commits here" in nothing.text


async def test_a_commit_shows_who_why_and_what(forge: Forge, stock: StockRepository) -> None:
    text = (await get(forge, f"/commit/{stock.oid('v1')}")).text
    assert "Second &lt;i&gt;" in text
    assert "Why." in text
    assert "Grace" in text
    assert stock.oid("v1~1")[:10] in text
    assert "diff-add" in text
    assert "<b>2" not in text
    short = await get(forge, f"/commit/{stock.oid('v1')[:9]}")
    assert short.status_code == 200


async def test_a_page_far_beyond_the_history_is_empty(forge: Forge, stock: StockRepository) -> None:
    """Attack: a page number that git cannot count to broke the request, and filled the log with a trace each time."""
    for number in (10**8, 2**62, 2**63 - 1):
        assert (await get(forge, f"/commits/main?page={number}")).status_code == 200
