"""Lists of what git leaves alone: for the languages people use most, whole lines only."""

from cairn.repositories.life.gitignores import NAMES, find_gitignore


def test_every_list_is_one() -> None:
    assert len(NAMES) >= 20
    for name in NAMES:
        found = find_gitignore(name.upper())
        assert found is not None
        assert found[0] == name
        assert found[1].endswith("\n")
        assert all(line == line.strip() for line in found[1].splitlines())
    assert find_gitignore("nothing") is None
    assert find_gitignore("") is None
