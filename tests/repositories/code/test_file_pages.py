"""A file is shown, and given raw, without anything of it running."""

import threading
from typing import Any

import pytest
from markupsafe import Markup
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository

from cairn.repositories.code import file_pages
from cairn.web.highlight import highlight_lines


async def get(forge: Forge, path: str) -> Any:
    return await forge.browser().get(f"/ada/engine{path}")


async def test_a_file_is_shown_with_numbered_lines_and_its_own_text_only(forge: Forge, stock: StockRepository) -> None:
    text = (await get(forge, "/blob/main/src/mill.py")).text
    assert 'id="L2"' in text
    assert "&lt;b&gt;2" in text
    assert "<b>2" not in text
    assert f"/ada/engine/blob/{stock.oid('main')}/src/mill.py" in text
    evil = (await get(forge, "/blob/main/src/evil.html")).text
    assert "<script>alert(1)" not in evil


async def test_colouring_a_file_does_not_hold_up_other_requests(
    forge: Forge, stock: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def noting(content: bytes, name: str) -> list[Markup]:
        threads.append(threading.current_thread())
        return highlight_lines(content, name)

    monkeypatch.setattr(file_pages, "highlight_lines", noting)
    assert (await get(forge, "/blob/main/src/mill.py")).status_code == 200
    assert threads
    assert threading.main_thread() not in threads


async def test_a_markdown_file_is_shown_rendered_or_as_its_source(forge: Forge, stock: StockRepository) -> None:
    assert 'class="prose prose-file"' in (await get(forge, "/blob/main/README.md")).text
    source = (await get(forge, "/blob/main/README.md?plain=1")).text
    assert 'class="prose prose-file"' not in source
    assert 'id="L1"' in source


async def test_what_is_no_text_is_offered_raw(forge: Forge, stock: StockRepository) -> None:
    assert "A binary file" in (await get(forge, "/blob/main/x.bin")).text
    assert '<img src="/ada/engine/raw/main/logo.png"' in (await get(forge, "/blob/main/logo.png")).text
    assert "Points to" in (await get(forge, "/blob/main/link")).text


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("src/evil.html", "text/plain; charset=utf-8"),
        ("logo.png", "image/png"),
        ("x.bin", "application/octet-stream"),
        ("README.md", "text/plain; charset=utf-8"),
    ],
)
async def test_a_raw_file_is_nothing_a_browser_runs(forge: Forge, stock: StockRepository, path: str, kind: str) -> None:
    """The attack: push a page with a script and send people its raw address, on the forge's own origin."""
    answer = await get(forge, f"/raw/main/{path}")
    assert answer.headers["content-type"] == kind
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
