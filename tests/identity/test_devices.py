"""Browsers an account knows: only the site can say so, each account for itself."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Response
from tests.web.support import Running, open_app

from cairn.identity.devices import ACCOUNTS_MAX, known_device, remember_device
from cairn.web.context import RequestContext
from cairn.web.render import redirect
from cairn.web.routing import PUBLIC, page


@page.get("/signed-in/{account_id:int}", action=PUBLIC, resource="account")
async def signed_in(context: RequestContext, account_id: int) -> Response[Any]:
    remember_device(context, account_id)
    return redirect("/")


@page.get("/known/{account_id:int}", action=PUBLIC, resource="account")
async def known(context: RequestContext, account_id: int) -> Response[Any]:
    return Response(content=known_device(context, account_id), media_type="text/plain")


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with open_app(tmp_path, [signed_in, known]) as opened:
        yield opened


async def test_a_browser_is_known_to_the_accounts_that_signed_in_with_it(running: Running) -> None:
    client = running.client()
    assert (await client.get("/known/1")).text == ""
    await client.get("/signed-in/1")
    await client.get("/signed-in/2")
    names = [(await client.get(f"/known/{number}")).text for number in (1, 2, 3)]
    assert names[0].startswith("1-")
    assert names[1].startswith("2-")
    assert names[2] == ""
    cookie = next(cookie for cookie in client.cookies.jar if cookie.name == "cairn_device")
    assert cookie.has_nonstandard_attr("HttpOnly")


async def test_nobody_makes_such_a_cookie_for_another_account(running: Running) -> None:
    """Attack: take the cookie of an account of one's own and write the victim's number into it."""
    client = running.client()
    await client.get("/signed-in/1")
    own = client.cookies["cairn_device"]
    for forged in (own.replace("1-", "2-", 1), "2--", "2-a-", "2-a-b", "", "." * 100):
        stranger = running.client(cookie=f"cairn_device={forged}")
        assert (await stranger.get("/known/2")).text == ""


async def test_a_browser_is_remembered_for_a_few_accounts(running: Running) -> None:
    client = running.client()
    for number in range(1, ACCOUNTS_MAX + 3):
        await client.get(f"/signed-in/{number}")
    assert (await client.get("/known/1")).text == ""
    assert (await client.get(f"/known/{ACCOUNTS_MAX + 2}")).text
    assert client.cookies["cairn_device"].count(".") == ACCOUNTS_MAX - 1
