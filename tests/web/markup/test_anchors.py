import pytest

from cairn.web.markup.anchors import SLUG_CHARACTERS_MAX, Slugs


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Hello, World!", "hello-world"),
        ("code & more", "code--more"),
        ("🚀 Launch", "-launch"),
        ("snake_case and kebab-case", "snake_case-and-kebab-case"),
        ("What's new in 1.2.3?", "whats-new-in-123"),
        ("Über Größe", "über-größe"),
        ("हिन्दी", "हिन्दी"),
        ("中文 标题", "中文-标题"),
        ('"><script>', "script"),
        ("!!!", "section"),
    ],
)
def test_headings_have_the_anchors_github_gives_them(title: str, slug: str) -> None:
    assert Slugs().next(title) == slug


def test_the_same_words_again_get_numbers_and_no_id_comes_twice() -> None:
    slugs = Slugs()
    assert [slugs.next(title) for title in ("A", "A", "A-1", "A", "A")] == ["a", "a-1", "a-1-1", "a-2", "a-3"]


def test_an_id_has_an_end() -> None:
    assert len(Slugs().next("x" * 10_000)) == SLUG_CHARACTERS_MAX
