"""Inviting, answering and taking back in a browser, without a script."""

import re

import pytest
from tests.factories.company import Company, company
from tests.identity.test_invitations import grow_old

from cairn.identity.invitations import LIFETIME
from cairn.identity.organizations import rename_organization

__all__ = ["company"]

PEOPLE = "/orgs/acme/people"
OWN = "/orgs/acme/invitation"


async def invite(company: Company, name: str = "olga", **fields: object) -> int:
    """Fill in the form of the people page, and return the answer's status."""
    browser = company.forge.browser(company.forge.people[name])
    answer = await browser.submit("/orgs/acme/invitations", {"role": "member"} | fields, page=PEOPLE)
    return answer.status_code


async def test_an_owner_invites_and_the_invited_sees_it_everywhere(company: Company) -> None:
    olga, sam = (company.forge.browser(company.forge.people[name]) for name in ("olga", "sam"))
    assert "See the invitation" not in (await sam.client.get("/acme")).text
    fields = {"invitee": "@Sam", "role": "owner", "teams": str(company.teams["core"])}
    assert (await olga.submit("/orgs/acme/invitations", fields, page=PEOPLE)).status_code == 303
    page = (await olga.client.get(PEOPLE)).text
    assert "sam is invited." in page
    assert re.search(r"open until .* Core", page)
    for path in ("/acme", PEOPLE):
        text = (await sam.client.get(path)).text
        assert "olga invites you to join acme" in text, path
        assert f'href="{OWN}"' in text, path
    assert f'href="{OWN}"' in (await sam.client.get("/settings/organizations")).text
    offer = (await sam.client.get(OWN)).text
    assert "Join Acme?" in offer
    assert "as an owner" in offer
    # Nobody else hears of it, members of the organization neither.
    for name in ("max", "mia"):
        assert OWN not in (await company.forge.browser(company.forge.people[name]).client.get("/acme")).text
        assert "Invitations" not in (await company.forge.browser(company.forge.people[name]).client.get(PEOPLE)).text
    joined = await sam.submit(OWN, {"answer": "accept"})
    assert (joined.status_code, joined.headers["location"]) == (303, "/acme")
    assert "You are a member of acme now." in (await sam.client.get("/acme")).text
    assert (await company.api("sam").get("/orgs/acme/teams/core/memberships/sam")).json()["role"] == "maintainer"
    assert (await sam.client.get(OWN)).status_code == 404


async def test_declining(company: Company) -> None:
    sam = company.forge.browser(company.forge.people["sam"])
    assert await invite(company, invitee="sam") == 303
    assert (await sam.submit(OWN, {"answer": "perhaps"})).status_code == 422
    declined = await sam.submit(OWN, {"answer": "decline"})
    assert (declined.status_code, declined.headers["location"]) == (303, "/settings/organizations")
    text = (await sam.client.get("/settings/organizations")).text
    assert "You declined the invitation of acme." in text
    assert "No organizations yet" in text
    assert (await sam.submit(OWN, {"answer": "accept"}, page="/settings/organizations")).status_code == 404


@pytest.mark.parametrize(
    ("name", "page", "forms"),
    [("sam", 404, 403), ("max", 404, 403), ("mia", 404, 403), ("olga", 404, 404), ("root", 404, 404)],
)
async def test_who_reaches_what(company: Company, name: str, page: int, forms: int) -> None:
    browser = company.forge.browser(company.forge.people[name])
    assert (await browser.client.get(OWN)).status_code == page
    for verb in ("resend", "cancel"):
        answer = await browser.submit(f"/orgs/acme/invitations/999/{verb}", {}, page="/settings/organizations")
        assert answer.status_code == forms, verb
    if forms == 403:
        sent = {"invitee": "sam", "role": "member"}
        answer = await browser.submit("/orgs/acme/invitations", sent, page="/settings/organizations")
        assert answer.status_code == 403


async def test_who_is_not_signed_in_comes_back_after_signing_in(company: Company) -> None:
    answer = await company.forge.browser().client.get(OWN)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={OWN}")


async def test_what_is_wrong_stands_at_its_field(company: Company) -> None:
    for invitee, message in (("nobody", "no person"), ("max", "a member"), ("a@b@c", "not an e-mail address")):
        browser = company.forge.browser(company.forge.people["olga"])
        fields = {"invitee": invitee, "role": "member", "teams": str(company.teams["core"])}
        answer = await browser.submit("/orgs/acme/invitations", fields, page=PEOPLE)
        assert (answer.status_code, message in answer.text) == (422, True), invitee
        assert f'value="{invitee}"' in answer.text
        assert re.search(rf'value="{company.teams["core"]}" checked', answer.text)
    assert await invite(company, invitee="sam", teams="999") == 422
    assert await invite(company, invitee="sam", teams="x") == 422
    assert await invite(company, invitee="sam", teams=str(10**25)) == 422
    assert await invite(company, invitee="s\x00m") == 422
    assert await company.mails() == []


async def test_sending_again_and_taking_back(company: Company) -> None:
    olga = company.forge.browser(company.forge.people["olga"])
    assert await invite(company, invitee="new@example.test") == 303
    async with company.forge.database.write() as session:
        await grow_old(session, LIFETIME)
    page = (await olga.client.get(PEOPLE)).text
    assert "Expired" in page
    action = re.search(r'action="(/orgs/acme/invitations/\d+)/resend"', page)
    assert action is not None
    assert (await olga.submit(f"{action[1]}/resend", {}, page=PEOPLE)).status_code == 303
    page = (await olga.client.get(PEOPLE)).text
    assert "The invitation of new@example.test was sent again." in page
    assert "Expired" not in page
    assert len(await company.mails("new@example.test")) == 2
    for _ in range(3):
        await olga.submit(f"{action[1]}/resend", {}, page=PEOPLE)
    await olga.submit(f"{action[1]}/resend", {}, page=PEOPLE)
    assert "Too many invitations" in (await olga.client.get(PEOPLE)).text
    assert len(await company.mails("new@example.test")) == 5
    assert (await olga.submit(f"{action[1]}/cancel", {}, page=PEOPLE)).status_code == 303
    page = (await olga.client.get(PEOPLE)).text
    assert "The invitation of new@example.test is taken back." in page
    assert action[1] not in page


async def test_a_site_administrator_may_add_at_once(company: Company) -> None:
    fields = {"invitee": "sam", "at_once": "true", "teams": str(company.teams["core"])}
    assert "at_once" not in (await company.forge.browser(company.forge.people["olga"]).client.get(PEOPLE)).text
    assert await invite(company, "olga", **fields) == 403
    assert await invite(company, "root", **fields) == 303
    place = (await company.api("sam").get("/orgs/acme/teams/core/memberships/sam")).json()
    assert place["state"] == "active"
    assert await company.mails() == []
    assert await invite(company, "root", invitee="new@example.test", at_once="true") == 422


async def test_the_link_of_a_mail_outlives_a_change_of_name(company: Company) -> None:
    assert await invite(company, invitee="sam") == 303
    async with company.forge.database.write() as session:
        await rename_organization(session, company.forge.people["olga"].actor, company.id, "acme-works")
    sam = company.forge.browser(company.forge.people["sam"])
    moved = await sam.client.get(OWN)
    assert (moved.status_code, moved.headers["location"]) == (301, "/orgs/acme-works/invitation")
    assert "Join Acme?" in (await sam.client.get(moved.headers["location"])).text
    assert (await sam.client.get("/orgs/nothing/invitation")).status_code == 404
    uninvited = await company.forge.browser(company.forge.people["mia"]).client.get("/orgs/acme-works/invitation")
    assert (uninvited.status_code, "You are signed in as mia" in uninvited.text) == (404, True)
    # A person of the name is no organization, and leads nowhere.
    assert (await sam.client.get("/orgs/olga/invitation")).status_code == 404
