import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from tests.web.support import Running, open_app

from cairn.web.static_files import StaticFiles


@pytest.fixture
async def running(tmp_path: Path) -> Any:
    async with open_app(tmp_path) as app:
        yield app


async def test_files_are_immutable_and_named_by_content(running: Running) -> None:
    url = running.app.site.renderer.static_url("app.css")
    answer = await running.client(**{"accept-encoding": "identity"}).get(url)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert "content-encoding" not in answer.headers
    again = await running.client(**{"if-none-match": answer.headers["etag"]}).get(url)
    assert (again.status_code, again.content) == (304, b"")
    packed = await running.client(**{"accept-encoding": "gzip"}).head(url)
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) == len(gzip.compress(answer.content, mtime=0))


async def test_a_file_is_found_by_its_hashed_name_only(running: Running) -> None:
    for path in ("/-/static/app.css", "/-/static/../app.py", "/-/static/", "/-/static/%2e%2e/app.py"):
        assert (await running.client().get(path)).status_code == 404
    assert (await running.client().post(running.app.site.renderer.static_url("app.css"))).status_code == 405


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(KeyError):
        StaticFiles(("cairn.web",)).url("missing.css")


async def test_a_reading_page_is_under_100_kb_in_all(running: Running) -> None:
    static = StaticFiles(("cairn.web",))
    page = (await running.browser().get("/nothing/at/all")).content
    assets = sum(
        len(found.body) for name in ("app.css", "app.js", "logo.svg") if (found := static.find(static.url(name)))
    )
    assert len(page) + assets < 100_000


def test_dark_by_choice_is_dark_by_system() -> None:
    """The stylesheet has the dark colours twice, since CSS cannot say "or" between a query and an attribute."""
    static = StaticFiles(("cairn.web",))
    found = static.find(static.url("app.css"))
    assert found is not None
    css = found.body.decode()
    by_system = re.search(r"dark\) \{ :root:not\(\[data-theme=\"light\"\]\) \{(.*?)\n\}", css, re.DOTALL)
    by_choice = re.search(r"\n:root\[data-theme=\"dark\"\] \{\n\s+color-scheme: dark;(.*?)\n\}", css, re.DOTALL)
    assert by_system is not None
    assert by_choice is not None
    assert by_system[1].split() == by_choice[1].split()
