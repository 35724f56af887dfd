"""Rendered text runs nothing, and its links mean files of the same revision."""

from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository

from cairn.repositories.code import rendered_files


async def test_markdown_runs_nothing_and_its_links_stay_in_the_revision(forge: Forge, stock: StockRepository) -> None:
    text = (await forge.browser().get("/ada/engine")).text
    assert "<script>alert" not in text
    assert 'href="/ada/engine/blob/main/src/mill.py"' in text
    assert 'src="/ada/engine/raw/main/logo.png"' in text
    # Out of the repository there is nothing: the path stops at its root.
    assert 'href="/ada/engine/blob/main/x"' in text


def test_a_relative_link_never_leaves_the_repository() -> None:
    for target in (b"../../../../etc/passwd", b"./../x/../../y", b"/"):
        assert not rendered_files._join(b"a/b", target).startswith((b"..", b"/"))
