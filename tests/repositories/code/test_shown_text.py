"""Parts of long texts: bounded in lines and characters, each line somewhere."""

import pytest
from tests.factories.forge import Forge

from cairn.repositories.code import shown_text
from cairn.repositories.code.browse import open_code
from cairn.repositories.code.shown_text import line_address, read_part
from cairn.web.text_files import read_text


async def parts(forge: Forge, content: bytes, name: bytes = b"a") -> list[list[str]]:
    """Return the lines of each part of a file in turn."""
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={name.decode(): content})
    text = read_text(content)
    assert text is not None
    found: list[list[str]] = []
    async with open_code(forge.engine, repository.store_id) as code:
        entry = await code.entry(await code.place(b"main/" + name))
        first = 1
        while first:
            part = await read_part(code, entry.oid, name, text, first=first)
            assert part.total == len(text.lines)
            assert part.is_whole == (not part.earlier and not part.later)
            found.append([str(line) for line in part.lines])
            first = part.later
    return found


@pytest.mark.parametrize("name", [b"a", b"a.py"], ids=["plain", "coloured"])
async def test_parts_are_bounded_by_lines(forge: Forge, monkeypatch: pytest.MonkeyPatch, name: bytes) -> None:
    monkeypatch.setattr(shown_text, "LINES_PER_PART", 4)
    found = await parts(forge, b"\n".join(b"a%d" % number for number in range(10)), name)
    assert [len(part) for part in found] == [4, 4, 2]
    assert [line for part in found for line in part] == [f"a{number}" for number in range(10)]


async def test_parts_are_bounded_by_characters(forge: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown_text, "PART_CHARACTERS_MAX", 10)
    assert await parts(forge, b"12345\n12345\n1\n1234567890123\nend\n") == [
        ["12345", "12345"],
        ["1"],
        ["1234567890123"],
        ["end"],
    ]


async def test_an_empty_text_has_one_empty_part(forge: Forge) -> None:
    assert await parts(forge, b"", b"a.py") == [[]]


async def test_a_number_out_of_range_means_the_nearest_line(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", files={"a": b"1\n2\n3\n"})
    text = read_text(b"1\n2\n3\n")
    assert text is not None
    async with open_code(forge.engine, repository.store_id) as code:
        entry = await code.entry(await code.place(b"main/a"))
        for first, lines in ((-5, ["1", "2", "3"]), (99, ["3"])):
            assert (await read_part(code, entry.oid, b"a", text, first=first)).lines == lines


def test_an_address_leads_to_the_part_that_has_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown_text, "LINES_PER_PART", 100)
    assert [line_address(number) for number in (1, 100, 101, 250)] == [
        "#L1",
        "#L100",
        "?first=101#L101",
        "?first=201#L250",
    ]
