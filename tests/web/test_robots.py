"""robots.txt: what has no end is not for crawlers, by what routes declare; the operator may refuse everything."""

import urllib.robotparser
from pathlib import Path

from litestar import Response
from tests.web.support import open_app

from cairn.access.actions import Action
from cairn.web.costs import Cost
from cairn.web.routing import page


@page.get(
    "/{owner:str}/{repo:str}/blame/{address:path}",
    action=Action.REPOSITORY_READ,
    resource="repository",
    cost=Cost.HISTORY,
)
async def blame(owner: str, repo: str, address: str) -> Response[str]:
    del owner, repo, address
    return Response(content="")


async def test_costly_pages_and_every_further_view_of_a_page_are_not_for_crawlers(tmp_path: Path) -> None:
    async with open_app(tmp_path, [blame]) as running:
        answer = await running.client().get("/robots.txt")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
        lines = answer.text.splitlines()
        assert lines[0] == "User-agent: *"
        for path in ("/*/*/blame", "/*?*", "/*/*/raw/", "/api/"):
            assert f"Disallow: {path}" in lines
        assert "Disallow: /" not in lines
        assert "Crawl-delay: 2" in lines


async def test_an_operator_may_refuse_all_crawlers(tmp_path: Path) -> None:
    async with open_app(tmp_path, [blame], settings={"crawlers": "refused"}) as running:
        answer = await running.client().get("/robots.txt")
        parser = urllib.robotparser.RobotFileParser()
        parser.parse(answer.text.splitlines())
        assert not parser.can_fetch("AnyBot", "/ada/engine")
