"""Files by their names become documents, with links into the revision they are shown in."""

import html
import re
from typing import Any

import pytest
from tests.factories.forge import Forge

from cairn.git.types import Oid
from cairn.repositories.code.browse import FileContent
from cairn.repositories.code.rendered_files import is_renderable, text_kind
from cairn.web.markup.documents import TextKind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (b"README.md", TextKind.MARKDOWN),
        (b"a.MARKDOWN", TextKind.MARKDOWN),
        (b"index.rst", TextKind.RST),
        (b"a.b.csv", TextKind.CSV),
        (b"x.tsv", TextKind.TSV),
        (b"x.ipynb", TextKind.NOTEBOOK),
        (b"x.py", None),
        (b"md", None),
        (b"README", None),
        (b"notes.adoc", None),
        (b"notes.org", None),
    ],
)
def test_the_name_says_what_a_file_is_rendered_as(name: bytes, kind: TextKind | None) -> None:
    assert text_kind(name) == kind


def test_only_text_that_is_there_is_rendered() -> None:
    oid = Oid("0" * 40)
    assert is_renderable(FileContent(b"a.md", oid, 0o100644, 1, b"x"))
    assert not is_renderable(FileContent(b"a.md", oid, 0o120000, 1, b"x"))
    assert not is_renderable(FileContent(b"a.md", oid, 0o100644, 2 << 20, None))
    assert not is_renderable(FileContent(b"a.md", oid, 0o100644, 2, b"x\0"))


FILES = {
    "README.rst": b"Engine\n======\n\nSee `the guide <docs/guide.md#Part>`_.\n\n.. include:: /etc/passwd\n",
    "docs/guide.md": b"# Guide\n\n[up](../README.rst) [lines](/src/a.py#L3) ![mark](mark.png?raw=true) "
    b"[all](../../../issues)\n",
    "docs/README.md": b"[here](guide.md)\n\n## A\n\n## B\n\n## C\n",
    "data/stones.csv": b"name;mass\n<granite>;2.7\n",
    "work/count.ipynb": b'{"cells": [{"cell_type": "code", "source": "1 + 1", "outputs": []}]}',
    "work/broken.ipynb": b"{not json",
    "diagram.md": b"```mermaid\ngraph TD\n```\n",
    "notes.adoc": b"= <Notes>\n",
    "readme-folder/README.adoc": b"= <Notes>\n",
}


async def show(forge: Forge, path: str) -> Any:
    ada = await forge.person("ada")
    await forge.repository(ada, "mill", files=FILES)
    answer = await forge.browser().get(f"/ada/mill{path}")
    assert answer.status_code == 200
    return answer


async def test_a_readme_of_another_kind_is_rendered_too(forge: Forge) -> None:
    text = (await show(forge, "")).text
    assert '<h1 id="user-content-engine">Engine' in text
    assert 'href="/ada/mill/blob/main/docs/guide.md#user-content-Part"' in text
    assert "root:" not in text


async def test_links_of_a_file_mean_its_own_folder_and_revision(forge: Forge) -> None:
    text = (await show(forge, "/blob/main/docs/guide.md")).text
    assert 'href="/ada/mill/blob/main/README.rst"' in text
    assert 'href="/ada/mill/blob/main/src/a.py#L3"' in text
    assert 'src="/ada/mill/raw/main/docs/mark.png"' in text
    assert 'href="/ada/mill/issues"' in text


async def test_a_folder_shows_its_own_readme_with_a_list_of_what_is_in_it(forge: Forge) -> None:
    text = (await show(forge, "/tree/main/docs")).text
    assert 'href="/ada/mill/blob/main/docs/guide.md"' in text
    assert re.findall(r'<li class="outline-2"><a href="#([^"]+)">', text) == [f"user-content-{name}" for name in "abc"]


async def test_a_table_is_shown_with_its_source_beside_it(forge: Forge) -> None:
    text = (await show(forge, "/blob/main/data/stones.csv")).text
    assert "<td>&lt;granite&gt;</td><td>2.7</td>" in text
    assert "plain=1" in text
    source = (await forge.browser().get("/ada/mill/blob/main/data/stones.csv?plain=1")).text
    assert "<td>&lt;granite&gt;</td>" not in source
    assert 'id="L2"' in source


async def test_a_notebook_is_shown_and_one_that_is_none_as_its_text(forge: Forge) -> None:
    assert 'class="cell"' in (await show(forge, "/blob/main/work/count.ipynb")).text
    broken = (await forge.browser().get("/ada/mill/blob/main/work/broken.ipynb")).text
    assert "not what its name says" in broken
    assert "{not json" in html.unescape(broken)


async def test_what_has_no_rendered_view_is_shown_as_text(forge: Forge) -> None:
    assert "&lt;Notes&gt;" in (await show(forge, "/blob/main/notes.adoc")).text


async def test_a_page_with_diagrams_may_frame_this_site_and_no_other_page_may(forge: Forge) -> None:
    policy = (await show(forge, "/blob/main/diagram.md")).headers["content-security-policy"]
    assert "frame-src 'self'" in policy
    other = (await forge.browser().get("/ada/mill/blob/main/docs/guide.md")).headers["content-security-policy"]
    assert "frame-src 'none'" in other
    assert "img-src 'self' data: https:" in other
    assert "script-src 'nonce-" in other
