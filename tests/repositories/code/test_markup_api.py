"""``POST /markdown`` as GitHub's clients know it, and files as HTML."""

from typing import Any

import pytest
from tests.factories.forge import Forge
from tests.factories.git_repositories import StockRepository

from cairn.access.roles import Visibility
from cairn.repositories.code.markup_api import TEXT_BYTES_MAX

HTML = {"accept": "application/vnd.github.html"}


async def post(forge: Forge, body: dict[str, Any]) -> Any:
    return await forge.browser().client.post("/api/v3/markdown", json=body)


async def test_a_text_is_answered_as_html(forge: Forge) -> None:
    answer = await post(forge, {"text": "Hello **world**\nagain #1 <script>alert(1)</script>"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.text == "<p>Hello <strong>world</strong>\nagain #1 </p>\n"


async def test_a_comment_breaks_its_lines_and_links_commits(forge: Forge, stock: StockRepository) -> None:
    oid = stock.oid("main")
    text = f"See {oid} or {oid[:9]}\nnot 0123456789 nor `{oid}`"
    html = (await post(forge, {"text": text, "mode": "gfm", "context": "ada/engine"})).text
    assert html.count(f'<a href="/ada/engine/commit/{oid}" rel="nofollow ugc noopener"><code>{oid[:7]}</code></a>') == 2
    assert "<br>\nnot 0123456789 nor" in html
    assert "<a" not in (await post(forge, {"text": text, "context": "ada/engine"})).text


async def test_a_repository_that_the_caller_cannot_see_links_nothing(forge: Forge) -> None:
    """Attack: ask which ids a private repository has by whether they become links."""
    ada, stranger = await forge.person("ada"), await forge.person("stan")
    repository = await forge.repository(ada, "hidden", visibility=Visibility.PRIVATE)
    oid = await forge.commit(ada, repository, {"a": b"b"})
    body = {"text": oid, "mode": "gfm", "context": "ada/hidden"}
    for person, has_link in ((ada, True), (stranger, False), (None, False)):
        answer = await forge.api(person).call("POST", "/markdown", json=body)
        assert answer.status_code == 200
        assert ("<a " in answer.text) is has_link


async def test_the_body_itself_may_be_the_text(forge: Forge) -> None:
    client = forge.browser().client
    answer = await client.post("/api/v3/markdown/raw", content="# Ä\n".encode(), headers={"content-type": "text/plain"})
    assert answer.status_code == 200
    assert answer.text.startswith('<h1 id="user-content-ä">Ä')
    refused = await client.post("/api/v3/markdown/raw", content=b"x", headers={"content-type": "application/json"})
    assert refused.status_code == 422


@pytest.mark.parametrize("body", [{}, {"text": 3}, {"text": "x", "mode": "html"}, {"text": "x" * (TEXT_BYTES_MAX + 1)}])
async def test_what_is_no_text_of_a_known_mode_is_refused(forge: Forge, body: dict[str, Any]) -> None:
    assert (await post(forge, body)).status_code == 422


async def test_readme_and_files_come_as_html_with_whole_addresses(forge: Forge, stock: StockRepository) -> None:
    client = forge.browser().client
    readme = await client.get("/api/v3/repos/ada/engine/readme", headers=HTML)
    assert readme.headers["content-type"] == "application/vnd.github.html; charset=utf-8"
    assert 'href="http://cairn.test:3000/ada/engine/blob/' in readme.text
    assert 'src="http://cairn.test:3000/ada/engine/raw/' in readme.text
    assert "<script" not in readme.text
    source = await client.get("/api/v3/repos/ada/engine/contents/src/evil.html", headers=HTML)
    assert source.text.startswith('<pre class="markdown-plain">')
    assert "<script" not in source.text
