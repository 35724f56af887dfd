"""Pages of releases: the list, one of them, drafts, the feed, old addresses."""

import re
from pathlib import Path
from xml.etree import ElementTree

from tests.factories.forge import Forge
from tests.repositories.releases.support import publish

from cairn.access.roles import Role
from cairn.repositories.queries import RepositoryView

ATOM = {"a": "http://www.w3.org/2005/Atom"}


async def test_a_release_is_written_published_and_read(forge: Forge, repository: RepositoryView) -> None:
    await publish(forge, name="First stone", notes="It *grinds*.")
    reader = forge.browser()
    for address in ("/ada/engine/releases", "/ada/engine/releases/tag/v1.0"):
        page = await reader.get(address)
        assert page.status_code == 200
        assert "First stone" in page.text
        assert "<em>grinds</em>" in page.text
        assert "Latest" in page.text
        assert "/ada/engine/archive/refs/tags/v1.0.zip" in page.text
        assert "/edit" not in page.text
    led = await reader.get("/ada/engine/releases/latest")
    assert (led.status_code, led.headers["location"]) == (302, "/ada/engine/releases/tag/v1.0")


async def test_without_a_release_the_latest_is_the_list(forge: Forge, repository: RepositoryView) -> None:
    led = await forge.browser().get("/ada/engine/releases/latest")
    assert (led.status_code, led.headers["location"]) == (302, "/ada/engine/releases")
    assert "No releases yet" in (await forge.browser().get("/ada/engine/releases")).text


async def test_a_draft_is_seen_edited_and_published_by_who_may_push(forge: Forge, repository: RepositoryView) -> None:
    writer = await forge.person("wren")
    await forge.grant(repository, writer, Role.WRITE)
    wren = forge.browser(writer)
    kept = await wren.submit("/ada/engine/releases/new", {"tag": "v1.0", "name": "Hidden", "do": "draft"})
    edit = kept.headers["location"]
    assert re.fullmatch(r"/ada/engine/releases/\d+/edit", edit)
    page = edit.removesuffix("/edit")
    assert "Draft" in (await wren.get("/ada/engine/releases")).text
    assert "Hidden" in (await wren.get(page)).text
    anybody = forge.browser()
    assert "Hidden" not in (await anybody.get("/ada/engine/releases")).text
    assert (await anybody.get(page)).status_code == 404
    published = await wren.submit(edit, {"tag": "v1.0", "name": "Shown", "make_latest": "true", "do": "publish"})
    assert published.headers["location"] == "/ada/engine/releases/tag/v1.0"
    assert "Shown" in (await anybody.get("/ada/engine/releases")).text


async def test_the_feed_has_what_is_published(forge: Forge, repository: RepositoryView) -> None:
    await publish(forge, notes="It *grinds* & <b>more</b>.", name="A & B")
    ada = forge.browser(forge.people["ada"])
    await ada.submit("/ada/engine/releases/new", {"tag": "v2.0", "name": "Hidden", "do": "draft"})
    for browser in (forge.browser(), ada):
        feed = await browser.get("/ada/engine/releases.atom")
        assert feed.headers["content-type"].startswith("application/atom+xml")
        root = ElementTree.fromstring(feed.content)
        (entry,) = root.findall("a:entry", ATOM)
        assert entry.findtext("a:title", "", ATOM) == "A & B"
        assert "<em>grinds</em> &amp; " in entry.findtext("a:content", "", ATOM)


async def test_the_old_name_leads_to_the_new_one(forge: Forge, repository: RepositoryView, tmp_path: Path) -> None:
    await publish(forge)
    await forge.api(forge.people["ada"]).call("PATCH", "/repos/ada/engine", json={"name": "mill"})
    moved = await forge.browser().get("/ada/engine/releases/tag/v1.0")
    assert (moved.status_code, moved.headers["location"]) == (301, "/ada/mill/releases/tag/v1.0")
