"""Collaborators over REST; who may call what is in ``test_api``'s actor table."""

import pytest
from sqlalchemy import select
from tests.factories.company import Company, company
from tests.factories.forge import Forge, Person

from cairn.access.roles import Visibility
from cairn.repositories.models import Repository

__all__ = ["company"]


@pytest.fixture
async def ada(forge: Forge) -> Person:
    """Ada with a private repository, and Grace beside her."""
    person = await forge.person("ada")
    await forge.person("grace")
    await forge.repository(person, "engine", visibility=Visibility.PRIVATE)
    return person


async def test_somebody_is_let_in_changed_and_put_out(forge: Forge, ada: Person) -> None:
    client, grace = forge.api(ada), forge.api(forge.people["grace"])
    assert (await client.get("/repos/ada/engine/collaborators/grace")).status_code == 404
    added = await client.call("PUT", "/repos/ada/engine/collaborators/Grace", json={"permission": "pull"})
    assert (added.status_code, added.content) == (204, b"")
    assert (await client.get("/repos/ada/engine/collaborators/grace")).status_code == 204
    assert (await grace.get("/repos/ada/engine")).json()["permissions"]["push"] is False
    assert (await client.call("PUT", "/repos/ada/engine/collaborators/grace")).status_code == 204
    assert (await grace.get("/repos/ada/engine")).json()["permissions"]["push"] is True
    assert (await client.call("DELETE", "/repos/ada/engine/collaborators/grace")).status_code == 204
    assert (await grace.get("/repos/ada/engine")).status_code == 404
    assert (await client.call("DELETE", "/repos/ada/engine/collaborators/grace")).status_code == 404


async def test_people_are_listed_with_their_permissions(forge: Forge, ada: Person) -> None:
    client = forge.api(ada)
    await client.call("PUT", "/repos/ada/engine/collaborators/grace", json={"permission": "maintain"})
    owner, grace = (await client.get("/repos/ada/engine/collaborators")).json()
    assert (owner["login"], owner["role_name"], owner["permissions"]["admin"]) == ("ada", "admin", True)
    assert (grace["login"], grace["role_name"]) == ("grace", "maintain")
    assert grace["permissions"] == {"admin": False, "maintain": True, "push": True, "triage": True, "pull": True}

    async def logins(query: str) -> list[str]:
        return [item["login"] for item in (await client.get(f"/repos/ada/engine/collaborators?{query}")).json()]

    assert await logins("affiliation=outside") == ["grace"]
    assert await logins("permission=admin") == ["ada"]
    assert await logins("per_page=1&page=2") == ["grace"]
    assert (await client.get("/repos/ada/engine/collaborators?permission=all")).status_code == 422


async def test_a_permission_is_what_somebody_may_in_the_end(forge: Forge, ada: Person) -> None:
    client = forge.api(ada)
    await forge.person("root", is_site_admin=True)

    async def permission(name: str) -> tuple[str, str]:
        body = (await client.get(f"/repos/ada/engine/collaborators/{name}/permission")).json()
        return body["permission"], body["role_name"]

    assert await permission("grace") == ("none", "none")
    assert await permission("ada") == ("admin", "admin")
    assert await permission("root") == ("admin", "admin")
    await client.call("PUT", "/repos/ada/engine/collaborators/grace", json={"permission": "maintain"})
    assert await permission("grace") == ("write", "maintain")
    await client.call("DELETE", "/repos/ada/engine/collaborators/grace")
    async with forge.database.write() as session:
        repository = (await session.scalars(select(Repository))).one()
        repository.visibility = Visibility.INTERNAL
    assert await permission("grace") == ("read", "read")
    assert (await client.get("/repos/ada/engine/collaborators/nobody/permission")).status_code == 404


async def test_in_an_organization_all_ways_to_a_role_count(company: Company) -> None:
    """A program that asks whether somebody may merge is told what git would say."""
    olga, place = company.api("olga"), "/repos/acme/engine/collaborators"
    await olga.call("PATCH", "/orgs/acme", json={"default_repository_permission": "none"})
    await olga.call("POST", "/orgs/acme/repos", json={"name": "engine", "private": True})
    await olga.call("PUT", "/orgs/acme/teams/core/repos/acme/engine", json={"permission": "maintain"})
    for login in ("sam", "mia"):
        assert (await olga.call("PUT", f"{place}/{login}", json={"permission": "pull"})).status_code == 204

    async def roles(query: str = "") -> dict[str, str]:
        return {one["login"]: one["role_name"] for one in (await olga.get(f"{place}?{query}")).json()}

    everybody = {"mia": "maintain", "olga": "admin", "sam": "read", "sue": "admin"}
    assert await roles() == await roles("affiliation=all") == everybody
    assert await roles("affiliation=direct") == {"mia": "maintain", "sam": "read"}
    assert await roles("affiliation=outside") == {"sam": "read"}
    assert await roles("permission=push") == {"mia": "maintain", "olga": "admin", "sue": "admin"}
    assert await roles("per_page=1&page=3") == {"sam": "read"}
    for login, status in {"mia": 204, "olga": 204, "sam": 204, "max": 404, "acme": 404, "root": 404}.items():
        assert (await olga.get(f"{place}/{login}")).status_code == status, login
    words = {"mia": "maintain", "olga": "admin", "sam": "read", "max": "none", "acme": "none", "root": "admin"}
    for login, role in words.items():
        assert (await olga.get(f"{place}/{login}/permission")).json()["role_name"] == role, login


async def test_what_cannot_be_a_collaborator_is_refused(forge: Forge, ada: Person) -> None:
    client = forge.api(ada)
    unknown = await client.call("PUT", "/repos/ada/engine/collaborators/nobody")
    assert (unknown.status_code, unknown.json()["message"]) == (404, "Not Found")
    assert (await client.call("PUT", "/repos/ada/engine/collaborators/ada")).status_code == 422
    wrong = await client.call("PUT", "/repos/ada/engine/collaborators/grace", json={"permission": "own"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "permission")
