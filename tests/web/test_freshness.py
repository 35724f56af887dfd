"""Kept pages and validators: the same versions are the same page, another reader's is never one's own."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from litestar import Response
from tests.web.support import open_app, user

from cairn.web.context import RequestContext
from cairn.web.freshness import KeptPage, KeptPages, answer_unchanged
from cairn.web.render import render
from cairn.web.routing import PUBLIC, page

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Made:
    """What the pages of these tests are made from, and how often they were made."""

    versions = "1"
    count = 0
    template = "web/appearance.html"


@page.get("/made", action=PUBLIC, resource="none", is_versioned=True)
async def made(context: RequestContext) -> Response[Any]:
    known = answer_unchanged(context, Made.versions)
    if known is not None:
        return known
    Made.count += 1
    return render(context, "web/error.html", error=_Said(), repository="", sign_in="")


class _Said:
    status, title, message, missing, problems = 200, "T", "a part", "", ()


async def test_a_repeat_is_answered_without_making_the_page(tmp_path: Path) -> None:
    Made.count, Made.versions = 0, "1"
    async with open_app(tmp_path, [made]) as running:
        client = running.client()
        first = await client.get("/made")
        etag = first.headers["etag"]
        again = await client.get("/made", headers={"if-none-match": etag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert again.headers["vary"] == first.headers["vary"] == "Cookie, Authorization"
        assert again.headers["cache-control"] == "private, no-cache"
        kept = await client.get("/made")
        assert Made.count == 1
        Made.versions = "2"
        assert (await client.get("/made", headers={"if-none-match": etag})).status_code == 200
        assert Made.count == 2
        assert kept.status_code == 200


async def test_a_kept_page_has_the_nonce_of_its_own_answer_and_304_changes_no_policy(tmp_path: Path) -> None:
    """Attack: a page kept with a nonce that somebody has read, so that a script with it would run for the next reader.

    And the other way round: a browser that heard 304 with a new policy would run no script of the page it has.
    """
    Made.versions = "nonces"
    async with open_app(tmp_path, [made]) as running:
        seen = set()
        for _ in range(3):
            answer = await running.client().get("/made")
            policy = answer.headers["content-security-policy"]
            nonce = policy.partition("'nonce-")[2].partition("'")[0]
            assert answer.text.count(f'nonce="{nonce}"') == answer.text.count("nonce=") >= 1
            seen.add(nonce)
        assert len(seen) == 3
        unchanged = await running.client().get("/made", headers={"if-none-match": answer.headers["etag"]})
        assert unchanged.status_code == 304
        assert "content-security-policy" not in unchanged.headers


async def test_every_reader_has_pages_of_their_own(tmp_path: Path) -> None:
    """Attack: the page of somebody who is signed in, with the tokens of their forms, given to the next."""
    Made.versions = "readers"
    async with open_app(tmp_path, [made]) as running:
        readers = {"": running.client(), "ada": running.browser(user(1, "ada")).client}
        readers["bob"] = running.browser(user(2, "bob")).client
        answers = {name: await client.get("/made") for name, client in readers.items()}
        etags = {name: answer.headers["etag"] for name, answer in answers.items()}
        assert len(set(etags.values())) == 3
        for name, client in readers.items():
            for other, etag in etags.items():
                answer = await client.get("/made", headers={"if-none-match": etag})
                assert answer.status_code == (304 if name == other else 200)
                assert ("Signed in as <strong>ada" in answer.text) == (name == "ada" and name != other)


async def test_what_a_page_looks_like_belongs_to_its_validator(tmp_path: Path) -> None:
    Made.versions = "looks"
    async with open_app(tmp_path, [made]) as running:
        client = running.client()
        plain = (await client.get("/made")).headers["etag"]
        for headers in (
            {"cookie": "cairn_theme=dark"},
            {"cookie": "cairn_put_away=7"},
            {"hx-request": "true"},
        ):
            answer = await client.get("/made", headers={**headers, "if-none-match": plain})
            if "put_away" in str(headers):
                assert answer.status_code == 304, "nothing is announced, so nothing is put away"
            else:
                assert answer.status_code == 200
        assert 'data-theme="dark"' in (await client.get("/made", headers={"cookie": "cairn_theme=dark"})).text
        assert 'data-theme="dark"' not in (await client.get("/made")).text


async def test_a_message_is_shown_once_and_never_kept(tmp_path: Path) -> None:
    Made.versions = "flash"
    async with open_app(tmp_path, [made]) as running:
        client = running.client()
        etag = (await client.get("/made")).headers["etag"]
        flashed = await client.get("/made", headers={"cookie": "cairn_flash=abc.def", "if-none-match": etag})
        assert flashed.status_code == 200
        assert "etag" not in flashed.headers
        assert "set-cookie" in flashed.headers
        assert (await client.get("/made", headers={"if-none-match": etag})).status_code == 304


async def test_what_has_no_version_is_five_minutes_old_at_most(tmp_path: Path) -> None:
    Made.versions = "time"
    moment = [NOW]
    async with open_app(tmp_path, [made], clock=lambda: moment[0]) as running:
        client = running.client()
        etag = (await client.get("/made")).headers["etag"]
        moment[0] += timedelta(seconds=299)
        assert (await client.get("/made", headers={"if-none-match": etag})).status_code == 304
        moment[0] += timedelta(seconds=1)
        assert (await client.get("/made", headers={"if-none-match": etag})).status_code == 200


def kept(size: int) -> KeptPage:
    return KeptPage((b"x",), size, allow_remote_images=False, allow_frames=False, robots="")


def test_kept_pages_are_bounded_and_the_least_recently_asked_for_goes_first() -> None:
    pages = KeptPages(max_bytes=100)
    for name in "abc":
        pages.keep((name, ""), kept(30))
    assert pages.find(("a", "")) is not None
    pages.keep(("d", ""), kept(40))
    assert [pages.find((name, "")) is not None for name in "abcd"] == [True, False, True, True]
    pages.keep(("a", ""), kept(10))
    assert pages.held_bytes == 80
    pages.keep(("e", ""), kept(1000))
    assert (len(pages), pages.held_bytes) == (0, 0), "what is larger than everything is not kept either"
