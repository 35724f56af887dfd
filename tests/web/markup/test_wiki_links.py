"""Links between wiki pages: what is written between double brackets leads to pages of that wiki and nowhere else."""

import pytest

from cairn.web.markup.documents import Source, TextKind, render_document
from cairn.web.markup.links import LinkContext
from cairn.web.markup.wiki_links import TARGETS_MAX, find_wiki_links


def shown(text: str, *, is_wiki: bool = True) -> str:
    links = LinkContext("/ada/engine", b"main", b"docs", is_wiki=is_wiki)
    return render_document(Source(TextKind.MARKDOWN, text, links, references={"[[Set up]]": "docs/Set-up"})).html


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("[[Set up]]", '<a href="/ada/engine/wiki/docs/Set-up" rel="nofollow ugc noopener">Set up</a>'),
        ("[[words|Set up]]", '<a href="/ada/engine/wiki/docs/Set-up" rel="nofollow ugc noopener">words</a>'),
        ("[[No page]]", 'href="/ada/engine/wiki/No-page" class="wiki-missing"'),
        ("[[Set up#First step]]", 'href="/ada/engine/wiki/docs/Set-up#user-content-first-step"'),
        ("[[a.png|alt=A stone]]", 'src="/ada/engine/wiki/_files/raw/main/a.png" alt="A stone"'),
        ("[x](Other.md)", 'href="/ada/engine/wiki/docs/Other"'),
        ("[x](../../issues)", 'href="/ada/engine/issues"'),
        ("`[[Set up]]`", "<code>[[Set up]]</code>"),
        ("[[x|javascript:alert(1)]]", 'href="/ada/engine/wiki/javascript:alert(1)"'),
        ("[[<b>]]", "&lt;b&gt;"),
    ],
)
def test_a_link_leads_to_a_page_of_the_wiki(text: str, html: str) -> None:
    assert html in shown(text)


def test_brackets_mean_nothing_outside_of_a_wiki() -> None:
    assert "[[Set up]]" in shown("[[Set up]]", is_wiki=False)


def test_as_many_pages_are_looked_up_as_there_may_be() -> None:
    assert find_wiki_links("[[a]] [[b|c]] [[c]] [[https://x.example/]] [[d#e]]") == ["a", "c", "d"]
    assert len(find_wiki_links(" ".join(f"[[{number}]]" for number in range(TARGETS_MAX * 2)))) == TARGETS_MAX
