"""The finder without scripts, and the list of paths that the script reads."""

import gzip
import html
import re

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository


async def find(forge: Forge, address: str, query: str = "") -> list[tuple[str, str]]:
    """Return path and address of each file that is shown."""
    answer = await forge.browser().get(f"/ada/engine/find/{address}", params={"q": query} if query else {})
    assert answer.status_code == 200
    listed = re.search(r'id="finder-list">(.*?)</div>', answer.text, re.DOTALL)
    assert listed
    rows = re.findall(r'<a href="([^"]*)">.*?<span>(.*?)</span></a>', listed[1], re.DOTALL)
    return [(html.unescape(re.sub("</?mark>", "", path)), html.unescape(href)) for href, path in rows]


async def test_a_file_is_found_by_some_letters_of_its_path(forge: Forge, stock: StockRepository) -> None:
    assert await find(forge, "main", "srcmpy") == [("src/mill.py", "/ada/engine/blob/main/src/mill.py")]
    assert await find(forge, "feature/x/src", "evil") == [("evil.html", "/ada/engine/blob/feature/x/src/evil.html")]
    assert await find(forge, "main", "zzz") == []
    everything = [path for path, _ in await find(forge, "main")]
    assert everything == ["README.md", "link", "logo.png", "src/evil.html", "src/mill.py", "x.bin"]
    for path, href in await find(forge, "main"):
        assert (await forge.browser().get(href)).status_code == 200, path


async def test_what_is_no_folder_has_no_finder(forge: Forge, stock: StockRepository) -> None:
    for address in ("main/README.md", "main/nothing", "nowhere"):
        for verb in ("find", "paths"):
            assert (await forge.browser().get(f"/ada/engine/{verb}/{address}")).status_code == 404


async def test_names_of_any_bytes_are_found_and_opened(forge: Forge, stock: StockRepository) -> None:
    index = f"100644 {stock.oid('HEAD:src/mill.py')}\tod".encode() + b"\xff\n%<d.py\0"
    stock.git("update-index", "--add", "-z", "--index-info", stdin=index)
    stock.git("commit", "-q", "-m", "odd")
    repository = await forge.repository(forge.people["ada"], "odd")
    await forge.push_refs(repository, stock, "refs/heads/main")
    text = (await forge.browser().get("/ada/odd/find/main?q=od%25")).text
    assert "<span><mark>od%</mark>FF%0A%&lt;d.py</span>" in text
    href = re.search(r'href="(/ada/odd/blob/main/od[^"]*)"', text)
    assert href
    assert href[1] == "/ada/odd/blob/main/od%FF%0A%25%3Cd.py"
    assert "mill" in (await forge.browser().get(href[1])).text


async def test_the_list_of_paths_is_compressed_and_has_a_validator(forge: Forge, stock: StockRepository) -> None:
    path = "/ada/engine/paths/main"
    packed = await forge.browser().get(path, headers={"accept-encoding": "gzip"})
    plain = await forge.browser().get(path, headers={"accept-encoding": "identity"})
    assert (packed.headers.get("content-encoding"), plain.headers.get("content-encoding")) == ("gzip", None)
    assert packed.text == plain.text == "README.md\nlink\nlogo.png\nsrc/evil.html\nsrc/mill.py\nx.bin"
    assert packed.headers["content-type"] == "text/plain; charset=utf-8"
    assert gzip.decompress(gzip.compress(packed.content)) == plain.content
    again = await forge.browser().get(path, headers={"if-none-match": packed.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert packed.headers["etag"] == f'W/"{stock.oid("main^{tree}")}"'


async def test_a_list_that_ends_early_is_said_to(
    forge: Forge, stock: StockRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.git.path_list.PATHS_MAX", 2)
    text = (await forge.browser().get("/ada/engine/find/main")).text
    assert "only the first 2 are looked through" in text
