"""Pages that show code: every kind of thing in a tree, nothing that runs, nothing for who may not see it."""

import html
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository, init

from cairn.access.roles import Visibility
from cairn.repositories import pages
from cairn.repositories.browse import open_code
from cairn.web.highlight import highlight_lines

PAGE_BYTES_MAX = 100_000


@pytest.fixture
async def stock(forge: Forge, tmp_path: Path) -> StockRepository:
    """ada/engine: text, Markdown, a picture, a binary, a link, odd names, three commits, two branches, two tags."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", description="Mill & store")
    made = init(tmp_path / "stock")
    readme = "# Engine\n\n[mill](src/mill.py) [up](../x) ![logo](logo.png) <script>alert(1)</script>\n"
    made.commit(
        {"README.md": readme, "src/mill.py": "def mill():\n    return 1\n", "logo.png": b"\x89PNG\0", "x.bin": b"\0"}
    )
    made.commit(
        {"src/mill.py": "def mill():\n    return '<b>2</b>'\n", "src/evil.html": "<script>alert(1)</script>"},
        "Second <i>\n\nWhy.",
    )
    made.git("tag", "v1")
    made.git("tag", "-a", "v2", "-m", "Two")
    made.git("tag", "blob", "HEAD:x.bin")
    oid = made.git("hash-object", "-w", "--stdin", stdin=b"README.md").decode().strip()
    made.git("update-index", "--add", "--cacheinfo", f"120000,{oid},link")
    made.git("commit", "-q", "-m", "Third")
    made.git("branch", "feature/x")
    names = ["refs/heads/main", "refs/heads/feature/x", "refs/tags/v1", "refs/tags/v2", "refs/tags/blob"]
    await forge.push_refs(repository, made, *names)
    return made


async def get(forge: Forge, path: str) -> Any:
    return await forge.browser().get(f"/ada/engine{path}")


async def test_home_shows_tree_readme_and_where_to_clone(forge: Forge, stock: StockRepository) -> None:
    text = html.unescape((await get(forge, "")).text)
    assert "Mill & store" in text
    assert 'href="/ada/engine/tree/main/src"' in text
    assert 'href="/ada/engine/blob/main/README.md"' in text
    assert "http://cairn.test:3000/ada/engine.git" in text
    assert "ssh://git@cairn.test:2222/ada/engine.git" in text
    assert "3 commits" in text
    assert "Third" in text


async def test_markdown_runs_nothing_and_its_links_stay_in_the_revision(forge: Forge, stock: StockRepository) -> None:
    text = (await get(forge, "")).text
    assert "<script>alert" not in text
    assert 'href="/ada/engine/blob/main/src/mill.py"' in text
    assert 'src="/ada/engine/raw/main/logo.png"' in text
    # Out of the repository there is nothing: the path stops at its root.
    assert 'href="/ada/engine/blob/main/x"' in text


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

    monkeypatch.setattr(pages, "highlight_lines", noting)
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


async def test_folder_and_file_addresses_lead_to_each_other(forge: Forge, stock: StockRepository) -> None:
    wrong_tree = await get(forge, "/tree/main/README.md")
    assert (wrong_tree.status_code, wrong_tree.headers["location"]) == (303, "/ada/engine/blob/main/README.md")
    wrong_blob = await get(forge, "/blob/feature/x/src")
    assert wrong_blob.headers["location"] == "/ada/engine/tree/feature/x/src"


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


async def test_branches_and_tags_are_listed(forge: Forge, stock: StockRepository) -> None:
    branches = (await get(forge, "/branches")).text
    assert 'href="/ada/engine/tree/feature/x"' in branches
    assert branches.index("Default") < branches.index("feature/x")
    tags = (await get(forge, "/tags")).text
    # A tag that names a file has no commit to show, and breaks nothing.
    assert ('/ada/engine/tree/v1"' in tags, '/ada/engine/tree/v2"' in tags, "/tree/blob" in tags) == (True, True, False)


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

    monkeypatch.setattr("cairn.repositories.pages.open_code", watched)
    for path in ADDRESSES:
        assert (await get(forge, path)).status_code == 200
    assert open_sessions == len(ADDRESSES)


async def test_a_page_far_beyond_the_history_is_empty(forge: Forge, stock: StockRepository) -> None:
    """Attack: a page number that git cannot count to broke the request, and filled the log with a trace each time."""
    for number in (10**8, 2**62, 2**63 - 1):
        assert (await get(forge, f"/commits/main?page={number}")).status_code == 200
