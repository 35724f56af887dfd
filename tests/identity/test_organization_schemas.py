"""Organizations and teams as GitHub writes them."""

import pytest

from cairn.access.roles import BasePermission, OrganizationRole
from cairn.base.errors import Invalid
from cairn.identity.organization_members import Membership
from cairn.identity.organization_schemas import OrganizationBody, membership_json, organization_mention, team_url

ORIGIN = "https://cairn.test:8443"


def test_addresses_carry_the_origin_with_its_port() -> None:
    mention = organization_mention(ORIGIN, 7, "acme")
    assert mention["url"] == f"{ORIGIN}/api/v3/orgs/acme"
    assert mention["members_url"].startswith(ORIGIN)
    assert team_url(ORIGIN, "acme", "core") == f"{ORIGIN}/api/v3/orgs/acme/teams/core"


def test_an_owner_is_an_admin_in_the_words_of_github() -> None:
    place = Membership(7, "acme", "Acme", OrganizationRole.OWNER, is_public=False)
    body = membership_json(ORIGIN, place, role=place.role, person=(1, "ada"))
    assert (body["role"], body["state"], body["user"]["login"]) == ("admin", "active", "ada")


def test_what_is_not_sent_stays_and_what_is_no_permission_is_refused() -> None:
    assert OrganizationBody().change().base_permission is None
    assert OrganizationBody(default_repository_permission="write").change().base_permission is BasePermission.WRITE
    with pytest.raises(Invalid, match="default_repository_permission"):
        OrganizationBody(default_repository_permission="all").change()
