"""The pages of an organization's rulesets: the same list, form, import, export and insights as a repository's."""

import json
from typing import Any

from tests.factories.company import Company, company

__all__ = ["company"]

PAGE = "/organizations/acme/settings/rules"
API = "/orgs/acme/rulesets"


async def only_ruleset(company: Company) -> dict[str, Any]:
    """Return the organization's only ruleset."""
    [found] = (await company.api("olga").get(API)).json()
    full: dict[str, Any] = (await company.api("olga").get(f"{API}/{found['id']}")).json()
    return full


async def test_a_ruleset_is_made_shown_changed_and_deleted(company: Company) -> None:
    browser = company.forge.browser(company.forge.people["olga"])
    empty = (await browser.get(PAGE)).text
    for words in ("No rules yet", "Protect the default branch", 'aria-current="page"', "acme"):
        assert words in empty
    assert "Which rules apply?" not in empty, "an organization has no branch of its own"
    fields = {
        "name": "Web",
        "target": "branch",
        "enforcement": "active",
        "takes_default": "true",
        "include_repositories": "web-*\nshop",
        "exclude_repositories": "web-old",
        "keeps_names": "true",
        "deletion.0": "true",
        "bypass.OrganizationAdmin.": "always",
        "bypass.add": "acme/core max",
        "bypass.mode": "pull_request",
    }
    done = await browser.submit(PAGE, fields, page=f"{PAGE}/new")
    assert (done.status_code, done.headers.get("location")) == (303, PAGE), done.text
    found = await only_ruleset(company)
    assert found["conditions"]["repository_name"] == {
        "include": ["web-*", "shop"],
        "exclude": ["web-old"],
        "protected": True,
    }
    assert [(one["actor_type"], one["bypass_mode"]) for one in found["bypass_actors"]] == [
        ("OrganizationAdmin", "always"),
        ("User", "pull_request"),
        ("Team", "pull_request"),
    ]
    shown = (await browser.get(PAGE)).text
    assert [f">{name}</code>" in shown for name in ("web-*", "shop", "web-old", "web-new")] == [True, True, True, False]
    one = f"{PAGE}/{found['id']}"
    form = (await browser.get(one)).text
    for words in ("web-*\nshop</textarea>", "web-old</textarea>", "Team Core", "Owners of the organization"):
        assert words in form
    changed = await browser.submit(
        one, fields | {"name": "All", "takes_all_repositories": "true", "version": "1", "bypass.add": ""}, page=one
    )
    assert changed.status_code == 303, changed.text
    assert (await only_ruleset(company))["conditions"]["repository_name"]["include"] == ["~ALL", "web-*", "shop"]
    assert "in all repositories but not" in (await browser.get(PAGE)).text
    stale = await browser.submit(one, fields | {"name": "Stale", "version": "1"}, page=one)
    assert stale.status_code == 409
    assert 'value="Stale"' in stale.text, "what was typed is not lost"
    gone = await browser.submit(f"{one}/delete", {}, page=one)
    assert (gone.status_code, gone.headers["location"]) == (303, PAGE)
    assert (await browser.get(one)).status_code == 404


async def test_a_wrong_repository_is_told_and_nothing_typed_is_lost(company: Company) -> None:
    browser = company.forge.browser(company.forge.people["olga"])
    fields = {"name": "Web", "enforcement": "active", "include_repositories": "acme/site", "takes_all": "true"}
    refused = await browser.submit(PAGE, fields, page=f"{PAGE}/new")
    assert refused.status_code == 422
    assert "is no repository&#39;s name" in refused.text
    assert "acme/site</textarea>" in refused.text
    assert (await company.api("olga").get(API)).json() == []


async def test_what_is_exported_is_imported_again(company: Company) -> None:
    olga = company.api("olga")
    body = {
        "name": "Web",
        "enforcement": "evaluate",
        "conditions": {"ref_name": {"include": ["~ALL"]}, "repository_name": {"include": ["web-*"]}},
        "rules": [{"type": "deletion"}],
    }
    made = (await olga.call("POST", API, json=body)).json()
    browser = company.forge.browser(company.forge.people["olga"])
    file = await browser.get(f"{PAGE}/{made['id']}/export")
    assert file.headers["content-disposition"] == f'attachment; filename="ruleset-{made["id"]}.json"'
    sent = json.loads(file.text)
    assert sent["conditions"] == made["conditions"]
    filled = await browser.submit(f"{PAGE}/import", {"json": file.text}, page=PAGE)
    assert filled.status_code == 200
    assert "web-*</textarea>" in filled.text
    assert len((await olga.get(API)).json()) == 1, "nothing is kept before it is saved"
    wrong = await browser.submit(f"{PAGE}/import", {"json": "[]"}, page=PAGE)
    assert wrong.status_code == 422
    assert "no JSON object" in wrong.text


async def test_insights_are_of_all_repositories(company: Company) -> None:
    olga = company.api("olga")
    browser = company.forge.browser(company.forge.people["olga"])
    assert "No ruleset had anything against a push yet." in (await browser.get(f"{PAGE}/insights")).text
    body = {
        "name": "Frozen",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": ["old/*"]}},
        "rules": [{"type": "creation"}],
    }
    assert (await olga.call("POST", API, json=body)).status_code == 201
    for name in ("engine", "tool"):
        await olga.call("POST", "/orgs/acme/repos", json={"name": name, "auto_init": True})
        head = (await olga.get(f"/repos/acme/{name}/git/ref/heads/main")).json()["object"]["sha"]
        ref = {"ref": "refs/heads/old/1", "sha": head}
        assert (await olga.call("POST", f"/repos/acme/{name}/git/refs", json=ref)).status_code == 422
    shown = (await browser.get(f"{PAGE}/insights")).text
    assert shown.index('href="/acme/tool"') < shown.index('href="/acme/engine"'), "the newest first"
    one = (await browser.get(f"{PAGE}/insights?repository=engine")).text
    assert 'href="/acme/engine"' in one
    assert 'href="/acme/tool"' not in one
    assert "No push fits" in (await browser.get(f"{PAGE}/insights?repository=none")).text


async def test_only_owners_have_the_pages_and_others_see_the_rules_where_they_hold(company: Company) -> None:
    olga = company.api("olga")
    await olga.call("POST", "/orgs/acme/repos", json={"name": "site"})
    await olga.call("PUT", "/repos/acme/site/collaborators/max", json={"permission": "admin"})
    body = {"name": "Frozen", "enforcement": "active", "conditions": {"ref_name": {"include": ["~ALL"]}}}
    made = (await olga.call("POST", API, json=body)).json()
    max_ = company.forge.browser(company.forge.people["max"])
    for path in (PAGE, f"{PAGE}/new", f"{PAGE}/{made['id']}", f"{PAGE}/{made['id']}/export", f"{PAGE}/insights"):
        assert (await max_.get(path)).status_code == 403, path
    there = (await max_.get("/acme/site/settings/rules")).text
    assert "Frozen" in there
    assert "from acme, whose owners change it" in there
    assert f'/acme/site/settings/rules/{made["id"]}"' not in there
    assert (await max_.get(f"/acme/site/settings/rules/{made['id']}")).status_code == 404
    assert (await max_.get(f"/acme/site/settings/rules/{made['id']}/export")).status_code == 200
    assert "from acme" in (await max_.get("/acme/site/rules")).text
    own = (await company.forge.browser(company.forge.people["olga"]).get("/acme/site/settings/rules")).text
    assert f'href="{PAGE}/{made["id"]}"' in own, "an owner is led to where it is changed"
    assert "whose owners change it" not in own
