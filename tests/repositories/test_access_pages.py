"""The access page: people and teams are let in, changed and put out, and every role says where it comes from."""

import re

import pytest
from tests.factories.company import Company, company
from tests.factories.forge import Forge, Person

from cairn.access.roles import Role, Visibility

__all__ = ["company"]

PAGE = "/acme/engine/settings/access"


@pytest.fixture
async def ada(forge: Forge) -> Person:
    """Ada with a public repository."""
    person = await forge.person("ada")
    await forge.repository(person, "engine")
    return person


async def test_people_are_let_in_changed_and_put_out(forge: Forge, ada: Person) -> None:
    await forge.person("grace")
    browser, page = forge.browser(ada), "/ada/engine/settings/access"
    people = f"{page}/people"
    answer = await browser.submit(people, {"username": " @Grace ", "role": "write"}, page=page)
    assert answer.headers["location"] == page
    assert "grace has the write role now." in (await browser.get(page)).text
    await browser.submit(people, {"username": "grace", "role": "admin"}, page=page)
    assert (await forge.browser(forge.people["grace"]).get(page)).status_code == 200
    await browser.submit(f"{people}/remove", {"username": "grace"}, page=page)
    assert (await forge.browser(forge.people["grace"]).get(page)).status_code == 403
    unknown = await browser.submit(people, {"username": "nobody", "role": "read"}, page=page)
    assert unknown.status_code == 422
    assert "There is no account" in unknown.text
    assert 'value="nobody"' in unknown.text
    assert (await browser.submit(people, {"username": "ada", "role": "read"}, page=page)).status_code == 422
    assert (await browser.submit(people, {"username": "grace", "role": "owner"}, page=page)).status_code == 422


async def test_a_person_leaves_by_themselves(forge: Forge, ada: Person) -> None:
    grace = await forge.person("grace")
    secret = await forge.repository(ada, "secret", visibility=Visibility.PRIVATE)
    await forge.grant(secret, grace, Role.READ)
    browser = forge.browser(grace)
    answer = await browser.submit(
        "/ada/secret/settings/access/people/remove", {"username": "Grace"}, page="/-/appearance"
    )
    assert answer.headers["location"] == "/"
    assert (await browser.get("/ada/secret")).status_code == 404


async def _engine(company: Company) -> None:
    made = await company.api("olga").call("POST", "/orgs/acme/repos", json={"name": "engine", "private": True})
    assert made.status_code == 201


def _rows(text: str) -> dict[str, str]:
    """Return what the list of people says of each, tags taken out."""
    people = text.split('id="people-title"')[1]
    rows = [re.sub(r"<select.*?</select>", "", row, flags=re.DOTALL) for row in people.split('class="list-row"')[1:]]
    plain = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]
    return {row.split()[1]: row for row in plain}


async def test_every_role_says_where_it_comes_from(company: Company) -> None:
    await _engine(company)
    browser = company.forge.browser(company.forge.people["olga"])
    for fields in ({"team": "core", "role": "maintain"}, {"team": "vault", "role": "triage"}):
        put = await browser.submit(f"{PAGE}/teams", fields, page=PAGE)
        assert (put.status_code, put.headers["location"]) == (303, PAGE)
    await browser.submit(f"{PAGE}/people", {"username": "mia", "role": "write"}, page=PAGE)
    await browser.submit(f"{PAGE}/people", {"username": "sam", "role": "triage"}, page=PAGE)
    rows = _rows((await browser.get(PAGE)).text)
    assert set(rows) == {"max", "mia", "olga", "sam", "sue"}
    assert "Member of the organization" in rows["max"]
    for words in ("Direct: write", "Team Core : maintain", "Member of the organization: read", "Maintain"):
        assert words in rows["mia"], rows["mia"]
    assert "Direct" in rows["sam"]
    assert "Owner of the organization" in rows["olga"]
    # A collaborator who administers the repository does not learn of the secret team.
    await browser.submit(f"{PAGE}/people", {"username": "sam", "role": "admin"}, page=PAGE)
    seen = (await company.forge.browser(company.forge.people["sam"]).get(PAGE)).text
    assert ("Vault" in seen, "vault" in seen, "A secret team" in seen) == (False, False, True)
    assert set(_rows((await browser.get(f"{PAGE}?q=mi")).text)) == {"mia"}
    await company.api("olga").call("PATCH", "/orgs/acme", json={"default_repository_permission": "none"})
    closed = (await browser.get(PAGE)).text
    assert "Membership alone gives no role." in closed
    assert "max" not in _rows(closed)


async def test_a_team_is_let_in_changed_and_put_out(company: Company) -> None:
    await _engine(company)
    await company.api("olga").call("PATCH", "/orgs/acme", json={"default_repository_permission": "none"})
    browser, mia = company.forge.browser(company.forge.people["olga"]), company.api("mia")
    for role, may_push in (("read", False), ("write", True)):
        await browser.submit(f"{PAGE}/teams", {"team": "core", "role": role}, page=PAGE)
        assert (await mia.get("/repos/acme/engine")).json()["permissions"]["push"] is may_push
    unknown = await browser.submit(f"{PAGE}/teams", {"team": "nowhere", "role": "read"}, page=PAGE)
    assert (unknown.status_code, "no team" in unknown.text) == (422, True)
    wrong = await browser.submit(f"{PAGE}/teams", {"team": "core", "role": "owner"}, page=PAGE)
    assert wrong.status_code == 422
    gone = await browser.submit(f"{PAGE}/teams/remove", {"team": "core"}, page=PAGE)
    assert gone.status_code == 303
    assert (await mia.get("/repos/acme/engine")).status_code == 404


async def test_a_persons_repository_knows_no_teams(forge: Forge, ada: Person) -> None:
    browser, page = forge.browser(ada), "/ada/engine/settings/access"
    assert "Add team" not in (await browser.get(page)).text
    refused = await browser.submit(f"{page}/teams", {"team": "core", "role": "read"}, page=page)
    assert refused.status_code == 422
