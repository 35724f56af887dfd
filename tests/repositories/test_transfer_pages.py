"""Pages of transfers: the typed name, the password, what waits, and the answer of whoever is asked."""

import html

import pytest
from sqlalchemy import update
from tests.factories.accounts import LONG_AGO
from tests.factories.company import Company, company

from cairn.identity.models import Session

__all__ = ["company"]

PAGE = "/max/tool/settings/transfer"
TO_SAM = {"new_owner": "@sam", "new_name": "tool", "full_name": "Max/Tool"}


@pytest.fixture
async def tool(company: Company) -> int:
    """The number of Max's private ``max/tool``."""
    made = await company.api("max").call("POST", "/user/repos", json={"name": "tool", "private": True})
    assert made.status_code == 201
    number: int = made.json()["id"]
    return number


async def test_a_person_is_asked_sees_it_and_accepts_under_another_name(company: Company, tool: int) -> None:
    max_, sam = (company.forge.browser(company.forge.people[name]) for name in ("max", "sam"))
    assert f'href="{PAGE}"' in (await max_.get("/max/tool/settings")).text
    asked = await max_.submit(PAGE, TO_SAM)
    assert (asked.status_code, asked.headers["location"]) == (303, PAGE)
    waiting = (await max_.get(PAGE)).text
    assert "Waiting for an answer" in waiting
    assert "max wants to give you max/tool." in (await sam.get("/")).text
    own = (await sam.get("/settings/transfers")).text
    assert "max/tool" in own
    assert 'href="/settings/transfers" aria-current="page"' in own
    assert (await sam.get("/max/tool")).status_code == 404, "an offer lets nobody in"
    await company.api("sam").call("POST", "/user/repos", json={"name": "tool"})
    answer = {"repository": str(tool), "name": "tool"}
    clash = await sam.submit("/settings/transfers/accept", answer, page="/settings/transfers")
    assert (clash.status_code, "already exists" in clash.text) == (422, True)
    assert "max/tool" in clash.text, "the offer stays"
    taken = await sam.submit("/settings/transfers/accept", answer | {"name": "hammer"}, page="/settings/transfers")
    assert (taken.status_code, taken.headers["location"]) == (303, "/sam/hammer")
    assert (await max_.get("/max/tool")).headers["location"] == "/sam/hammer"
    assert "Nothing is offered to you" in (await sam.get("/settings/transfers")).text
    again = await sam.submit("/settings/transfers/accept", answer, page="/settings/transfers")
    assert again.headers["location"] == "/settings/transfers"
    assert "This transfer is over" in (await sam.get("/settings/transfers")).text


async def test_an_organization_gets_it_at_once(company: Company, tool: int) -> None:
    browser = company.forge.browser(company.forge.people["max"])
    moved = await browser.submit(PAGE, {"new_owner": "acme", "new_name": "", "full_name": "max/tool"})
    assert (moved.status_code, moved.headers["location"]) == (303, "/acme/tool")
    assert (await company.api("max").get(f"/repositories/{tool}")).json()["full_name"] == "acme/tool"
    kept = await browser.get("/max/tool/settings/transfer")
    assert kept.headers["location"] == "/acme/tool/settings/transfer"


async def test_it_is_declined_or_cancelled_and_stays(company: Company, tool: int) -> None:
    max_, sam = (company.forge.browser(company.forge.people[name]) for name in ("max", "sam"))
    await max_.submit(PAGE, TO_SAM)
    declined = await sam.submit("/settings/transfers/decline", {"repository": str(tool)}, page="/settings/transfers")
    assert declined.headers["location"] == "/settings/transfers"
    assert "Waiting for an answer" not in (await max_.get(PAGE)).text
    await max_.submit(PAGE, TO_SAM)
    cancelled = await max_.submit(f"{PAGE}/cancel", {}, page=PAGE)
    assert (cancelled.status_code, cancelled.headers["location"]) == (303, PAGE)
    assert "Nothing is offered to you" in (await sam.get("/settings/transfers")).text
    assert (await company.api("max").get("/repos/max/tool")).status_code == 200


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (TO_SAM | {"full_name": "tool"}, "Type max/tool to transfer it."),
        (TO_SAM | {"new_owner": "nobody"}, "There is no account 'nobody'."),
        (TO_SAM | {"new_owner": "max"}, "max owns this repository already."),
        (TO_SAM | {"new_owner": ""}, "Fill this in."),
        (TO_SAM | {"new_name": "a b"}, "is not allowed"),
    ],
)
async def test_what_is_refused_keeps_what_was_typed(
    company: Company, tool: int, fields: dict[str, str], said: str
) -> None:
    browser = company.forge.browser(company.forge.people["max"])
    answer = await browser.submit(PAGE, fields)
    text = html.unescape(answer.text)
    assert (answer.status_code, said in text) == (422, True), text
    assert f'name="full_name" type="text" value="{fields["full_name"]}"' in text
    assert (await company.api("max").get(f"/repositories/{tool}")).json()["full_name"] == "max/tool"


async def test_a_session_that_proved_nothing_lately_is_asked_for_the_password(company: Company, tool: int) -> None:
    """Attack: a browser left open is enough to give the repository away."""
    browser = company.forge.browser(company.forge.people["max"])
    async with company.forge.database.write() as session:
        await session.execute(update(Session).values(proved_at=LONG_AGO))
    asked = await browser.submit(PAGE, TO_SAM)
    assert (asked.status_code, "sudo_password" in asked.text) == (403, True)
    assert "Waiting for an answer" not in (await browser.get(PAGE)).text


async def test_who_may_not_transfer_sees_nothing_of_it(company: Company, tool: int) -> None:
    await company.api("max").call("PUT", "/repos/max/tool/collaborators/mia", json={"permission": "maintain"})
    for name, wanted in {"anonymous": 404, "sam": 404, "mia": 403, "olga": 404, "root": 200}.items():
        browser = company.forge.browser(company.forge.people.get(name))
        assert (await browser.get(PAGE)).status_code == wanted, name
        if name != "root":
            for path, fields in ((PAGE, TO_SAM), (f"{PAGE}/cancel", {})):
                answer = await browser.submit(path, fields, page="/-/appearance")
                assert answer.status_code in {wanted, 401}, (name, path)
    visitor = company.forge.browser()
    assert (await visitor.get("/settings/transfers")).headers["location"].startswith("/login")
    for verb in ("accept", "decline"):
        fields = {"repository": str(tool), "name": ""}
        answer = await visitor.submit(f"/settings/transfers/{verb}", fields, page="/-/appearance")
        assert answer.status_code == 401
