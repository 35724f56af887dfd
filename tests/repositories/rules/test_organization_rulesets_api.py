"""Rulesets of organizations over REST: for owners, seen by others where they hold."""

from typing import Any

import pytest
from sqlalchemy import select
from tests.factories.company import Company, company
from tests.factories.work import do_what_is_due

from cairn.audit.models import AuditEntry
from cairn.repositories import fork_jobs

__all__ = ["company"]

assert fork_jobs, "importing them registers them"

RULESETS = "/orgs/acme/rulesets"
EVERYBODY = ("anonymous", "narrow", "sam", "sue", "max", "mia", "olga", "root")
WANTED: dict[str, Any] = {
    "name": "Main",
    "target": "branch",
    "enforcement": "active",
    "conditions": {
        "ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []},
        "repository_name": {"include": ["Web-*"], "exclude": ["web-old"], "protected": True},
    },
    "rules": [{"type": "deletion"}],
}


async def made(company: Company, **changes: Any) -> dict[str, Any]:
    """Give acme a ruleset as Olga and return it."""
    answer = await company.api("olga").call("POST", RULESETS, json=WANTED | changes)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def found_in(company: Company, repository: str) -> list[str]:
    """Return the names of the rulesets about a repository of acme."""
    return [one["name"] for one in (await company.api("olga").get(f"/repos/acme/{repository}/rulesets")).json()]


async def test_a_ruleset_is_made_read_changed_and_deleted(company: Company) -> None:
    olga = company.api("olga")
    found = await made(company)
    assert (found["source_type"], found["source"]) == ("Organization", "acme")
    assert found["conditions"] == WANTED["conditions"] | {
        "ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []},
    }
    assert found["_links"]["html"]["href"].endswith(f"/organizations/acme/settings/rules/{found['id']}")
    assert "current_user_can_bypass" not in found, "GitHub says it of a repository only"
    assert (await olga.get(found["_links"]["self"]["href"])).json() == found
    [listed] = (await olga.get(RULESETS)).json()
    assert listed == {name: found[name] for name in listed}
    assert (await olga.get(f"{RULESETS}?targets=tag")).json() == []
    # What a PUT leaves out stays, also which repositories it is about.
    body = {"conditions": {"ref_name": {"include": ["main"], "exclude": []}}}
    changed = (await olga.call("PUT", f"{RULESETS}/{found['id']}", json=body)).json()
    assert changed["conditions"]["repository_name"] == found["conditions"]["repository_name"]
    assert changed["conditions"]["ref_name"]["include"] == ["refs/heads/main"]
    again = await olga.call("PUT", f"{RULESETS}/{found['id']}", json=found)
    assert again.json()["conditions"] == found["conditions"]
    assert (await olga.call("DELETE", f"{RULESETS}/{found['id']}")).status_code == 204
    assert (await olga.get(f"{RULESETS}/{found['id']}")).status_code == 404
    async with company.forge.database.read() as session:
        rows = select(AuditEntry).where(AuditEntry.action.startswith("ruleset.")).order_by(AuditEntry.id)
        said = [(one.action, one.account_id) for one in await session.scalars(rows)]
    deeds = ("create", "update", "update", "delete")
    assert said == [(f"ruleset.{deed}", company.id) for deed in deeds], "so it stands in the organization's log"


async def test_only_owners_have_them(company: Company) -> None:
    found = await made(company)
    one = f"{RULESETS}/{found['id']}"
    wanted = {"anonymous": 401, "narrow": 403, "sam": 403, "sue": 403, "max": 403, "mia": 403}
    for method, path, body, done in (
        ("GET", RULESETS, None, 200),
        ("GET", one, None, 200),
        ("GET", f"{RULESETS}/rule-suites", None, 200),
        ("PUT", one, {"name": "Other"}, 200),
        ("POST", RULESETS, {"name": "", "enforcement": "active"}, 422),
    ):
        answered = await company.statuses(method, path, *EVERYBODY, json=body)
        assert answered == wanted | {"olga": done, "root": done}, (method, path)
    refused = await company.statuses("DELETE", one, *wanted)
    assert refused == wanted
    assert (await company.api("olga").get("/orgs/nobody/rulesets")).status_code == 404
    assert (await company.api("olga").get("/orgs/max/rulesets")).status_code == 404, "Max is a person"


async def test_it_holds_in_repositories_by_their_names(company: Company) -> None:
    olga = company.api("olga")
    for name in ("web-site", "WEB-shop", "web-old", "engine"):
        assert (await olga.call("POST", "/orgs/acme/repos", json={"name": name})).status_code == 201
    found = await made(company)
    await made(company, name="Everywhere", conditions={"ref_name": {"include": ["~ALL"], "exclude": []}})
    assert await found_in(company, "web-site") == await found_in(company, "WEB-shop") == ["Main", "Everywhere"]
    assert await found_in(company, "web-old") == await found_in(company, "engine") == ["Everywhere"]
    # Of another repository it is not there, although the organization has it.
    assert (await olga.get(f"/repos/acme/engine/rulesets/{found['id']}")).status_code == 404
    here = (await olga.get(f"/repos/acme/web-site/rulesets/{found['id']}")).json()
    assert here["_links"] == found["_links"]
    assert here["current_user_can_bypass"] == "never"
    rules = (await olga.get("/repos/acme/web-site/rules/branches/main")).json()
    assert {(rule["ruleset_id"], rule["ruleset_source"]) for rule in rules} >= {(found["id"], "acme")}


async def test_an_administrator_of_a_repository_sees_it_and_cannot_change_it(company: Company) -> None:
    olga, max_ = company.api("olga"), company.api("max")
    await olga.call("POST", "/orgs/acme/repos", json={"name": "web-site"})
    put = await olga.call("PUT", "/repos/acme/web-site/collaborators/max", json={"permission": "admin"})
    assert put.status_code in {201, 204}, put.text
    found = await made(company)
    there = f"/repos/acme/web-site/rulesets/{found['id']}"
    assert (await max_.get(there)).json()["rules"] == [{"type": "deletion"}]
    assert (await max_.call("PUT", there, json={"enforcement": "disabled"})).status_code == 404
    assert (await max_.call("DELETE", there)).status_code == 404
    # Nor does another name lead out of it, but for owners.
    renamed = await max_.call("PATCH", "/repos/acme/web-site", json={"name": "site"})
    assert (renamed.status_code, renamed.json()["errors"][0]["field"]) == (422, "name")
    assert "'Main' keeps this name" in renamed.json()["errors"][0]["message"]
    assert (await max_.call("PATCH", "/repos/acme/web-site", json={"description": "A site"})).status_code == 200
    assert (await olga.call("PATCH", "/repos/acme/web-site", json={"name": "site"})).status_code == 200
    assert await found_in(company, "site") == []
    assert (await max_.call("PATCH", "/repos/acme/site", json={"name": "page"})).status_code == 200


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"include": ["acme/engine"]}, "no repository's name"),
        ({"include": ["~DEFAULT_BRANCH"]}, "no repository's name"),
        ({"include": ["x[z-a]"]}, "ends before it begins"),
        ({"include": [7]}, "conditions.repository_name.include"),
        ({"only": []}, "unknown field"),
    ],
    ids=["with owner", "a word", "a range", "a number", "unknown"],
)
async def test_names_that_mean_nothing_are_refused(company: Company, names: dict[str, Any], said: str) -> None:
    conditions = {"ref_name": {"include": ["~ALL"], "exclude": []}, "repository_name": names}
    answer = await company.api("olga").call("POST", RULESETS, json=WANTED | {"conditions": conditions})
    assert answer.status_code == 422
    assert said in str(answer.json()["errors"])
    assert (await company.api("olga").get(RULESETS)).json() == []


async def test_a_repositorys_own_ruleset_names_no_repositories(company: Company) -> None:
    olga = company.api("olga")
    await olga.call("POST", "/orgs/acme/repos", json={"name": "web-site"})
    answer = await olga.call("POST", "/repos/acme/web-site/rulesets", json=WANTED)
    assert answer.status_code == 422
    assert "rulesets of an organization" in answer.json()["errors"][0]["message"]


async def test_what_they_found_is_listed_for_all_repositories(company: Company) -> None:
    forge, olga = company.forge, company.api("olga")
    for name in ("engine", "tool"):
        wanted = {"name": name, "auto_init": True}
        assert (await olga.call("POST", "/orgs/acme/repos", json=wanted)).status_code == 201
    await made(company, name="Frozen", conditions={"ref_name": {"include": ["old/*"], "exclude": []}},
               rules=[{"type": "creation"}])  # fmt: skip
    for name in ("engine", "tool"):
        head = (await olga.get(f"/repos/acme/{name}/git/ref/heads/main")).json()["object"]["sha"]
        body = {"ref": "refs/heads/old/1", "sha": head}
        assert (await olga.call("POST", f"/repos/acme/{name}/git/refs", json=body)).status_code == 422
    found = (await olga.get(f"{RULESETS}/rule-suites")).json()
    assert [(one["repository_name"], one["ref"], one["result"]) for one in found] == [
        ("tool", "refs/heads/old/1", "fail"),
        ("engine", "refs/heads/old/1", "fail"),
    ]
    [one] = (await olga.get(f"{RULESETS}/rule-suites?repository_name=ENGINE&actor_name=olga")).json()
    whole = (await olga.get(f"{RULESETS}/rule-suites/{one['id']}")).json()
    assert whole["rule_evaluations"][0]["rule_source"]["name"] == "Frozen"
    assert len((await olga.get(f"{RULESETS}/rule-suites?per_page=1")).json()) == 1
    # Of another owner they are not there; nor are those of a deleted repository.
    own = await forge.repository(forge.people["olga"], "own", files={"a": b"1"})
    assert own.owner == "olga"
    assert (await olga.get(f"/repos/olga/own/rulesets/rule-suites/{one['id']}")).status_code == 404
    assert (await olga.call("DELETE", "/repos/acme/engine")).status_code == 204
    assert [one["repository_name"] for one in (await olga.get(f"{RULESETS}/rule-suites")).json()] == ["tool"]
    assert (await olga.get(f"{RULESETS}/rule-suites/{one['id']}")).status_code == 404


async def test_a_fork_into_the_organization_comes_as_it_is_and_keeps_the_rules_from_then_on(company: Company) -> None:
    forge, olga = company.forge, company.api("olga")
    await made(
        company, rules=[{"type": "update"}, {"type": "creation"}], conditions={"ref_name": {"include": ["~ALL"]}}
    )
    ben = await forge.person("ben")
    await forge.repository(ben, "plough", files={"a": b"1"})
    asked = await olga.call("POST", "/repos/ben/plough/forks", json={"organization": "acme"})
    assert asked.status_code == 202, asked.text
    await do_what_is_due(forge.engine)
    sha = (await forge.api(ben).get("/repos/ben/plough/branches/main")).json()["commit"]["sha"]
    assert (await olga.get("/repos/acme/plough/branches/main")).json()["commit"]["sha"] == sha
    refused = await olga.call("POST", "/repos/acme/plough/git/refs", json={"ref": "refs/heads/new", "sha": sha})
    assert (refused.status_code, "Main" in refused.text) == (422, True)
