from datetime import UTC, datetime

import pytest

from cairn.base.errors import Invalid
from cairn.identity.models import AccountKind
from cairn.identity.queries import Email, Profile, RepositoryCounts
from cairn.identity.schemas import (
    ProfileBody,
    avatar_url,
    email_json,
    private_user,
    public_user,
    user_node_id,
)
from cairn.web.node_ids import NodeId, read_node_id

ORIGIN = "https://cairn.test:8443"
AT = datetime(2024, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
TEAM = Profile(5, "Team-1", AccountKind.ORGANIZATION, "The Team", "", is_site_admin=False, created_at=AT, updated_at=AT)


def test_an_organization_is_told_from_a_user() -> None:
    assert read_node_id(user_node_id(5, AccountKind.ORGANIZATION)) == NodeId("O", "5")
    assert read_node_id(user_node_id(5)) == NodeId("U", "5")
    assert public_user(ORIGIN, TEAM, RepositoryCounts(0, 0)).type == "Organization"


def test_every_address_carries_the_sites_own_port() -> None:
    seen = private_user(ORIGIN, TEAM, RepositoryCounts(1, 2, 3), email=None)
    urls = [value for name, value in vars_of(seen).items() if name.endswith("url")]
    assert len(urls) == 12
    assert all(url.startswith(f"{ORIGIN}/") for url in urls)
    assert avatar_url(ORIGIN, "Team-1") == seen.avatar_url


def vars_of(struct: object) -> dict[str, str]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}  # type: ignore[attr-defined]  # msgspec's


def test_times_have_no_fraction() -> None:
    assert public_user(ORIGIN, TEAM, RepositoryCounts(0, 0)).updated_at == "2024-01-02T03:04:05Z"


def test_only_the_primary_address_has_a_visibility() -> None:
    assert email_json(Email("a@x.test", is_primary=True, is_verified=True)).visibility == "private"
    assert email_json(Email("b@x.test", is_primary=False, is_verified=False)).visibility is None


def test_a_change_names_every_field_that_is_not_kept() -> None:
    ProfileBody(name="x", bio="y", blog="https://x.test", hireable=False).require_kept()
    with pytest.raises(Invalid) as refused:
        ProfileBody(twitter_username="ada", hireable=True).require_kept()
    assert [problem.field for problem in refused.value.problems] == ["twitter_username", "hireable"]
