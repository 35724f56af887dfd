from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from litestar import Response
from msgspec import Meta
from tests.web.support import ORIGIN, Browser, csrf_token_of, open_app, user

from cairn.base.errors import FieldProblem, Invalid
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import blank_form, read_fields, read_form
from cairn.web.routing import PUBLIC, api, page


class SignUp(msgspec.Struct):
    name: Annotated[str, Meta(min_length=3, pattern="^[a-z]+$", extra_json_schema={"message": "Use small letters."})]
    about: Annotated[str, Meta(min_length=1, max_length=10)]
    size: int | None = None
    news: bool = False
    tags: list[str] = msgspec.field(default_factory=list)


CALLS: list[SignUp] = []


def register(wanted: SignUp) -> None:
    if wanted.name == "taken":
        raise Invalid("Not free.", FieldProblem("name", "already_exists", "This name is taken."))
    CALLS.append(wanted)


@page.get("/form", action=PUBLIC, resource="none")
async def show(request: WebRequest) -> Response[str]:
    from cairn.web.context import context_of

    token = context_of(request).csrf_token()
    return Response(f'<input name="csrf_token" value="{token}">', media_type="text/html")


@page.post("/form", action=PUBLIC, resource="none")
async def send(request: WebRequest) -> Response[Any]:
    form = await read_form(request, SignUp)
    try:
        wanted = form.require()
        register(wanted)
    except Invalid as error:
        form.reject(error)
        body = {"values": form.values, "problems": form.problems, "summary": form.summary}
        return Response(body, status_code=422, media_type="application/json")
    return Response(msgspec.to_builtins(wanted), media_type="application/json")


@page.post("/file", action=PUBLIC, resource="none")
async def send_file(context: RequestContext) -> Response[str]:
    (file,) = (await read_fields(context))["file"]
    parents = file.path.parent.parent, context.settings.cache_path / "forms"
    return Response(f"{await file.read() == b'x' * 100} {parents[0] == parents[1]}")


@page.post("/token", action=PUBLIC, resource="none", cross_site_check=False)
async def token_endpoint() -> Response[str]:
    return Response("token")


@api.post("/api/v3/things", action=PUBLIC, resource="none")
async def add_thing() -> dict[str, bool]:
    return {"done": True}


@pytest.fixture
async def running(tmp_path: Path) -> Any:
    CALLS.clear()
    async with open_app(tmp_path, [show, send, send_file, token_endpoint, add_thing]) as app:
        yield app


async def test_a_form_is_read_into_its_struct(running: Any) -> None:
    answer = await running.browser().submit(
        "/form", {"name": "ada", "about": "a\r\nb", "size": "7", "news": "on", "tags": ["x", "y"], "extra": "ignored"}
    )
    assert answer.status_code == 200
    assert [SignUp("ada", "a\nb", 7, news=True, tags=["x", "y"])] == CALLS


async def test_absent_and_empty_fields_take_their_defaults(running: Any) -> None:
    await running.browser().submit("/form", {"name": "ada", "about": "x", "size": ""})
    assert [SignUp("ada", "x")] == CALLS


async def test_a_multipart_form_is_read_alike(running: Any) -> None:
    browser = running.browser()
    token = csrf_token_of((await browser.get("/form")).text)
    fields = {"name": "ada", "about": "x", "csrf_token": token}
    answer = await browser.client.post("/form", files={name: (None, value) for name, value in fields.items()})
    assert answer.status_code == 200, answer.text
    assert [SignUp("ada", "x")] == CALLS


async def test_a_file_waits_in_the_cache_until_its_form_is_answered(running: Any) -> None:
    browser = running.browser()
    token = csrf_token_of((await browser.get("/form")).text)
    answer = await browser.client.post("/file", data={"csrf_token": token}, files={"file": ("a.bin", b"x" * 100)})
    assert answer.text == "True True"
    assert list(running.settings.forms_path.iterdir()) == []


async def test_every_wrong_field_is_told_and_its_value_kept(running: Any) -> None:
    answer = await running.browser().submit("/form", {"name": "A!", "about": "", "size": "many"})
    assert answer.status_code == 422
    told = answer.json()
    assert told["problems"] == {
        "name": "Use small letters.",
        "about": "Fill this in.",
        "size": "Give a whole number.",
    }
    assert told["values"]["name"] == "A!"
    assert told["values"]["size"] == "many"
    assert CALLS == []


async def test_a_domain_refusal_lands_at_its_field(running: Any) -> None:
    answer = await running.browser().submit("/form", {"name": "taken", "about": "x"})
    assert answer.json()["problems"] == {"name": "This name is taken."}
    assert answer.json()["summary"] == "", "what stands at its field is not said again above the form"


async def test_a_form_with_too_many_fields_is_refused(running: Any) -> None:
    answer = await running.browser().submit("/form", {f"f{n}": "x" for n in range(1001)})
    assert answer.status_code == 400


def test_a_blank_form_shows_the_defaults() -> None:
    form = blank_form(SignUp, about="x")
    assert form.values == {"news": False, "about": "x"}
    assert not form.has_problems


GOOD = {"name": "ada", "about": "x"}


async def forge(browser: Browser, **headers: str) -> int:
    token = csrf_token_of((await browser.get("/form")).text)
    return (await browser.post("/form", GOOD | {"csrf_token": token}, **headers)).status_code


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.test"},
        {"origin": "null"},
        {"origin": ORIGIN + ".evil.test"},
        {"origin": "https://cairn.test:3000"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_another_site_cannot_post_even_with_a_token(running: Any, headers: dict[str, str]) -> None:
    """A page elsewhere makes the browser post; Origin and Sec-Fetch-Site betray it."""
    for actor in (user(1, "ada"), None):
        browser = running.browser(actor) if actor else running.browser()
        assert await forge(browser, **headers) == 403
    assert CALLS == []


async def test_a_form_without_a_valid_token_is_refused(running: Any) -> None:
    """Older browsers send neither Origin nor Sec-Fetch-Site: the token alone must hold, login forms included."""
    for browser in (running.browser(user(1, "ada")), running.browser()):
        await browser.get("/form")
        for token in ("", "x", "A" * 86, "ä" * 86, "=" * 10):
            answer = await browser.client.post("/form", data=GOOD | {"csrf_token": token})
            assert answer.status_code == 403
    assert CALLS == []


async def test_a_token_belongs_to_one_session(running: Any) -> None:
    """The attacker plants a token of their own session, or of an anonymous visit, in the victim's form."""
    ada, eve, nobody = running.browser(user(1, "ada")), running.browser(user(2, "eve")), running.browser()
    own = csrf_token_of((await ada.get("/form")).text)
    for foreign in (csrf_token_of((await eve.get("/form")).text), csrf_token_of((await nobody.get("/form")).text)):
        assert (await ada.post("/form", GOOD | {"csrf_token": foreign})).status_code == 403
    assert (await ada.post("/form", GOOD | {"csrf_token": own})).status_code == 200
    other_visitor = running.browser()
    await other_visitor.get("/form")
    visitors = csrf_token_of((await nobody.get("/form")).text)
    assert (await other_visitor.post("/form", GOOD | {"csrf_token": visitors})).status_code == 403


async def test_tokens_differ_on_each_page_and_all_work(running: Any) -> None:
    browser = running.browser(user(1, "ada"))
    first, second = [csrf_token_of((await browser.get("/form")).text) for _ in range(2)]
    assert first != second
    for token in (first, second):
        assert (await browser.post("/form", GOOD | {"csrf_token": token})).status_code == 200


async def test_a_browser_at_another_name_of_the_host_may_post(running: Any) -> None:
    assert await forge(running.browser(), origin="http://127.0.0.1:9", host="127.0.0.1:9") == 200


async def test_an_endpoint_for_programs_may_opt_out(running: Any) -> None:
    assert (await running.client().post("/token", data={"code": "x"})).status_code == 200


async def test_api_writes_with_a_cookie_are_checked_and_with_a_token_are_not(running: Any) -> None:
    """A foreign page posts text/plain JSON to the API with the victim's cookie: no token header, no write."""
    browser = running.browser(user(1, "ada"))
    refused = await browser.client.post("/api/v3/things", content=b"{}", headers={"content-type": "text/plain"})
    assert refused.status_code == 403
    assert refused.json()["status"] == "403"
    token = csrf_token_of((await browser.get("/form")).text)
    assert (await browser.client.post("/api/v3/things", json={}, headers={"x-csrf-token": token})).status_code == 201
    with_token = running.client(authorization="token repo", origin="https://evil.test")
    assert (await with_token.post("/api/v3/things", json={})).status_code == 201
