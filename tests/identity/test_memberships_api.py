"""Places over REST: offered to who is no member, given at once by site administrators, accepted by who is invited."""

import pytest
from tests.factories.company import Company, company

__all__ = ["company"]

EVERYBODY = ("anonymous", "sam", "max", "mia", "olga", "root", "sue", "narrow")
ORG = "/orgs/acme"
CORE = f"{ORG}/teams/core"


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", f"{ORG}/memberships/max", None, (401, 403, 200, 200, 200, 200, 403, 403)),
        ("PUT", f"{ORG}/memberships/max", {"role": "member"}, (401, 403, 403, 403, 200, 200, 403, 403)),
        ("PUT", f"{ORG}/memberships/sam", {"role": "boss"}, (401, 403, 403, 403, 422, 422, 403, 403)),
        ("PUT", f"{ORG}/memberships/nobody", {}, (401, 403, 403, 403, 404, 404, 403, 403)),
        ("DELETE", f"{ORG}/memberships/mia", {}, (401, 403, 403, None, None, None, 403, 403)),
        ("GET", f"{CORE}/memberships/mia", None, (404, 404, 200, 200, 200, 200, 403, 404)),
        ("PUT", f"{CORE}/memberships/sam", {}, (404, 404, 403, 403, None, None, 403, 404)),
        ("PUT", f"{CORE}/memberships/nobody", {}, (404, 404, 403, 404, 404, 404, 403, 404)),
        ("GET", "/user/memberships/orgs", None, (401, 200, 200, 200, 200, 200, 403, 200)),
        ("GET", "/user/memberships/orgs?state=pending", None, (401, 200, 200, 200, 200, 200, 403, 200)),
        ("GET", "/user/memberships/orgs?state=old", None, (401, 422, 422, 422, 422, 422, 403, 422)),
        ("GET", "/user/memberships/orgs/acme", None, (401, 404, 200, 200, 200, 404, 403, 404)),
        ("PATCH", "/user/memberships/orgs/acme", {"state": "active"}, (401, 404, 200, 200, 200, 404, 403, 403)),
        ("PATCH", "/user/memberships/orgs/acme", {"state": "x"}, (401, 422, 422, 422, 422, 422, 403, 403)),
    ],
)
async def test_who_may_call_what(
    company: Company, method: str, path: str, body: dict[str, str] | None, expected: tuple[int | None, ...]
) -> None:
    """None stands for a call that would succeed and is made by a test of its own."""
    wanted = {name: status for name, status in zip(EVERYBODY, expected, strict=True) if status is not None}
    options = {} if body is None else {"json": body}
    assert await company.statuses(method, path, *wanted, **options) == wanted


async def test_a_stranger_is_invited_and_accepts(company: Company) -> None:
    olga, sam = company.api("olga"), company.api("sam")
    offered = (await olga.call("PUT", f"{ORG}/memberships/sam", json={"role": "admin"})).json()
    assert (offered["state"], offered["role"], offered["user"]["login"]) == ("pending", "admin", "sam")
    assert offered["organization"]["login"] == "acme"
    assert (await sam.get("/user/orgs")).json() == []
    assert (await olga.get(f"{ORG}/members/sam")).status_code == 404
    assert (await olga.get(f"{ORG}/memberships/sam")).json()["state"] == "pending"
    assert (await company.api("max").get(f"{ORG}/memberships/sam")).status_code == 404, "for owners"
    again = (await olga.call("PUT", f"{ORG}/memberships/sam", json={})).json()
    assert (again["state"], again["role"]) == ("pending", "member")
    assert len(await company.mails("sam@example.test")) == 1
    for path in ("/user/memberships/orgs", "/user/memberships/orgs?state=pending"):
        own = (await sam.get(path)).json()
        assert [(one["organization"]["login"], one["state"], one["role"]) for one in own] == [
            ("acme", "pending", "member")
        ]
    assert (await sam.get("/user/memberships/orgs?state=active")).json() == []
    assert (await sam.get("/user/memberships/orgs/acme")).json()["state"] == "pending"
    accepted = await sam.call("PATCH", "/user/memberships/orgs/acme", json={"state": "active"})
    assert (accepted.status_code, accepted.json()["state"], accepted.json()["role"]) == (200, "active", "member")
    again = await sam.call("PATCH", "/user/memberships/orgs/acme", json={"state": "active"})
    assert (again.status_code, again.json()["state"]) == (200, "active")
    assert (await olga.call("PUT", f"{ORG}/memberships/sam", json={"role": "admin"})).json()["state"] == "active"
    assert (await olga.call("DELETE", f"{ORG}/memberships/sam")).status_code == 204
    assert (await sam.get("/user/orgs")).json() == []


async def test_a_token_that_reads_no_organizations_sees_no_invitation(company: Company) -> None:
    assert (await company.api("olga").call("PUT", f"{ORG}/memberships/sam", json={})).status_code == 200
    narrow = company.forge.api(await company.forge.token(company.forge.people["sam"].account, "repo"))
    assert (await narrow.get("/user/memberships/orgs")).json() == []
    assert (await narrow.get("/user/memberships/orgs/acme")).status_code == 404
    answer = await narrow.call("PATCH", "/user/memberships/orgs/acme", json={"state": "active"})
    assert answer.status_code == 403


async def test_site_administrators_add_people_at_once(company: Company) -> None:
    made = (await company.api("root").call("PUT", f"{ORG}/memberships/sam", json={})).json()
    assert made["state"] == "active"
    assert [one["login"] for one in (await company.api("sam").get("/user/orgs")).json()] == ["acme"]
    assert await company.mails("sam@example.test") == []
    # The same person with a token that does not carry it is an owner like others, here not even that.
    plain = company.forge.api(await company.forge.token(company.forge.people["root"].account, "admin:org"))
    assert (await plain.call("PUT", f"{ORG}/memberships/sam", json={})).status_code == 403


async def test_deleting_a_membership_takes_an_invitation_back(company: Company) -> None:
    olga, sam = company.api("olga"), company.api("sam")
    assert (await olga.call("PUT", f"{ORG}/memberships/sam", json={})).json()["state"] == "pending"
    assert (await olga.call("DELETE", f"{ORG}/memberships/sam")).status_code == 204
    assert (await sam.call("PATCH", "/user/memberships/orgs/acme", json={"state": "active"})).status_code == 404
    assert (await olga.call("DELETE", f"{ORG}/memberships/sam")).status_code == 404


async def test_a_team_place_for_a_stranger_is_an_invitation_into_both(company: Company) -> None:
    olga, sam = company.api("olga"), company.api("sam")
    for role in ("member", "maintainer"):
        offered = (await olga.call("PUT", f"{CORE}/memberships/sam", json={"role": role})).json()
        assert (offered["state"], offered["role"]) == ("pending", role)
    assert (await olga.get(f"{CORE}/memberships/sam")).json() == offered
    assert (await olga.get(f"{ORG}/teams/vault/memberships/sam")).status_code == 404
    assert len(await company.mails("sam@example.test")) == 1
    assert (await sam.get(CORE)).status_code == 404
    await sam.call("PATCH", "/user/memberships/orgs/acme", json={"state": "active"})
    place = (await sam.get(f"{CORE}/memberships/sam")).json()
    assert (place["state"], place["role"]) == ("active", "maintainer")


async def test_a_site_administrator_puts_a_stranger_into_a_team_at_once(company: Company) -> None:
    made = (await company.api("root").call("PUT", f"{CORE}/memberships/sam", json={})).json()
    assert (made["state"], made["role"]) == ("active", "member")
    assert (await company.api("sam").get(CORE)).status_code == 200


async def test_nobodys_mailbox_is_filled(company: Company) -> None:
    """Attack: invite and take back, over and over; or found organizations to invite somebody from each."""
    olga, max_ = company.api("olga"), company.api("max")
    statuses = []
    for _ in range(6):
        statuses.append((await olga.call("PUT", f"{ORG}/memberships/sam", json={})).status_code)
        await olga.call("DELETE", f"{ORG}/memberships/sam")
    assert statuses == [200] * 5 + [429]
    browsers = {name: company.forge.browser(company.forge.people[name]) for name in ("olga", "max")}
    for name, login in (("olga", "olgas"), ("max", "maxs")):
        await browsers[name].submit("/organizations/new", {"login": login, "name": ""})
    refused = await olga.call("PUT", "/orgs/olgas/memberships/sam", json={})
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert (await olga.call("PUT", "/orgs/olgas/memberships/mia", json={})).status_code == 200
    assert len(await company.mails("sam@example.test")) == 5
    # Attack: keep somebody from being invited by others, by using up what may be sent to them.
    assert (await max_.call("PUT", "/orgs/maxs/memberships/sam", json={})).status_code == 200


async def test_who_may_not_invite_uses_up_nothing(company: Company) -> None:
    """Attack: keep an organization from inviting by asking in its name."""
    for _ in range(6):
        assert (await company.api("max").call("PUT", f"{ORG}/memberships/sam", json={})).status_code == 403
        assert (await company.api("mia").call("PUT", f"{CORE}/memberships/sam", json={})).status_code == 403
    assert (await company.api("olga").call("PUT", f"{ORG}/memberships/sam", json={})).status_code == 200
