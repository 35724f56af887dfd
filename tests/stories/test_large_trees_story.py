"""L6: a tree of 100,000 files, flat and nested, is browsed, searched by name and pushed to."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from tests.factories.git_repositories import StockRepository, init
from tests.stories.installation import Installation, installation
from tests.stories.pushers import found

from cairn.git.folder_listing import ENTRIES_PER_PART

FEW, MANY = 3_000, 100_000
COMMIT = b"commit refs/heads/main\ncommitter Ada <ada@example.org> 1700000000 +0000\ndata 4\nmany\n"
DEADLINE_SECONDS = 60


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Installation]:
    with installation(tmp_path / "site", {"CAIRN_GIT_QUEUE_SECONDS": "600"}) as running:
        yield running


def lay_out(folder: Path, count: int, *, nested: bool) -> StockRepository:
    """Make a repository of that many files in one commit: all in one folder, or a hundred in each of many."""
    stock = init(folder, bare=True)
    lines = [b"blob\nmark :1\ndata 2\nx\n", COMMIT]
    for number in range(count):
        path = f"a/{number // 10_000}/{number // 100:04}/f{number}.txt" if nested else f"many/f{number:06}.txt"
        lines.append(f"M 100644 :1 {path}\n".encode())
    stock.git("fast-import", "--quiet", stdin=b"".join(lines))
    return stock


def change_one(stock: StockRepository, path: str) -> None:
    """Commit another content of one file."""
    stream = COMMIT + b"from refs/heads/main^0\nM 100644 inline %b\ndata 2\ny\n" % path.encode()
    stock.git("fast-import", "--quiet", stdin=stream)


def ask(client: httpx2.Client, path: str) -> tuple[httpx2.Response, float]:
    """Return an answer of 200 and how many milliseconds it took."""
    started = time.monotonic()
    answer = client.get(path, timeout=DEADLINE_SECONDS)
    assert answer.status_code == 200, (path, answer.status_code)
    return answer, (time.monotonic() - started) * 1000


@pytest.mark.parametrize("nested", [False, True], ids=["flat", "nested"])
@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, id="many", marks=pytest.mark.nightly)])
@pytest.mark.timeout(900)
def test_a_tree_of_very_many_files_is_browsed_found_in_and_pushed_to(
    site: Installation, tmp_path: Path, count: int, nested: bool
) -> None:
    """Nothing is left out silently: what a page does not hold, it counts."""
    token = found(site, 1)
    url = site.url("ada/r0", user="ada", secret=token)
    stock = lay_out(tmp_path / "stock", count, nested=nested)
    stock.git("push", "-q", url, "main")
    last = (
        f"a/{(count - 1) // 10_000}/{(count - 1) // 100:04}/f{count - 1}.txt" if nested else f"many/f{count - 1:06}.txt"
    )
    folder = "a/0" if nested else "many"
    seen: list[str] = []
    with site.client(token) as client:
        for path in (f"/ada/r0/tree/main/{folder}", f"/ada/r0/blob/main/{last}", f"/ada/r0/find/main?q=f{count - 1}"):
            first, cold = ask(client, path)
            _, warm = ask(client, f"{path}{'&' if '?' in path else '?'}again=1")
            print(f"{path}: {cold:.0f} ms cold, {warm:.0f} ms warm, {len(first.content):,} bytes")
            seen.append(first.text)
        if nested:
            assert len(re.findall('class="tree-folder"', seen[0])) == min(count, 10_000) // 100
        else:
            assert f"Entries 1 to {ENTRIES_PER_PART:,} of {count:,}" in seen[0]
        assert "1 line" in seen[1]
        assert f'href="/ada/r0/blob/main/{last}"' in seen[2]
        paths, took = ask(client, "/ada/r0/paths/main")
        print(f"list of paths: {took:.0f} ms")
        assert paths.text.count("\n") + 1 == count
        change_one(stock, last)
        started = time.monotonic()
        stock.git("push", "-q", url, "main")
        print(f"push of one file: {time.monotonic() - started:.2f} s")
        assert client.get(f"/ada/r0/raw/main/{last}").text == "y\n"
        again, took = ask(client, "/ada/r0/find/main?q=f0")
        print(f"finder after a push: {took:.0f} ms")
        assert "finder-list" in again.text
