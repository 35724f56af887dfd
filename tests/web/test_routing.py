from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from litestar import Litestar, Response, get
from litestar.handlers import HTTPRouteHandler
from msgspec import Meta
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from tests.web.support import Running, open_app, user

from cairn.access.actions import Action
from cairn.base.actor import Actor
from cairn.base.errors import Conflict
from cairn.web.context import RequestContext, WebRequest
from cairn.web.routing import PUBLIC, RouteUndeclared, api, check_routes, declared_routes, page


class Note(msgspec.Struct):
    text: Annotated[str, Meta(min_length=1)]


@page.get("/notes", action=PUBLIC, resource="none")
async def list_notes(session: AsyncSession, actor: Actor) -> Response[str]:
    rows = (await session.execute(text("SELECT body FROM note ORDER BY body"))).scalars().all()
    return Response(f"{actor.label}: {','.join(rows)}", media_type="text/html")


@page.get("/notes/write-on-get", action=PUBLIC, resource="none")
async def write_on_get(session: AsyncSession) -> Response[str]:
    await session.execute(text("INSERT INTO note VALUES ('from GET')"))
    await session.commit()
    return Response("wrote")


@api.post("/api/v3/notes", action=PUBLIC, resource="none")
async def add_note(session: AsyncSession, body: Note, context: RequestContext) -> dict[str, str]:
    await session.execute(text("INSERT INTO note VALUES (:body)"), {"body": body.text})
    if body.text == "conflict":
        raise Conflict("Somebody else was here.")
    return {"text": body.text, "by": context.actor.label}


@page.post("/notes", action=PUBLIC, resource="none")
async def post_note(session: AsyncSession, request: WebRequest) -> Response[Any]:
    await session.execute(text("INSERT INTO note VALUES ('half done')"))
    return Response("again", status_code=422)


@api.get("/api/v3/repos/{owner:str}/{repo:str}", action=Action.REPOSITORY_READ, resource="repository")
async def get_repository(owner: str, repo: str, depth: int = 1) -> dict[str, Any]:
    return {"full_name": f"{owner}/{repo}", "depth": depth}


@page.get("/{owner:str}/{repo:str}/tree/{path:path}", action=Action.REPOSITORY_READ, resource="repository")
async def tree(owner: str, repo: str, path: str) -> Response[str]:
    return Response(f"{owner} {repo} {path}")


@page.get("/{owner:str}", action=Action.ACCOUNT_READ, resource="account")
async def profile(owner: str) -> Response[str]:
    return Response(f"profile of {owner}")


HANDLERS: list[HTTPRouteHandler] = [
    list_notes, write_on_get, add_note, post_note, get_repository, tree, profile,
]  # fmt: skip


@pytest.fixture
async def running(tmp_path: Path) -> Any:
    async with open_app(tmp_path, HANDLERS) as app:
        async with app.database.write() as session:
            await session.execute(text("CREATE TABLE note (body TEXT)"))
        yield app


async def notes(running: Running) -> list[str]:
    async with running.database.read() as session:
        return list((await session.execute(text("SELECT body FROM note ORDER BY body"))).scalars())


async def test_a_handler_gets_what_it_names(running: Running) -> None:
    answer = await running.browser(user(1, "ada")).get("/notes")
    assert (answer.status_code, answer.text) == (200, "ada: ")


async def test_a_write_is_committed_before_the_answer(running: Running) -> None:
    answer = await running.client().post("/api/v3/notes", json={"text": "one"})
    assert (answer.status_code, answer.json()) == (201, {"text": "one", "by": "anonymous"})
    assert await notes(running) == ["one"]


async def test_an_error_rolls_the_write_back(running: Running) -> None:
    answer = await running.client().post("/api/v3/notes", json={"text": "conflict"})
    assert answer.status_code == 409
    assert await notes(running) == []


async def test_an_answer_that_refuses_rolls_the_write_back(running: Running) -> None:
    browser = running.browser()
    answer = await browser.submit("/notes", {}, page="/-/appearance")
    assert answer.status_code == 422
    assert await notes(running) == []


async def test_the_database_refuses_a_write_by_get_and_by_head(running: Running) -> None:
    for method in ("GET", "HEAD"):
        answer = await running.client().request(method, "/notes/write-on-get")
        assert answer.status_code in {500, 503}
    assert await notes(running) == []
    with pytest.raises(DBAPIError):
        async with running.database.read() as session:
            await session.execute(text("INSERT INTO note VALUES ('x')"))


async def test_head_answers_as_get_without_a_body(running: Running) -> None:
    whole = await running.client().get("/api/v3/repos/ada/engine")
    head = await running.client().head("/api/v3/repos/ada/engine")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"] == str(len(whole.content))
    assert head.headers["etag"] == whole.headers["etag"]


async def test_path_and_query_parameters_arrive_parsed(running: Running) -> None:
    answer = await running.client().get("/api/v3/repos/ada/engine?depth=3")
    assert answer.json() == {"full_name": "ada/engine", "depth": 3}
    answer = await running.client().get("/ada/engine/tree/main/src/a%20b.py")
    assert answer.text == "ada engine /main/src/a b.py"
    assert (await running.client().get("/grace")).text == "profile of grace"


async def test_a_query_parameter_of_the_wrong_type_is_a_bad_request(running: Running) -> None:
    answer = await running.client().get("/api/v3/repos/ada/engine?depth=deep")
    assert answer.status_code == 400
    assert "depth" in answer.json()["message"]


async def test_the_declaration_gives_the_token_scopes(running: Running) -> None:
    found = {(route.method, route.path): route.declaration for route in declared_routes(running.app.litestar)}
    declared = found["GET", "/api/v3/repos/{owner}/{repo}"]
    assert (declared.action, declared.resource, declared.kind) == (Action.REPOSITORY_READ, "repository", "api")
    assert declared.token_scopes == {"repo"}
    assert ("HEAD", "/api/v3/repos/{owner}/{repo}") in found


async def nothing() -> None:
    return None


def test_a_route_without_declaration_stops_the_start() -> None:
    with pytest.raises(RouteUndeclared, match="/bare: declares no action"):
        check_routes(Litestar([get("/bare")(nothing)], openapi_config=None))


@pytest.mark.parametrize(
    ("route", "why"),
    [
        (page.get("/{owner:str}/{repo:str}", action=Action.REPOSITORY_READ, resource="none"), "names a repository"),
        (page.get("/x", action=PUBLIC, resource="repository"), "names no repository"),
        (page.get("/x", action=Action.REPOSITORY_READ, resource="none"), "names none"),
        (page.get("/x", action=Action.ACCOUNT_READ, resource="account"), "has none of"),
    ],
)
def test_a_declaration_that_contradicts_its_path_stops_the_start(route: Any, why: str) -> None:
    async def handler(owner: str = "", repo: str = "") -> Response[str]:
        return Response(owner + repo)

    with pytest.raises(RouteUndeclared, match=why):
        check_routes(Litestar([route(handler)], openapi_config=None))


async def test_a_token_without_the_declared_scope_does_not_reach_the_handler(tmp_path: Path) -> None:
    """A form that only renders asks no domain function; the declaration alone must keep a narrow token out."""
    seen: list[str] = []

    @page.get("/settings/tokens/new", action=Action.ACCOUNT_EDIT_TOKENS, resource="none")
    async def form(actor: Actor) -> Response[str]:
        seen.append(actor.label)
        return Response("form", media_type="text/html")

    async with open_app(tmp_path, [form]) as running:
        async with running.client(authorization="token repo,user") as client:
            assert (await client.get("/settings/tokens/new")).status_code == 403
        assert not seen
        assert (await running.browser(user(1, "ada")).get("/settings/tokens/new")).status_code == 200
        assert seen == ["ada"]


@pytest.mark.parametrize("number", [2**63, -(2**63), 10**30])
async def test_a_number_that_no_id_can_be_is_not_found(tmp_path: Path, number: int) -> None:
    """Attack: an id that no database driver takes broke the request, and filled the log with a trace each time."""
    async with open_app(tmp_path, [get_repository]) as running:
        assert (await running.client().get(f"/api/v3/repos/ada/engine?depth={number}")).status_code == 404
        assert (await running.client().get(f"/api/v3/repos/ada/engine?depth={2**63 - 1}")).status_code == 200
