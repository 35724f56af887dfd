from pathlib import Path
from typing import Any

import pytest
from litestar import Response
from tests.web.support import open_app

from cairn.web.context import Cookie, RequestContext, find_context, is_api_path
from cairn.web.routing import PUBLIC, page


@page.get("/asked/{rest:path}", action=PUBLIC, resource="none")
async def asked(context: RequestContext) -> Response[str]:
    context.set_cookie(Cookie("a", "1", max_age_seconds=5, http_only=False))
    context.set_cookie(Cookie("b", "2"))
    return Response(context.path_and_query)


async def test_the_path_is_as_it_was_sent(tmp_path: Path) -> None:
    async with open_app(tmp_path, [asked]) as running:
        answer = await running.client().get("/asked/a%20b/c%2Fd?x=%26")
    assert answer.text == "/asked/a%20b/c%2Fd?x=%26"
    assert answer.headers.get_list("set-cookie") == [
        "a=1; Path=/; SameSite=Lax; Max-Age=5",
        "b=2; Path=/; SameSite=Lax; HttpOnly",
    ]


def test_secure_cookies_say_so() -> None:
    assert Cookie("a", "").header(secure=True).endswith("; Secure")


def test_only_the_api_is_the_api() -> None:
    assert [is_api_path(path) for path in ("/api", "/api/v3/x", "/apis", "/ada/api")] == [True, True, False, False]


def test_before_admission_there_is_no_context() -> None:
    assert find_context({"type": "http"}) is None


@page.get("/go", action=PUBLIC, resource="none")
async def go(context: RequestContext, to: str = "") -> Response[Any]:
    return Response(content=context.own_path(to, default="/home"), media_type="text/plain")


@pytest.mark.parametrize("own", ["/go", "/go?to=x", "/-/appearance?next=/go", "/-/appearance#there"])
async def test_a_next_parameter_leads_to_pages_of_ours(tmp_path: Path, own: str) -> None:
    async with open_app(tmp_path, [go]) as running:
        assert (await running.client().get("/go", params={"to": own})).text == own


@pytest.mark.parametrize(
    "elsewhere",
    ["", "https://evil.example/", "//evil.example", "/\\evil.example", "/%2fevil.example", "/%5cevil.example",
     "/%09/evil.example", "/\t/evil.example", "/nothing/we/have/at/all", "go", "javascript:alert(1)", "/%zz/../..//x",
     "https:evil.example", "/go/../..//evil.example", "/" + "a" * 3000],
)  # fmt: skip
async def test_a_next_parameter_leads_nowhere_else(tmp_path: Path, elsewhere: str) -> None:
    """Attack: a link to our sign-in page that ends on somebody else's."""
    async with open_app(tmp_path, [go]) as running:
        assert (await running.client().get("/go", params={"to": elsewhere})).text == "/home"
