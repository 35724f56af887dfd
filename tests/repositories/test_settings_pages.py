"""Pages that change a repository: every one a plain form, refused forms keep what was typed, and who may."""

import html

import pytest
from tests.factories.company import Company, company
from tests.factories.forge import Forge, Person
from tests.web.support import Browser

from cairn.access.roles import Role, Visibility
from cairn.base.clock import utc_now

__all__ = ["company"]


@pytest.fixture
async def ada(forge: Forge) -> Person:
    """Ada with a public repository that has two branches."""
    person = await forge.person("ada")
    made = await forge.repository(person, "engine", files={"README.md": b"# Engine\n"}, description="Mill")
    await forge.commit(person, made, {"a": b"1"}, branch=b"refs/heads/other")
    return person


async def api(forge: Forge, path: str = "/repos/ada/engine") -> dict[str, object]:
    found: dict[str, object] = (await forge.api(forge.people["ada"]).get(path)).json()
    return found


async def test_a_repository_is_made_and_opened(forge: Forge, ada: Person) -> None:
    browser = forge.browser(ada)
    fields = {"name": "notes", "description": "On the engine", "visibility": "private", "readme": "true"}
    answer = await browser.submit("/new", fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ada/notes")
    opened = await browser.get("/ada/notes")
    assert "On the engine" in opened.text
    assert (await api(forge, "/repos/ada/notes"))["visibility"] == "private"
    assert (await forge.browser().get("/ada/notes")).status_code == 404


async def test_without_a_readme_the_page_says_how_to_begin(forge: Forge, ada: Person) -> None:
    browser = forge.browser(ada)
    await browser.submit("/new", {"name": "bare", "visibility": "public"})
    text = (await browser.get("/ada/bare")).text
    assert "git push -u origin main" in text
    assert "git push" not in (await forge.browser().get("/ada/bare")).text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": ""}, "Fill this in."),
        ({"name": "engine"}, "already exists"),
        ({"name": "a b"}, "use letters, digits"),
        ({"name": "x", "description": "d" * 1001}, "the limit is 1,000"),
    ],
)
async def test_a_new_repository_that_is_refused_keeps_what_was_typed(
    forge: Forge, ada: Person, fields: dict[str, str], said: str
) -> None:
    typed = {"description": "kept <words>", "visibility": "private"} | fields
    answer = await forge.browser(ada).submit("/new", typed)
    assert answer.status_code == 422
    text = html.unescape(answer.text)
    assert said in text
    assert f'value="{typed["description"]}"' in text
    assert 'value="private" checked' in text


async def test_the_owner_is_chosen_and_visibility_fits_it(company: Company) -> None:
    max_, olga = (company.forge.browser(company.forge.people[name]) for name in ("max", "olga"))
    alone = (await company.forge.browser(company.forge.people["sam"]).get("/new")).text
    assert ('name="owner" value="sam"' in alone, 'value="internal"' in alone) == (True, False)
    shown = (await max_.get("/new?owner=Acme")).text
    assert '<option class="owner-organization" value="acme" selected>' in shown
    fields = {"name": "tool", "owner": "acme", "visibility": "internal"}
    made = await max_.submit("/new", fields)
    assert (made.status_code, made.headers["location"]) == (303, "/acme/tool")
    assert (await company.api("sam").get("/repos/acme/tool")).json()["visibility"] == "internal"
    own = await max_.submit("/new", fields | {"owner": "max"})
    assert (own.status_code, "Only organizations have internal" in own.text) == (422, True)
    assert '<option class="owner-person" value="max" selected>' in own.text
    assert "You may not make repositories under sam." in (await max_.get("/new?owner=sam")).text
    foreign = await max_.submit("/new", fields | {"owner": "sam", "visibility": "public"})
    assert foreign.status_code == 403
    assert (await company.api("sam").get("/repos/sam/tool")).status_code == 404
    closed = {"members_can_create_repositories": False}
    assert (await company.api("olga").call("PATCH", "/orgs/acme", json=closed)).status_code == 200
    assert 'value="acme"' not in (await max_.get("/new")).text
    assert (await max_.submit("/new", fields | {"name": "more"})).status_code == 403
    assert 'href="/new?owner=acme"' in (await olga.get("/acme")).text
    assert 'href="/new?owner=acme"' not in (await max_.get("/acme")).text


async def test_a_person_cannot_make_their_repository_internal(company: Company) -> None:
    sam = company.api("sam")
    assert (await sam.call("POST", "/user/repos", json={"name": "own", "visibility": "internal"})).status_code == 422
    assert (await sam.call("POST", "/user/repos", json={"name": "own"})).status_code == 201
    refused = await sam.call("PATCH", "/repos/sam/own", json={"visibility": "internal"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "visibility")
    assert (
        'value="internal"'
        not in (await company.forge.browser(company.forge.people["sam"]).get("/sam/own/settings")).text
    )


async def test_who_is_not_signed_in_is_asked_to_before_making_anything(forge: Forge, ada: Person) -> None:
    browser = forge.browser()
    asked = await browser.get("/new")
    assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=/new")
    answer = await browser.submit("/new", {"name": "x", "visibility": "public"}, page="/-/appearance")
    assert answer.status_code == 401


async def test_texts_and_default_branch_are_saved(forge: Forge, ada: Person) -> None:
    browser = forge.browser(ada)
    fields = {"description": "Store", "homepage": "https://example.org/", "default_branch": "other"}
    answer = await browser.submit("/ada/engine/settings", fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ada/engine/settings")
    assert "The settings are saved." in (await browser.get("/ada/engine/settings")).text
    body = await api(forge)
    assert (body["description"], body["homepage"], body["default_branch"]) == ("Store", "https://example.org/", "other")


async def test_a_refused_setting_stands_at_its_field_and_nothing_is_saved(forge: Forge, ada: Person) -> None:
    fields = {"description": "lost?", "homepage": "javascript:alert(1)", "default_branch": "main"}
    answer = await forge.browser(ada).submit("/ada/engine/settings", fields)
    assert answer.status_code == 422
    assert 'value="lost?"' in answer.text
    assert "must start with http" in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert (await api(forge))["description"] == "Mill"


async def test_a_rename_leads_on_from_the_old_name(forge: Forge, ada: Person) -> None:
    browser = forge.browser(ada)
    await forge.repository(ada, "taken")
    refused = await browser.submit("/ada/engine/settings/rename", {"name": "Taken"}, page="/ada/engine/settings")
    assert (refused.status_code, "already exists" in refused.text) == (422, True)
    answer = await browser.submit("/ada/engine/settings/rename", {"name": "mill"}, page="/ada/engine/settings")
    assert answer.headers["location"] == "/ada/mill/settings"
    moved = await browser.get("/ada/engine/blob/main/README.md?plain=1")
    assert (moved.status_code, moved.headers["location"]) == (301, "/ada/mill/blob/main/README.md?plain=1")


async def test_visibility_is_changed_and_felt(forge: Forge, ada: Person) -> None:
    await forge.browser(ada).submit(
        "/ada/engine/settings/visibility", {"visibility": "private"}, page="/ada/engine/settings"
    )
    assert (await forge.browser().get("/ada/engine")).status_code == 404
    wrong = await forge.browser(ada).submit(
        "/ada/engine/settings/visibility", {"visibility": "secret"}, page="/ada/engine/settings"
    )
    assert (wrong.status_code, "Choose one of the options." in wrong.text) == (422, True)


async def test_an_archived_repository_is_opened_again_by_its_administrator(forge: Forge, ada: Person) -> None:
    browser, page = forge.browser(ada), "/ada/engine/settings"
    await browser.submit(f"{page}/archive", {"archived": "true"}, page=page)
    assert (await api(forge))["archived"] is True
    shown = await browser.get(page)
    assert "Open again" in shown.text
    assert 'action="/ada/engine/settings/rename"' not in shown.text
    assert (await browser.submit(page, {"description": "x"})).status_code == 403
    await browser.submit(f"{page}/archive", {}, page=page)
    assert (await api(forge))["archived"] is False


async def test_a_repository_is_deleted_only_by_its_whole_name(forge: Forge, ada: Person) -> None:
    browser, page = forge.browser(ada), "/ada/engine/settings"
    for typed in ("", "engine", "ada/engines"):
        refused = await browser.submit(f"{page}/delete", {"full_name": typed}, page=page)
        assert (refused.status_code, "Type ada/engine to delete it." in refused.text) == (422, True)
    gone = await browser.submit(f"{page}/delete", {"full_name": "Ada/Engine"}, page=page)
    assert gone.headers["location"] == "/ada"
    assert (await browser.get("/ada/engine")).status_code == 404


PAGES = ("", "/access")
WRITES = {
    "": {"description": "x"},
    "/rename": {"name": "x"},
    "/visibility": {"visibility": "private"},
    "/archive": {"archived": "true"},
    "/delete": {"full_name": "ada/engine"},
    "/access/people": {"username": "eve", "role": "admin"},
    "/access/people/remove": {"username": "maintainer"},
    "/access/teams": {"team": "core", "role": "admin"},
    "/access/teams/remove": {"team": "core"},
}


@pytest.mark.parametrize("who", ["anonymous", "stranger", "reader", "writer", "maintainer", "suspended"])
@pytest.mark.parametrize("visibility", [Visibility.PUBLIC, Visibility.PRIVATE])
async def test_nobody_changes_what_their_role_does_not_reach(forge: Forge, who: str, visibility: Visibility) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine", visibility=visibility)
    await forge.person("eve")
    roles = {"reader": Role.READ, "writer": Role.WRITE, "maintainer": Role.MAINTAIN, "suspended": Role.ADMIN}
    browsers: dict[str, Browser] = {"anonymous": forge.browser()}
    for name in ("stranger", *roles):
        person = await forge.person(name, suspended_at=utc_now() if name == "suspended" else None)
        browsers[name] = forge.browser(person)
        if name in roles:
            await forge.grant(repository, person, roles[name])
    browser = browsers[who]
    allowed = {""} if who == "maintainer" else set()
    for page in PAGES:
        status = (await browser.get(f"/ada/engine/settings{page}")).status_code
        assert (page, status == 200) == (page, page in allowed)
    for path, fields in WRITES.items():
        if who == "maintainer" and path == "/access/people/remove":
            continue  # people may leave
        answer = await browser.submit(f"/ada/engine/settings{path}", fields, page="/-/appearance")
        assert (path, answer.status_code < 400) == (path, path in allowed)
        if visibility is Visibility.PRIVATE and who in {"anonymous", "stranger"}:
            assert answer.status_code == 404
    assert (await api(forge))["name"] == "engine"


async def test_a_settings_form_from_another_site_changes_nothing(forge: Forge, ada: Person) -> None:
    """The attack: a page elsewhere posts our form with the visitor's cookie."""
    browser = forge.browser(ada)
    for fields in ({"description": "x"}, {"description": "x", "csrf_token": "A" * 86}):
        answer = await browser.post("/ada/engine/settings", fields)
        assert answer.status_code == 403
    assert (await api(forge))["description"] == "Mill"
