import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup
from tests.web.support import open_app, user

import cairn
from cairn.web.context import RequestContext
from cairn.web.icons import icon, icon_names
from cairn.web.render import Renderer, ago, avatar_file, human_bytes, identicon, render, render_around
from cairn.web.routing import PUBLIC, page
from cairn.web.static_files import StaticFiles

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TEMPLATES = sorted(Path(cairn.__file__).parent.glob("*/templates/**/*.html"))


@page.get("/links", action=PUBLIC, resource="none")
async def links(context: RequestContext) -> Any:
    context.flash("<b>Done</b>", "success")
    return render(context, "probe.html", title="<script>")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "probe_package" / "templates"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    (folder / "probe.html").write_text(
        "{{ title }}|{{ with_query(page=2, q=none) }}|{{ 1536 | bytes }}|{{ csrf_input() }}"
    )
    (folder / "around.html").write_text("{{ title }}|{{ part }}|end")
    monkeypatch.syspath_prepend(str(tmp_path))
    return "probe_package"


async def test_a_package_brings_its_templates_and_values_are_escaped(tmp_path: Path, package: str) -> None:
    async with open_app(tmp_path, [links], packages=(package,)) as running:
        answer = await running.browser().get("/links?q=x&a=1&a=2")
    title, query, size, token = answer.text.split("|")
    assert (title, query, size) == ("&lt;script&gt;", "/links?a=1&amp;a=2&amp;page=2", "1.5 KiB")
    assert re.fullmatch(r'<input type="hidden" name="csrf_token" value="[\w-]{86}">', token)


@page.get("/around", action=PUBLIC, resource="none")
async def around(context: RequestContext) -> Any:
    async def pieces() -> AsyncIterator[str]:
        yield "<i>1</i>"
        yield "<i>2</i>"

    return render_around(context, "around.html", pieces(), name="part", title="<!--part-->")


async def test_a_page_is_sent_around_pieces_that_come_later(tmp_path: Path, package: str) -> None:
    async with open_app(tmp_path, [around], packages=(package,)) as running:
        answer = await running.browser().get("/around")
    assert answer.text == "&lt;!--part--&gt;|<i>1</i><i>2</i>|end"
    assert answer.headers["content-type"].startswith("text/html")
    assert "script-src 'nonce-" in answer.headers["content-security-policy"]


async def test_a_flash_is_shown_once_and_escaped(tmp_path: Path, package: str) -> None:
    async with open_app(tmp_path, [links], packages=(package,)) as running:
        browser = running.browser()
        await browser.get("/links")
        assert "&lt;b&gt;Done&lt;/b&gt;" in (await browser.get("/-/appearance")).text
        assert "Done" not in (await browser.get("/-/appearance")).text
        browser.client.cookies.set("cairn_flash", "WyJQYXkgbWUiLCAiZGFuZ2VyIl0=.00")
        assert "Pay me" not in (await browser.get("/-/appearance")).text


def test_a_missing_value_is_an_error() -> None:
    renderer = Renderer(("cairn.web",), StaticFiles(("cairn.web",)))
    with pytest.raises(UndefinedError):
        renderer.text("web/error.html", {})


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: "/".join(path.parts[-2:]))
def test_templates_have_no_way_around_escaping_and_every_form_its_token(template: Path) -> None:
    text = template.read_text()
    assert not re.search(r"\|\s*safe\b|autoescape\s+false|Markup\(", text)
    # A mail carries its looks in attributes, because mail programs drop style sheets; no page shows it unframed.
    attributes = "on[a-z]+" if template.parent.name == "mail" else "style|on[a-z]+"
    assert not re.search(rf"<[^>]+\s({attributes})=", text)
    assert not re.search(r"<(script|style)(?![^>]*nonce=)[^>]*>", text)
    for form in re.findall(r'<form[^>]*method="post".*?</form>', text, re.DOTALL | re.IGNORECASE):
        assert "csrf_input()" in form


def test_times_are_words_with_the_exact_moment_beside() -> None:
    cases = [(10, "just now"), (60, "1 minute ago"), (59 * 60, "59 minutes ago"), (2 * 3600, "2 hours ago"),
             (3 * 86400, "3 days ago"), (-7200, "in 2 hours"), (90 * 86400, "23 Aug 2026")]  # fmt: skip
    for seconds, words in cases:
        html = ago(NOW - timedelta(seconds=seconds), NOW)
        assert f">{words}</time>" in html
    assert 'datetime="2026-11-21T12:00:00Z"' in ago(NOW, NOW)


def test_sizes_read_well() -> None:
    assert [human_bytes(n) for n in (0, 1023, 1024, 1536, 10 << 20, 3 << 30, 5 << 40)] == [
        "0 B", "1023 B", "1 KiB", "1.5 KiB", "10 MiB", "3 GiB", "5.0 TiB",
    ]  # fmt: skip


def test_an_identicon_is_the_same_for_the_same_name_only() -> None:
    assert identicon("Ada") == identicon("ada")
    assert identicon("ada") != identicon("grace")
    assert isinstance(identicon("<x>"), Markup)
    assert "<x>" not in identicon("<x>")


def test_icons_are_hidden_unless_labelled() -> None:
    assert 'aria-hidden="true"' in icon("repo")
    assert 'role="img" aria-label="A &lt;repo&gt;"' in icon("repo", label="A <repo>")
    assert all(icon(name).startswith("<svg") for name in icon_names())
    with pytest.raises(KeyError):
        icon("no-such-icon")


async def test_the_user_menu_is_there_for_people_who_signed_in(tmp_path: Path) -> None:
    async with open_app(tmp_path) as running:
        mine = (await running.browser(user(1, "ada")).get("/-/appearance")).text
        strangers = (await running.browser().get("/-/appearance?next=/a")).text
    assert 'action="/logout"' in mine
    assert 'href="/ada"' in mine
    assert 'action="/logout"' not in strangers
    assert 'href="/login?next=/-/appearance%3Fnext%3D/a"' in strangers


def test_an_avatar_file_is_the_picture_of_the_page_and_stands_alone() -> None:
    picture = ElementTree.fromstring(avatar_file("Ada"))
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    inline = ElementTree.fromstring(str(identicon("ada")))
    stones = [stone.attrib for stone in picture.iter() if stone.get("rx")]
    assert len(stones) == 3
    assert stones == [stone.attrib for stone in inline]
