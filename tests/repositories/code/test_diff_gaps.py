"""Hidden lines of a diff: the ways to unfold them, and what takes their place."""

import html
import re
from pathlib import Path

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import init

from cairn.git.diff import FileDiff, FileStatus
from cairn.git.types import Oid
from cairn.repositories.code import diff_gaps
from cairn.repositories.code.diff_gaps import ALL_LINES_MAX, linked
from cairn.repositories.code.diff_request import DiffRequest, GapLines, file_key
from cairn.repositories.code.diff_rows import Gap

FILE = FileDiff(FileStatus.MODIFIED, b"a", b"a", 0o100644, 0o100644, Oid("1" * 40), Oid("2" * 40), None, 1, 1)


@pytest.mark.parametrize(
    ("lines", "ways"),
    [
        (GapLines(1, 5, 1), ["all"]),
        (GapLines(1, 100, 1), ["up", "all"]),
        (GapLines(30, 100, 29), ["down", "up", "all"]),
        (GapLines(30, 35, 29), ["all"]),
        (GapLines(30, 30 + ALL_LINES_MAX, 29), ["down", "up"]),
        (GapLines(30, None, 29), ["down", "all"]),
        (None, []),
    ],
)
def test_a_gap_is_unfolded_from_both_sides_or_whole(lines: GapLines | None, ways: list[str]) -> None:
    found = linked(Gap("gap", lines, "def f():"), FILE, DiffRequest(path="/x"))
    assert [link.grow for link in found.links] == ways
    for link in found.links:
        assert link.words
        assert link.href.startswith("/x?file=")
        assert "&part=1" in link.part


@pytest.fixture
async def page(forge: Forge, tmp_path: Path) -> str:
    """Return the address of a commit that changes lines 1, 101 and 301 of 400, with one line more before the last."""
    made = init(tmp_path / "made")
    lines = [f"value_{number} = {number}\n" for number in range(1, 401)]
    made.commit({"a.py": "".join(lines)})
    lines[300] = "value_301 = 'x'\nmore = 1\n"
    lines[0] = lines[100] = "changed = 1\n"
    oid = made.commit({"a.py": "".join(lines)})
    ada = await forge.person("ada")
    await forge.push_refs(await forge.repository(ada, "engine"), made, "refs/heads/main")
    return f"/ada/engine/commit/{oid}"


async def get(forge: Forge, address: str) -> str:
    answer = await forge.browser().get(html.unescape(address))
    assert answer.status_code == 200
    return answer.text


def numbers(text: str, side: str) -> list[int]:
    return [int(number) for number in re.findall(rf'id="diff-[0-9a-f]*{side}(\d+)"', text)]


def links(text: str) -> dict[str, str]:
    """Return the ways to unfold the gaps of a text: where it has several, the last one's."""
    return {way: html.unescape(address) for way, address in re.findall(r'data-grow="(\w+)" data-part="([^"]*)"', text)}


async def test_lines_come_in_place_of_the_gap(forge: Forge, page: str) -> None:
    text = await get(forge, page)
    first = re.findall(r'<tbody class="diff-gap">.*?</tbody>', text, re.DOTALL)[0]
    down = await get(forge, links(first)["down"])
    assert (numbers(down, "R"), numbers(down, "L")) == (list(range(5, 25)), list(range(5, 25)))
    assert "hl-" in down
    assert links(down).keys() == {"down", "up", "all"}
    up = await get(forge, links(down)["up"])
    assert numbers(up, "R") == list(range(78, 98))
    rest = await get(forge, links(up)["all"])
    assert numbers(rest, "R") == list(range(25, 78))
    assert 'class="diff-gap"' not in rest


async def test_without_a_script_the_link_leads_to_the_whole_file(forge: Forge, page: str) -> None:
    [address] = set(re.findall(r'href="([^"#]*)#[^"]*R5" data-grow', await get(forge, page)))
    assert numbers(await get(forge, address), "R") == list(range(1, 402))


async def test_after_added_lines_both_sides_keep_their_numbers(forge: Forge, page: str) -> None:
    last = re.findall(r'<tbody class="diff-gap">.*?</tbody>', await get(forge, page), re.DOTALL)[-1]
    rest = await get(forge, links(last)["all"])
    assert (numbers(rest, "L"), numbers(rest, "R")) == (list(range(305, 401)), list(range(306, 402)))
    assert "value_400" in rest
    assert 'class="diff-gap"' not in rest


async def test_the_split_view_has_split_lines(forge: Forge, page: str) -> None:
    gap = re.findall(r'<tbody class="diff-gap">.*?</tbody>', await get(forge, f"{page}?diff=split"), re.DOTALL)[0]
    assert '<td class="diff-old">' in await get(forge, links(gap)["down"])


@pytest.mark.parametrize("gap", ["5000-6000-5000", "999999999--999999999"])
async def test_beyond_the_files_end_there_is_nothing(forge: Forge, page: str, gap: str) -> None:
    text = await get(forge, f"{page}?file={file_key(b'a.py')}&gap={gap}&part=1")
    assert "<tbody" not in text


async def test_a_gap_of_no_changed_file_is_empty(forge: Forge, page: str) -> None:
    """Attack: a diff's address does not read files that the diff does not show."""
    text = await get(forge, f"{page}?file={file_key(b'README')}&gap=1-5-1&part=1")
    assert "<tbody" not in text


async def test_in_a_file_that_is_too_large_nothing_is_unfolded(
    forge: Forge, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diff_gaps, "UNFOLDED_BYTES_MAX", 100)
    text = await get(forge, f"{page}?file={file_key(b'a.py')}&gap=5-9-5&part=1")
    assert "too large to unfold here" in text
