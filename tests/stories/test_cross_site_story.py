"""A6: whatever another site makes a signed-in browser send, nothing is written; generated over every writing route."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

import httpx2
import pytest
from tests.stories.browser import forms_of
from tests.stories.installation import PASSWORD, Installation, installation
from tests.stories.people import join
from tests.stories.route_table import route_table
from tests.stories.walked_addresses import address_of

from cairn.web.routing import DeclaredRoute

WRITING = {"POST", "PUT", "PATCH", "DELETE"}
OURS = {"sec-fetch-site": "same-origin"}

RELEASES = "repos/ada/open/releases"

SANDBOXED = "/-/diagram"
"""The frame that draws diagrams: an origin of its own, with no way back but a message."""
RAW = "/{owner}/{repo}/raw/{address}"
"""Somebody's file as it is: no page of ours, and one that runs nothing."""


@dataclass
class Place:
    """A running Cairn, its routes, and Ada's browser."""

    cairn: Installation
    routes: list[DeclaredRoute]
    browser: httpx2.Client
    cookies: str
    release_id: str

    def csrf_token(self) -> str:
        """Return a form token of Ada's browser."""
        page = self.browser.get("/-/appearance").text
        return next(form.fields["csrf_token"] for form in forms_of(page) if "csrf_token" in form.fields)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with ExitStack() as stack:
        cairn = stack.enter_context(installation(tmp_path_factory.mktemp("cross"), program="web"))
        browser, token = join(cairn, "ada")
        stack.enter_context(closing(browser))
        headers = {"authorization": f"Bearer {token}"}
        for path, body in (("user/repos", {"name": "open", "auto_init": True}), (RELEASES, {"tag_name": "v1"})):
            made = browser.post(f"/api/v3/{path}", json=body, headers=headers)
            assert made.status_code == 201
        # An administrator: what is hidden from others is absent before a form is looked at.
        with closing(sqlite3.connect(cairn.folder / "data" / "cairn.db", timeout=10)) as connection:
            connection.execute("UPDATE account SET is_site_admin = 1 WHERE login = 'ada'")
            connection.commit()
        cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        yield Place(cairn, route_table(cairn.environment), browser, cookies, str(made.json()["id"]))


def address(place: Place, route: DeclaredRoute) -> str:
    """Return a path of the route about Ada's own things, which are there where a form is given back with its text."""
    names = {"owner": "ada", "repo": "open", "username": "ada", "login": "ada"}
    names |= {"address": address_of(route), "release_id": place.release_id}
    return re.sub(r"\{(\w+)\}", lambda match: names.get(match[1], "1"), route.path)


def test_every_write_that_another_site_causes_is_refused(place: Place) -> None:
    """Attacks: a form, a fetch and a text/plain body from a foreign page, with a token read somewhere or not.

    So is a form of ours without its token; where long texts are typed, it is shown again with the text.
    """
    token = place.csrf_token()
    fields = {"csrf_token": token, "name": "x"}
    attacks = {
        "foreign origin": ({"origin": "https://evil.example"}, fields),
        "origin of a sandboxed frame": ({"origin": "null"}, fields),
        "origin that begins like ours": ({"origin": f"{place.cairn.origin}.evil.example"}, fields),
        "cross-site fetch": ({"sec-fetch-site": "cross-site"}, fields),
        "another host of the domain": ({"sec-fetch-site": "same-site"}, fields),
        "no token": (OURS, {"name": "x"}),
        "a token made up": (OURS, {"csrf_token": token[::-1], "name": "x"}),
    }
    wrong = []
    routes = [route for route in place.routes if route.method in WRITING and route.declaration.cross_site_check]
    assert len(routes) > 20
    with place.cairn.client() as client:
        for route in routes:
            path = address(place, route)
            for name, (headers, data) in attacks.items():
                sent = {"cookie": place.cookies, **headers}
                answer = client.request(route.method, path, data=data, headers=sent)
                if answer.status_code != 403:
                    wrong.append(f"{route.method} {path}, {name}: {answer.status_code}")
            # JSON that a form can send: no browser asks beforehand for this type.
            sent = {"cookie": place.cookies, "content-type": "text/plain"}
            answer = client.request(route.method, path, content=b'{"name": "x"}', headers=sent)
            if answer.status_code != 403:
                wrong.append(f"{route.method} {path}, text/plain: {answer.status_code}")
    assert not wrong, "\n".join(wrong)


def test_nobody_is_signed_in_by_another_site(place: Place) -> None:
    """Attack: sign the victim in to the attacker's account, and read what they write there."""
    with place.cairn.client() as client:
        for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {}):
            answer = client.post("/login", data={"name": "ada", "password": PASSWORD}, headers=headers)
            assert answer.status_code == 403
            assert "cairn_session" not in client.cookies


def test_the_api_is_open_to_other_sites_without_cookies_only(place: Place) -> None:
    with place.cairn.client() as client:
        foreign = {"origin": "https://app.example", "cookie": place.cookies}
        answer = client.get("/api/v3/user", headers=foreign)
        assert answer.headers["access-control-allow-origin"] == "*", "with which no browser lends its cookies"
        assert "access-control-allow-credentials" not in answer.headers
        for name in ("ETag", "Link", "X-RateLimit-Remaining", "X-GitHub-Request-Id", "Retry-After"):
            assert name in answer.headers["access-control-expose-headers"]
        asked = client.options("/api/v3/user", headers={"access-control-request-method": "PATCH", **foreign})
        assert asked.status_code == 204
        assert "PATCH" in asked.headers["access-control-allow-methods"]
        assert "Authorization" in asked.headers["access-control-allow-headers"]
        page = client.get("/ada/open", headers=foreign)
        assert "access-control-allow-origin" not in page.headers
        assert page.headers["cross-origin-resource-policy"] == "same-origin"


def test_every_page_forbids_what_it_does_not_need(place: Place) -> None:
    """M2's first half: no page has inline script or style, all have the headers."""
    pages = [r for r in place.routes if r.method == "GET" and r.declaration.kind == "page"]
    assert len(pages) > 20
    for route in pages:
        answer = place.browser.get(address(place, route))
        if route.path == SANDBOXED:
            assert "sandbox allow-scripts" in answer.headers["content-security-policy"]
            continue
        if route.path == RAW:
            assert answer.headers["content-security-policy"].endswith("; sandbox")
            continue
        assert "unsafe" not in answer.headers["content-security-policy"], route.path
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"], route.path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-opener-policy"] == "same-origin"
        if answer.headers.get("content-type", "").startswith("text/html"):
            assert not re.search(r"<[a-z][^>]*\s(?:style|on[a-z]+)\s*=", answer.text), route.path
            assert "<style" not in answer.text, route.path
            for tag in re.findall(r"<script\b[^>]*>", answer.text):
                assert "nonce=" in tag, route.path
