"""Organizations over REST, and who may call what."""

import pytest
from tests.factories.company import Company, company

__all__ = ["company"]

EVERYBODY = ("anonymous", "sam", "max", "mia", "olga", "root", "sue", "narrow")
ORG = "/orgs/acme"


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        ("GET", ORG, None, (200, 200, 200, 200, 200, 200, 403, 200)),
        ("PATCH", ORG, {"description": ""}, (401, 403, 403, 403, 200, 200, 403, 403)),
        ("DELETE", ORG, {}, (401, 403, 403, 403, None, None, 403, 403)),
        ("GET", f"{ORG}/members", None, (200, 200, 200, 200, 200, 200, 403, 200)),
        ("GET", f"{ORG}/members/max", None, (404, 404, 204, 204, 204, 204, 403, 404)),
        ("GET", f"{ORG}/public_members", None, (200, 200, 200, 200, 200, 200, 403, 200)),
        ("GET", f"{ORG}/outside_collaborators", None, (401, 403, 403, 403, 200, 200, 403, 403)),
        ("PUT", f"{ORG}/outside_collaborators/max", {}, (401, 403, 403, 403, None, None, 403, 403)),
        ("DELETE", f"{ORG}/outside_collaborators/sam", {}, (401, 403, 403, 403, None, None, 403, 403)),
        ("GET", "/user/orgs", None, (401, 200, 200, 200, 200, 200, 403, 200)),
        ("GET", "/users/max/orgs", None, (200, 200, 200, 200, 200, 200, 403, 200)),
        (
            "POST",
            "/admin/organizations",
            {"login": "made", "admin": "sam"},
            (404, 404, 404, 404, 404, 201, 403, 404),
        ),
    ],
)
async def test_who_may_call_what(
    company: Company, method: str, path: str, body: dict[str, str] | None, expected: tuple[int | None, ...]
) -> None:
    """None stands for a call that would succeed and is made by a test of its own."""
    wanted = {name: status for name, status in zip(EVERYBODY, expected, strict=True) if status is not None}
    options = {} if body is None else {"json": body}
    assert await company.statuses(method, path, *wanted, **options) == wanted


async def test_policies_are_shown_to_members_only(company: Company) -> None:
    for name, sees in (("anonymous", False), ("sam", False), ("narrow", False), ("max", True), ("olga", True)):
        body = (await company.api(name).get(ORG)).json()
        assert (body["login"], body["type"]) == ("acme", "Organization")
        assert ("default_repository_permission" in body) is sees, name
    by_number = (await company.api("sam").get(f"/organizations/{company.id}")).json()
    assert by_number["login"] == "acme"


async def test_profile_and_policies_change(company: Company) -> None:
    change = {"description": "Makes everything", "default_repository_permission": "none", "blog": "https://acme.test"}
    body = (await company.api("olga").call("PATCH", ORG, json=change)).json()
    assert {name: body[name] for name in change} == change
    wrong = await company.api("olga").call("PATCH", ORG, json={"default_repository_permission": "all"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "default_repository_permission")


async def test_members_are_listed_hidden_and_shown(company: Company) -> None:
    async def logins(name: str, path: str) -> list[str]:
        return [one["login"] for one in (await company.api(name).get(f"{ORG}/{path}")).json()]

    assert await logins("max", "members") == ["max", "mia", "olga", "sue"]
    assert await logins("max", "members?role=admin") == ["olga", "sue"]
    assert await logins("sam", "members") == []
    assert (await company.api("max").get(f"{ORG}/members?role=boss")).status_code == 422
    assert (await company.api("olga").call("PUT", f"{ORG}/public_members/max")).status_code == 403
    assert (await company.api("max").call("PUT", f"{ORG}/public_members/max")).status_code == 204
    assert await logins("sam", "members") == await logins("sam", "public_members") == ["max"]
    assert (await company.api("anonymous").get(f"{ORG}/public_members/max")).status_code == 204
    assert [one["login"] for one in (await company.api("sam").get("/users/max/orgs")).json()] == ["acme"]
    assert (await company.api("olga").call("DELETE", f"{ORG}/public_members/max")).status_code == 204
    assert await logins("sam", "public_members") == []


async def test_the_last_owner_who_can_act_stays(company: Company) -> None:
    """Sue is an owner, too, but suspended: she could not let anybody in again."""
    olga = company.api("olga")
    assert (await olga.call("DELETE", f"{ORG}/memberships/olga")).status_code == 409
    assert (await olga.call("PUT", f"{ORG}/memberships/olga", json={"role": "member"})).status_code == 409


async def test_an_organization_is_made_by_the_site_and_deleted_by_its_owner(company: Company) -> None:
    body = {"login": "made", "admin": "sam", "profile_name": "Made"}
    made = await company.api("root").call("POST", "/admin/organizations", json=body)
    assert (made.status_code, made.json()["login"]) == (201, "made")
    members = (await company.api("sam").get("/orgs/made/members")).json()
    assert [one["login"] for one in members] == ["sam"]
    assert (await company.api("sam").call("DELETE", "/orgs/made")).status_code == 202
    assert (await company.api("sam").get("/orgs/made")).status_code == 404
