"""Sudo mode: dangerous routes ask again, sessions change their cookie, and nothing leads away from the site."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from litestar import Response
from litestar.handlers import HTTPRouteHandler
from sqlalchemy import select, update
from tests.factories.authentication import PASSWORD
from tests.identity.web_support import People, open_people
from tests.web.support import Browser, csrf_token_of

from cairn.access.actions import Action
from cairn.audit.models import AuditEntry
from cairn.db.clock import database_now
from cairn.db.database import Database
from cairn.identity.models import Session
from cairn.web.context import RequestContext, WebRequest
from cairn.web.forms import read_fields
from cairn.web.routing import api, page


@page.get("/-/vault", action=Action.ACCOUNT_EDIT, resource="none", sudo=True)
async def vault(context: RequestContext) -> Response[str]:
    """Show something that wants a fresh proof."""
    return Response(content=f"vault {context.csrf_token()}", media_type="text/html")


@page.post("/-/vault", action=Action.ACCOUNT_EDIT, resource="none", sudo=True)
async def change_vault(context: RequestContext, request: WebRequest) -> Response[str]:
    """Answer what was sent."""
    assert request.method == "POST"
    fields = {name: values for name, values in (await read_fields(context)).items() if name.startswith("v")}
    return Response(content=f"changed {fields}", media_type="text/html")


@api.delete("/api/v3/vault", action=Action.ACCOUNT_EDIT, resource="none", sudo=True)
async def delete_vault() -> None:
    """Do something a program may with a token."""


HANDLERS: list[HTTPRouteHandler] = [vault, change_vault, delete_vault]


@pytest.fixture
async def people(tmp_path: Path, database: Database) -> AsyncIterator[People]:
    async with open_people(tmp_path, database, handlers=HANDLERS) as opened:
        yield opened


@pytest.fixture
async def ada(people: People) -> Browser:
    await people.account("ada")
    return await people.signed_in("ada")


async def age(people: People, **past: float) -> None:
    """Let every proof be that old."""
    async with people.database.write() as session:
        at = await database_now(session, plus=-timedelta(**past))
        await session.execute(update(Session).values(proved_at=at))


def cookie_of(browser: Browser) -> str:
    return str(browser.client.cookies["cairn_session"])


async def test_who_just_signed_in_is_not_asked(ada: Browser) -> None:
    assert (await ada.get("/-/vault")).text.startswith("vault")


async def test_an_old_proof_is_asked_for_and_leads_back(ada: Browser, people: People) -> None:
    await age(people, minutes=61)
    asked = await ada.get("/-/vault?tab=2")
    assert (asked.status_code, asked.headers["location"]) == (303, "/-/sudo?next=/-/vault%3Ftab%3D2")
    page_ = await ada.get(asked.headers["location"])
    assert "Confirm it is you" in page_.text
    assert page_.headers["cache-control"] == "no-store"
    before = cookie_of(ada)
    answer = await ada.submit(
        "/-/sudo", {"sudo_password": PASSWORD, "next": "/-/vault?tab=2"}, page=asked.headers["location"]
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/-/vault?tab=2")
    assert cookie_of(ada) != before
    assert (await ada.get("/-/vault")).status_code == 200
    async with people.database.read() as session:
        actions = (await session.scalars(select(AuditEntry.action))).all()
    assert actions.count("session.prove") == 1


async def test_the_cookie_from_before_the_proof_opens_nothing(ada: Browser, people: People) -> None:
    """Fixation: somebody planted or copied the cookie, and waits for the victim to prove more."""
    await age(people, minutes=61)
    thief = people.browser()
    thief.client.cookies.set("cairn_session", cookie_of(ada))
    assert (await thief.get("/settings/profile")).status_code == 200
    await ada.submit("/-/sudo", {"sudo_password": PASSWORD, "next": "/-/vault"})
    assert (await thief.get("/settings/profile")).status_code == 303
    assert (await ada.get("/-/vault")).status_code == 200


async def test_a_form_that_was_being_sent_is_sent_on(ada: Browser, people: People) -> None:
    token = csrf_token_of(f'name="csrf_token" value="{(await ada.get("/-/vault")).text.split()[1]}"')
    await age(people, minutes=61)
    sent = {"csrf_token": token, "v1": 'a"<b>', "v2": "x"}
    asked = await ada.post("/-/vault", sent)
    assert asked.status_code == 403
    assert "changed" not in asked.text
    hidden = {
        name: unescape(value)
        for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', asked.text)
        if name != "username"
    }
    assert (hidden["v1"], hidden["v2"]) == ('a"<b>', "x")
    wrong = await ada.post("/-/vault", hidden | {"sudo_password": "wrong"})
    assert wrong.status_code == 403
    assert "This is not your password." in wrong.text
    answer = await ada.post("/-/vault", hidden | {"sudo_password": PASSWORD})
    expected = {"v1": ['a"<b>'], "v2": ["x"]}
    assert answer.text == f"changed {expected}"


async def test_another_site_cannot_prove_for_somebody(ada: Browser, people: People) -> None:
    await age(people, minutes=61)
    answer = await ada.post("/-/vault", {"sudo_password": PASSWORD, "v1": "x"}, origin="https://evil.test")
    assert answer.status_code == 403
    assert "another site" in answer.text
    assert (await ada.get("/-/vault")).status_code == 303


async def test_a_wrong_password_proves_nothing(ada: Browser, people: People) -> None:
    await age(people, minutes=61)
    before = cookie_of(ada)
    answer = await ada.submit("/-/sudo", {"sudo_password": "wrong", "next": "/-/vault"})
    assert (answer.status_code, cookie_of(ada)) == (422, before)
    assert "This is not your password." in answer.text
    assert (await ada.get("/-/vault")).status_code == 303


async def test_guessing_is_slowed_down(ada: Browser, people: People) -> None:
    """Somebody at an open browser tries passwords."""
    await age(people, minutes=61)
    for _ in range(30):
        answer = await ada.submit("/-/sudo", {"sudo_password": "wrong"})
        if "Too many attempts" in answer.text:
            break
    else:
        pytest.fail("thirty guesses and still another one")
    answer = await ada.submit("/-/sudo", {"sudo_password": PASSWORD})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "target", ["//evil.test/x", "https://evil.test", "/\\evil.test", "javascript:alert(1)", "/%0d%0aX: y\r\n", ""]
)
async def test_it_leads_nowhere_else(ada: Browser, people: People, target: str) -> None:
    await age(people, minutes=61)
    answer = await ada.submit("/-/sudo", {"sudo_password": PASSWORD, "next": target})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    fresh = await ada.get("/-/sudo", params={"next": target})
    assert (fresh.status_code, fresh.headers["location"]) == (303, "/")


async def test_a_visitor_signs_in_instead(people: People) -> None:
    assert (await people.browser().get("/-/sudo")).headers["location"] == "/login?next=/-/sudo"


async def test_a_program_is_told_and_a_token_is_proof_enough(ada: Browser, people: People) -> None:
    page_ = (await ada.get("/-/vault")).text.split()[1]
    await age(people, minutes=61)
    origin = {"origin": people.running.settings.origin, "x-csrf-token": page_}
    refused = await ada.client.delete("/api/v3/vault", headers=origin)
    assert refused.status_code == 403
    assert "has not proved lately" in refused.json()["message"]
    async with people.database.read() as session:
        owner = await session.scalar(select(Session.account_id))
    assert owner is not None
    token = await people.token(await people.account("bob"), "user")
    assert (await people.program(token).delete("/api/v3/vault")).status_code == 204


async def test_how_long_a_proof_is_good_for_is_a_setting(tmp_path: Path, database: Database) -> None:
    settings: dict[str, Any] = {"sudo_minutes": 5}
    async with open_people(tmp_path, database, handlers=HANDLERS, **settings) as people:
        await people.account("ada")
        ada = await people.signed_in("ada")
        await age(people, minutes=4)
        assert (await ada.get("/-/vault")).status_code == 200
        await age(people, minutes=5, seconds=1)
        assert (await ada.get("/-/vault")).status_code == 303
