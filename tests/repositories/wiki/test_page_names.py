"""Titles, names and files of pages: what a page is called is where it is found."""

import pytest

from cairn.repositories.wiki.page_names import (
    FORMATS,
    PageNameInvalid,
    full_title_of,
    index_pages,
    key_of,
    name_of,
    path_of_title,
    title_of,
)


@pytest.mark.parametrize(
    ("title", "path"),
    [
        ("Home", b"Home.md"),
        ("Set  up  now", b"Set-up-now.md"),
        (" guides / Set up ", b"guides/Set-up.md"),
        ("Größe & mehr", "Größe-&-mehr.md".encode()),
        ("_Sidebar", b"_Sidebar.md"),
        ("v1.2", b"v1.2.md"),
    ],
)
def test_a_title_is_a_file_and_the_file_has_that_title(title: str, path: bytes) -> None:
    assert path_of_title(title, "md") == path
    name = name_of(path)
    assert name is not None
    assert path_of_title(full_title_of(name), "md") == path


@pytest.mark.parametrize(
    "title",
    ["", " ", "/", "a//b", "..", "../x", "a/../b", "_x", "a/_Sidebar", "Home.md", "a.RST", "a\0b", "a\nb", "a|b",
     "a[b]", "<b>", 'a"b', ".git", "a/.git/b", "0" * 40, "a\u202eb", "ends.", "-flag", "x" * 201],
)  # fmt: skip
def test_what_no_address_or_system_could_keep_is_no_title(title: str) -> None:
    with pytest.raises(PageNameInvalid):
        path_of_title(title, "md")


def test_every_format_makes_a_page() -> None:
    for ending in FORMATS:
        assert name_of(path_of_title("A page", ending)) == b"A-page"
    assert name_of(b"picture.png") is None
    assert name_of(b".md") is None
    assert name_of(b"folder/.md") is None


def test_a_page_is_found_by_any_spelling_and_by_its_last_part() -> None:
    index = index_pages(
        [
            (b"Home.md", "1"),
            (b"docs/Set up.md", "2"),
            (b"Set-Up.rst", "3"),
            (b"Set-Up.md", "4"),
            (b"b/Deep.md", "5"),
            (b"a/Deep.md", "6"),
            (b"img/x.png", "7"),
            (b"_Sidebar.md", "8"),
            (b"_Footer.txt", "9"),
        ]
    )
    assert [page.name for page in index.pages] == [b"a/Deep", b"b/Deep", b"docs/Set-up", b"Home", b"Set-Up"]
    for asked, path in {
        b"home": b"Home.md",
        b"set up": b"Set-Up.md",
        b"docs/set-up": b"docs/Set up.md",
        b"deep": b"a/Deep.md",
        b"b/Deep": b"b/Deep.md",
        b"_Sidebar": b"_Sidebar.md",
    }.items():
        found = index.find(asked)
        assert found is not None
        assert found.path == path
    assert index.find(b"nowhere") is None
    assert index.find(b"c/Deep") is None
    assert index.has_file(b"img/x.png")
    assert index.has_file(b"Home.md")
    assert not index.has_file(b"Home")
    assert index.footer is not None
    assert index.footer.kind is None


def test_two_pages_that_differ_in_case_are_both_found() -> None:
    index = index_pages([(b"Notes.md", "1"), (b"notes.md", "2")])
    assert [index.find(name) for name in (b"Notes", b"notes")] == index.pages[:2] or len(index.pages) == 2
    for name in (b"Notes", b"notes"):
        found = index.find(name)
        assert found is not None
        assert found.name == name


def test_spellings_share_a_key() -> None:
    assert key_of(b"Set up") == key_of(b"set-UP")
    assert title_of(b"guides/Set-up") == "Set up"
