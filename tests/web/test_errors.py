from pathlib import Path
from typing import Any

import pytest
import structlog
from litestar import Response
from tests.web.support import Running, open_app, user

from cairn.base import errors as families
from cairn.base.errors import CairnError, FieldProblem
from cairn.web.api import DOCUMENTATION_URL
from cairn.web.costs import CostlyBusy
from cairn.web.errors import explain
from cairn.web.routing import PUBLIC, api, page

ERRORS: dict[str, Exception] = {
    "hidden": families.NotFound("ada/secret is private"),
    "here": families.NotFoundHere("there is no branch, tag or commit 'x<y' here"),
    "unauthenticated": families.Unauthenticated("Requires authentication"),
    "forbidden": families.Forbidden("Must have admin rights to Repository."),
    "conflict": families.Conflict("The head moved."),
    "invalid": families.Invalid(
        "Validation Failed", FieldProblem("name", "already_exists", "name already exists", resource="Repository")
    ),
    "malformed": families.Malformed("Problems parsing JSON"),
    "large": families.TooLarge("Over 1 MiB (CAIRN_MAX_X)."),
    "limited": families.RateLimited("Slow down.", retry_after_seconds=17),
    "away": families.Unavailable("The database is away.", retry_after_seconds=3),
    "bug": RuntimeError("the password is hunter2"),
}
STATUSES = {
    "hidden": 404, "here": 404,
    "unauthenticated": 401, "forbidden": 403, "conflict": 409, "invalid": 422, "malformed": 400,
    "large": 413, "limited": 429, "away": 503, "bug": 500,
}  # fmt: skip


@page.get("/fail/{name:str}", action=PUBLIC, resource="none")
async def fail_page(name: str) -> Response[str]:
    raise ERRORS[name]


@api.get("/api/v3/fail/{name:str}", action=PUBLIC, resource="none")
async def fail_api(name: str) -> None:
    raise ERRORS[name]


@pytest.fixture
async def running(tmp_path: Path) -> Any:
    async with open_app(tmp_path, [fail_page, fail_api]) as app:
        yield app


def test_every_family_has_a_status() -> None:
    for family in CairnError.__subclasses__():
        if family is families.Misconfigured:  # ends programs; within a request it is nobody's fault but the server's
            assert explain(family("x")).status == 500
        elif family.__module__ == families.__name__:
            is_limit = issubclass(family, families.RateLimited)
            made = families.RateLimited("x", retry_after_seconds=1) if is_limit else family("x")
            assert 400 <= explain(made).status != 500, family


@pytest.mark.parametrize("name", STATUSES)
async def test_the_api_answers_in_githubs_shape(running: Running, name: str) -> None:
    answer = await running.client().get(f"/api/v3/fail/{name}")
    body = answer.json()
    assert answer.status_code == STATUSES[name]
    assert body["status"] == str(STATUSES[name])
    assert body["documentation_url"] == DOCUMENTATION_URL
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    expected = {"hidden": "Not Found", "here": "Not Found", "bug": "This is our fault, and it has been logged."}
    error = ERRORS[name]
    assert body["message"] == expected.get(name, getattr(error, "message", ""))
    assert answer.headers["x-request-id"] == answer.headers["x-github-request-id"] != ""


async def test_invalid_lists_its_problems(running: Running) -> None:
    body = (await running.client().get("/api/v3/fail/invalid")).json()
    assert body["errors"] == [
        {"resource": "Repository", "field": "name", "code": "already_exists", "message": "name already exists"}
    ]


async def test_retry_after_is_sent(running: Running) -> None:
    for name, seconds in (("limited", "17"), ("away", "3")):
        for path in (f"/fail/{name}", f"/api/v3/fail/{name}"):
            assert (await running.client().get(path)).headers["retry-after"] == seconds


@pytest.mark.parametrize("name", [name for name in STATUSES if name != "unauthenticated"])
async def test_pages_answer_with_a_page(running: Running, name: str) -> None:
    answer = await running.browser(user(1, "ada")).get(f"/fail/{name}")
    assert answer.status_code == STATUSES[name]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "</main>" in answer.text
    assert "hunter2" not in answer.text
    assert "private" not in answer.text
    assert (answer.headers["x-request-id"] in answer.text) == (name in {"bug", "away"})


async def test_hidden_and_absent_are_the_same_answer(running: Running) -> None:
    hidden = await running.client().get("/api/v3/fail/hidden")
    absent = await running.client().get("/api/v3/there/is/nothing")
    assert hidden.content == absent.content
    assert hidden.status_code == absent.status_code == 404
    changing = {"x-request-id", "x-github-request-id", "x-ratelimit-remaining", "x-ratelimit-used", "x-ratelimit-reset"}
    assert {k: v for k, v in hidden.headers.items() if k not in changing} == {
        k: v for k, v in absent.headers.items() if k not in changing
    }


async def test_a_missing_page_offers_strangers_to_sign_in_and_come_back(running: Running) -> None:
    answer = await running.browser().get("/fail/hidden?a=1")
    assert 'href="/login?next=/fail/hidden%3Fa%3D1"' in answer.text
    assert "/login" not in (await running.browser(user(1, "ada")).get("/fail/hidden")).text


async def test_a_page_for_members_leads_strangers_to_sign_in(running: Running) -> None:
    answer = await running.browser().get("/fail/unauthenticated")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/fail/unauthenticated")


async def test_a_wrong_method_is_405_with_allow(running: Running) -> None:
    answer = await running.client(authorization="token repo").put("/api/v3/fail/hidden")
    assert answer.status_code == 405
    assert answer.json()["status"] == "405"


async def test_an_unexpected_error_is_logged_once_with_its_request(
    running: Running,
) -> None:
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        answer = await running.client().get("/api/v3/fail/bug")
    (line,) = lines
    assert line["event"] == "request_failed"
    assert line["request_id"] == answer.headers["x-request-id"]
    assert line["exc_info"] is ERRORS["bug"]


async def test_a_wrong_token_is_401_everywhere_under_the_api(running: Running) -> None:
    answer = await running.client(authorization="token wrong").get("/api/v3/nothing/here")
    assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")


@page.get("/{owner:str}/{repo:str}/tree/{name:str}", action=PUBLIC, resource="repository")
async def tree(owner: str, repo: str, name: str) -> Response[str]:
    raise ERRORS["here" if name == "gone" else "hidden"]


async def test_what_is_missing_from_a_repository_one_sees_is_named_and_leads_back(tmp_path: Path) -> None:
    async with open_app(tmp_path, [tree]) as running:
        answer = await running.client().get("/ada/engine/tree/gone")
        assert answer.status_code == 404
        assert "There is no branch, tag or commit &#39;x&lt;y&#39; here." in answer.text
        assert 'href="/ada/engine"' in answer.text
        hidden = await running.client().get("/ada/engine/tree/other")
        assert "ada/secret" not in hidden.text
        assert 'href="/ada/engine"' not in hidden.text


async def test_who_is_turned_away_for_others_sake_may_sign_in_and_hears_when_to_come_back(tmp_path: Path) -> None:
    @page.get("/dear", action=PUBLIC, resource="none")
    async def dear() -> Response[str]:
        raise CostlyBusy("Many visitors ask.", retry_after_seconds=5)

    async with open_app(tmp_path, [dear]) as running:
        answer = await running.client().get("/dear")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert 'href="/login?next=/dear"' in answer.text
        assert "Many visitors ask." in answer.text
        signed_in = await running.browser(user(1, "ada")).get("/dear")
        assert "/login" not in signed_in.text
