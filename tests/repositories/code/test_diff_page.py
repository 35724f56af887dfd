"""What changed, on the pages of a commit and of a comparison: every kind of change, part by part."""

import html
import re
from pathlib import Path

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository, init
from tests.factories.rich_change import LINK, make_rich_change

from cairn.git.diff import DiffBounds
from cairn.repositories.code import diff_page
from cairn.repositories.code.diff_request import file_key

PAGE = "/ada/engine"


@pytest.fixture
async def rich(forge: Forge, tmp_path: Path) -> str:
    """Return the address of a commit that changes things of every kind."""
    made, _, after = make_rich_change(tmp_path / "rich")
    await pushed(forge, made)
    return f"{PAGE}/commit/{after}"


async def pushed(forge: Forge, made: StockRepository) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    await forge.push_refs(repository, made, "refs/heads/main")


async def get(forge: Forge, address: str, **cookies: str) -> str:
    browser = forge.browser()
    for name, value in cookies.items():
        browser.client.cookies.set(name, value)
    answer = await browser.get(address)
    assert answer.status_code == 200
    return answer.text


def section(text: str, path: str) -> str:
    """Return one file's part of a page."""
    found = re.search(rf'<section class="diff-file" id="diff-{file_key(path.encode())}".*?</section>', text, re.DOTALL)
    assert found is not None, path
    return found[0]


def read(text: str) -> str:
    """Return HTML as somebody reads it, on one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())


async def test_every_kind_of_change_says_what_it_is(forge: Forge, rich: str) -> None:
    text = await get(forge, rich)
    said = {
        "docs/new name.txt": "docs/old name.txt became → docs/new name.txt Renamed 99 %",
        "docs/latin.txt": "Not UTF-8; shown as Latin-1.",
        "docs/windows.txt": "Lines end in CR LF.",
        "docs/open.txt": "no line end",
        "docs/trojan.py": "text look different from what a computer reads",
        "current": "Symbolic link",
        "data.bin": "A binary file: 2 KiB → 2.2 KiB.",
        "empty": "An empty file.",
        "gone.txt": "Deleted",
        "modules/gears": f"The submodule moved from {LINK[:10]} to {'2' * 10}",
        "run.sh": "Now executable",
        "weights.bin": "Kept in Git LFS: 1.2 MiB → 2.2 MiB.",
        "wide.txt": "more characters",
        "package-lock.json": "A generated file; its changes are folded away. Show the changes",
    }
    for path, words in said.items():
        assert words in read(section(text, path)), path
    assert "23 files changed" in read(text)
    assert text.endswith("</html>\n") or text.rstrip().endswith("</html>")


async def test_pictures_stand_beside_each_other(forge: Forge, rich: str) -> None:
    text = await get(forge, rich)
    addresses = re.findall(r'<img src="([^"]*)"', section(text, "pictures/wheel.png"))
    assert len(addresses) == 2
    for address in addresses:
        answer = await forge.browser().get(address)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert len(re.findall("<img", section(text, "pictures/new.png"))) == 1


async def test_words_are_marked_and_code_is_coloured(forge: Forge, rich: str) -> None:
    mill = section(await get(forge, rich), "engine/mill.py")
    assert "<mark>factor</mark>" in mill
    assert '<span class="hl-k">def</span>' in mill


async def test_moved_lines_lead_to_where_they_went(forge: Forge, rich: str) -> None:
    text = await get(forge, rich)
    [there, *_] = re.findall(r'href="#(\S+)" title="Moved to engine/carry.py, line 6"', section(text, "engine/mill.py"))
    assert f'id="{there}"' in section(text, "engine/carry.py")
    assert 'title="Moved from engine/mill.py, line 12"' in section(text, "engine/carry.py")


async def test_lines_have_anchors_of_both_sides(forge: Forge, rich: str) -> None:
    mill = section(await get(forge, rich), "engine/mill.py")
    key = f"diff-{file_key(b'engine/mill.py')}"
    for anchor in (f"{key}L6", f"{key}R6"):
        assert f'id="{anchor}" href="#{anchor}">6</a>' in mill


async def test_the_view_is_chosen_by_the_address_and_remembered(forge: Forge, rich: str) -> None:
    browser = forge.browser()
    split = await browser.get(f"{rich}?diff=split")
    assert 'class="diff diff-split"' in split.text
    assert "cairn_diff=split" in split.headers["set-cookie"]
    assert 'class="diff diff-split"' in await get(forge, rich, cairn_diff="split")
    assert 'class="diff diff-split"' not in await get(forge, f"{rich}?diff=unified", cairn_diff="split")
    # What is there on one side only has nothing to stand beside.
    assert "diff-split" not in section(split.text, "engine/printer.py")


async def test_a_repeat_costs_nothing_but_another_view_is_another_page(forge: Forge, rich: str) -> None:
    browser = forge.browser()
    etag = (await browser.get(rich)).headers["etag"]
    again = {"if-none-match": etag}
    assert (await browser.client.get(rich, headers=again)).status_code == 304
    browser.client.cookies.set("cairn_diff", "split")
    other = await browser.client.get(rich, headers=again)
    assert other.status_code == 200
    assert 'class="diff diff-split"' in other.text


async def test_white_space_can_be_left_out(forge: Forge, rich: str) -> None:
    text = await get(forge, f"{rich}?w=1")
    assert "Only white space changed." in read(section(text, "engine/store.py"))
    assert "<mark>factor</mark>" in section(text, "engine/mill.py")
    assert f'href="{rich}"' in text  # back to all of it


async def test_a_folded_file_opens_by_its_link(forge: Forge, rich: str) -> None:
    folded = section(await get(forge, rich), "package-lock.json")
    assert "lockfileVersion" not in folded
    [link] = re.findall(r'<a href="([^"]*)" data-load', folded)
    alone = await get(forge, html.unescape(link))
    assert "lockfileVersion" in section(alone, "package-lock.json")
    assert alone.count('<section class="diff-file"') == 1
    [part] = re.findall(r'data-load="([^"]*)"', folded)
    fragment = await get(forge, html.unescape(part))
    assert "lockfileVersion" in section(fragment, "package-lock.json")
    assert "<html" not in fragment


async def test_one_file_is_shown_whole_by_a_link(forge: Forge, rich: str) -> None:
    key = file_key(b"docs/long.txt")
    text = await get(forge, f"{rich}?file={key}&context=all")
    assert read(section(text, "docs/long.txt")).count("of a long file") == 202
    nothing = await get(forge, f"{rich}?file={'0' * 12}")
    assert "This file did not change here." in nothing


async def test_a_comparison_shows_the_same(forge: Forge, rich: str, tmp_path: Path) -> None:
    after = rich.rpartition("/")[2]
    before = StockRepository(tmp_path / "rich").oid(f"{after}~1")
    commit, comparison = await get(forge, rich), await get(forge, f"{PAGE}/compare/{before}...{after}")
    for path in ("engine/mill.py", "docs/new name.txt", "data.bin"):
        assert read(section(commit, path)) == read(section(comparison, path))


@pytest.fixture
async def many(forge: Forge, tmp_path: Path) -> str:
    """Return the address of a commit that adds 350 files, some of them long."""
    made = init(tmp_path / "many")
    made.commit({"README": "1"}, "Begin")
    files = {f"folder{number % 7}/file{number:03}.txt": f"{number}\n" for number in range(350)}
    made.commit({**files, "folder0/long.txt": "".join(f"{number}\n" for number in range(3000))}, "Many")
    await pushed(forge, made)
    return f"{PAGE}/commit/{made.oid('main')}"


def names(text: str) -> list[str]:
    return [html.unescape(name) for name in re.findall(r'<section class="diff-file"[^>]*data-path="([^"]*)"', text)]


async def test_the_parts_join_to_the_whole(forge: Forge, many: str) -> None:
    text = await get(forge, many)
    assert "351 files changed" in read(text)
    seen = names(text)
    assert len(seen) == diff_page.FILES_IN_PART
    while link := re.search(r'data-more="([^"]*)"', text):
        text = await get(forge, html.unescape(link[1]))
        assert "<html" not in text
        seen += names(text)
    assert len(seen) == len(set(seen)) == 351
    assert seen == sorted(seen)


async def test_without_a_script_each_part_is_a_page(forge: Forge, many: str) -> None:
    [later] = re.findall(r'rel="next" href="([^"]*)"', await get(forge, many))
    rest = await get(forge, html.unescape(later))
    assert len(names(rest)) == 100
    assert f'rel="prev" href="{many}"' in rest
    assert "There are no further files." in await get(forge, f"{many}?skip=99999")


async def test_a_part_ends_after_so_many_lines(forge: Forge, many: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diff_page, "LINES_IN_PART", 60)
    assert len(names(await get(forge, many))) == 61  # the long one is folded, it counts nothing


async def test_a_long_list_of_files_comes_when_it_is_asked_for(forge: Forge, many: str) -> None:
    text = await get(forge, many)
    assert 'class="changes-tree"' not in text
    [link] = re.findall(r'data-list="([^"]*)"', text)
    fragment = await get(forge, html.unescape(link))
    assert fragment.count('class="changes-file-link"') == 351
    page = await get(forge, f"{many}?list=1")
    assert page.count('class="changes-file-link"') == 351
    [address] = re.findall(rf'href="([^"#]*)#diff-{file_key(b"folder6/file349.txt")}"', page)
    assert names(await get(forge, html.unescape(address)))[0] == "folder6/file349.txt"


async def test_a_long_list_goes_on(forge: Forge, many: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diff_page, "LISTED_FILES_MAX", 200)
    first = await get(forge, f"{many}?list=1")
    assert first.count('class="changes-file-link"') == 200
    assert f"{many}?list=1&amp;skip=200" in first
    assert (await get(forge, f"{many}?list=1&skip=200")).count('class="changes-file-link"') == 151


async def test_a_long_file_comes_in_pieces(forge: Forge, many: str) -> None:
    text = await get(forge, f"{many}?file={file_key(b'folder0/long.txt')}")
    numbers = [int(number) for number in re.findall(r'R(\d+)" href', text)]
    while link := re.search(r'data-further="([^"]*)"', text):
        text = await get(forge, html.unescape(html.unescape(link[1])))
        numbers += [int(number) for number in re.findall(r'R(\d+)" href', text)]
    assert numbers == list(range(1, 3001))


async def test_what_is_too_much_even_alone_is_said_and_led_nowhere(
    forge: Forge, many: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack: one line of many megabytes, in a file that then asks to be loaded again and again."""
    monkeypatch.setattr(diff_page, "PART_BOUNDS", DiffBounds(patch_bytes=150))
    alone = section(await get(forge, f"{many}?file={file_key(b'folder0/long.txt')}"), "folder0/long.txt")
    assert "Too much has changed in its lines to be shown here" in alone
    assert "data-load" not in alone
    among_others = section(await get(forge, many), "folder0/file007.txt")
    assert "Its changes come on a page of their own. " in among_others
    assert "data-load" in among_others


async def test_too_many_files_to_be_listed_are_refused_on_the_page(
    forge: Forge, many: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cairn.git.diff.LIST_BYTES_MAX", 100)
    text = await get(forge, many)
    assert "touches more files than can be compared here" in text
    assert text.rstrip().endswith("</html>")


async def test_head_costs_nothing(forge: Forge, many: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diff_page, "_ChangesPage", None)
    answer = await forge.browser().client.head(many)
    assert (answer.status_code, answer.content) == (200, b"")
