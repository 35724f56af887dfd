from pathlib import Path

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
