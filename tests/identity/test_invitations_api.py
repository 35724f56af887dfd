"""Invitations over REST, in GitHub's shape, for owners."""

import pytest
from tests.factories.company import Company, company
from tests.identity.test_invitations import grow_old

from cairn.identity.invitations import LIFETIME

__all__ = ["company"]

EVERYBODY = ("anonymous", "sam", "max", "mia", "olga", "root", "sue", "narrow")
ORG = "/orgs/acme"
OWNERS_ONLY = (401, 403, 403, 403, 200, 200, 403, 403)


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", f"{ORG}/invitations", None, OWNERS_ONLY),
        ("GET", f"{ORG}/failed_invitations", None, OWNERS_ONLY),
        ("GET", f"{ORG}/invitations?role=boss", None, (401, 403, 403, 403, 422, 422, 403, 403)),
        ("GET", f"{ORG}/invitations/999/teams", None, (401, 403, 403, 403, 404, 404, 403, 403)),
        ("DELETE", f"{ORG}/invitations/999", {}, (401, 403, 403, 403, 404, 404, 403, 403)),
        ("POST", f"{ORG}/invitations", {"email": "no address"}, (401, 403, 403, 403, 422, 422, 403, 403)),
        ("GET", f"{ORG}/teams/core/invitations", None, (404, 404, 403, 200, 200, 200, 403, 404)),
        ("GET", f"{ORG}/teams/vault/invitations", None, (404, 404, 404, 404, 200, 200, 403, 404)),
    ],
)
async def test_who_may_call_what(
    company: Company, method: str, path: str, body: dict[str, str] | None, expected: tuple[int, ...]
) -> None:
    wanted = dict(zip(EVERYBODY, expected, strict=True))
    options = {} if body is None else {"json": body}
    assert await company.statuses(method, path, *wanted, **options) == wanted


async def test_people_and_addresses_are_invited_listed_and_uninvited(company: Company) -> None:
    olga, sam_id = company.api("olga"), company.forge.people["sam"].account.id
    body = {"invitee_id": sam_id, "role": "admin", "team_ids": [company.teams["core"], company.teams["vault"]]}
    made = await olga.call("POST", f"{ORG}/invitations", json=body)
    assert made.status_code == 201, made.text
    person = made.json()
    assert (person["login"], person["email"], person["role"]) == ("sam", None, "admin")
    assert (person["team_count"], person["inviter"]["login"], person["invitation_source"]) == (2, "olga", "member")
    assert (person["failed_at"], person["failed_reason"]) == (None, None)
    teams = (await olga.get(person["invitation_teams_url"])).json()
    assert [team["slug"] for team in teams] == ["core", "vault"]
    address = (await olga.call("POST", f"{ORG}/invitations", json={"email": "New@example.test"})).json()
    assert (address["login"], address["email"], address["role"]) == (None, "New@example.test", "direct_member")
    listed = await olga.get(f"{ORG}/invitations?per_page=1")
    assert [one["id"] for one in listed.json()] == [address["id"]]
    assert 'rel="next"' in listed.headers["link"]
    assert [one["id"] for one in (await olga.get(f"{ORG}/invitations?role=admin")).json()] == [person["id"]]
    of_team = (await company.api("mia").get(f"{ORG}/teams/core/invitations")).json()
    assert [one["id"] for one in of_team] == [person["id"]]
    assert (await olga.call("DELETE", f"{ORG}/invitations/{address['id']}")).status_code == 204
    assert (await olga.call("DELETE", f"{ORG}/invitations/{address['id']}")).status_code == 404
    assert [one["id"] for one in (await olga.get(f"{ORG}/invitations")).json()] == [person["id"]]


async def test_what_cannot_be_an_invitation_is_told(company: Company) -> None:
    olga = company.api("olga")
    max_id, sam_id = (company.forge.people[name].account.id for name in ("max", "sam"))
    for body in (
        {},
        {"invitee_id": sam_id, "email": "sam@example.test"},
        {"invitee_id": 999},
        {"invitee_id": 10**25},
        {"email": "new@example.test", "team_ids": [10**25]},
        {"email": "new@example.test\r\nBcc: other@example.test"},
        {"email": "new\x00@example.test"},
        {"invitee_id": company.id},
        {"invitee_id": max_id},
        {"email": "@sam"},
        {"invitee_id": sam_id, "role": "billing_manager"},
        {"invitee_id": sam_id, "team_ids": [999]},
    ):
        answer = await olga.call("POST", f"{ORG}/invitations", json=body)
        assert answer.status_code == 422, (body, answer.text)
    assert (await olga.get(f"{ORG}/invitations")).json() == []
    assert await company.mails() == []
    assert (await olga.call("POST", f"{ORG}/invitations", json={"invitee_id": sam_id})).status_code == 201
    twice = await olga.call("POST", f"{ORG}/invitations", json={"invitee_id": sam_id})
    assert (twice.status_code, twice.json()["errors"][0]["code"]) == (422, "already_exists")


async def test_what_nobody_answered_has_failed(company: Company) -> None:
    olga = company.api("olga")
    made = (await olga.call("POST", f"{ORG}/invitations", json={"email": "new@example.test"})).json()
    async with company.forge.database.write() as session:
        await grow_old(session, LIFETIME)
    assert (await olga.get(f"{ORG}/invitations")).json() == []
    (failed,) = (await olga.get(f"{ORG}/failed_invitations")).json()
    assert failed["id"] == made["id"]
    assert failed["failed_at"] is not None
    assert "expired" in failed["failed_reason"]
