"""C8 for organizations: whatever gave somebody a role there, taken at one node it is gone at the other with the next
request: over the API, on the page and for git.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx2
import pytest
from tests.services.postgresql import PostgresqlServer
from tests.stories.installation import PASSWORD, Installation, fails, git, installation, run_cairnd, ssh_key
from tests.stories.people import join

PLACE = "/api/v3/repos/acme/r0"


@dataclass
class World:
    """Two nodes: Root owns ``acme`` with the private ``acme/r0`` and asks at one; Bob asks at the other."""

    here: Installation
    there: Installation
    root: httpx2.Client
    bob: httpx2.Client
    browser: httpx2.Client
    bobs_token: str

    def do(self, method: str, path: str, body: object = None, *, who: httpx2.Client | None = None) -> httpx2.Response:
        """Change something at the first node, as Root unless somebody else is named."""
        answer = (who or self.root).request(method, f"/api/v3{path}", json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def sees(self) -> tuple[int, int, bool]:
        """Return what Bob gets at the other node: status of the API and of the page, whether git lists."""
        url = self.there.url("acme/r0", user="bob", secret=self.bobs_token)
        try:
            git("ls-remote", url)
        except AssertionError:
            lists = False
        else:
            lists = True
        return self.bob.get(PLACE).status_code, self.browser.get("/acme/r0").status_code, lists


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgresqlServer) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("revocation")
    settings = {
        "CAIRN_DATABASE_URL": postgresql_server.url(postgresql_server.create_database()),
        "CAIRN_STORAGE_URL": f"file://{folder / 'bucket'}",
        "CAIRN_SECRET_KEY": "s" * 32,
    }
    with ExitStack() as stack:
        here = stack.enter_context(installation(folder / "a", settings, program="web"))
        there = stack.enter_context(installation(folder / "b", settings, may_be_degraded=True))
        made = ("admin", "create-user", "root1", "--email", "root1@x.test", "--password", PASSWORD, "--admin")
        run_cairnd(here.environment, *made)
        scopes = "repo,admin:org,site_admin"
        root = here.client(run_cairnd(here.environment, "admin", "create-token", "root1", "--scopes", scopes))
        browser, token = join(there, "bob")
        world = World(here, there, root, there.client(token), browser, token)
        world.do("POST", "/admin/organizations", {"login": "acme", "admin": "root1"})
        world.do("PATCH", "/orgs/acme", {"default_repository_permission": "none"})
        world.do("POST", "/orgs/acme/repos", {"name": "r0", "private": True, "auto_init": True})
        world.do("POST", "/orgs/acme/teams", {"name": "core"})
        yield world


def _enter(world: World) -> None:
    """Make Bob a member, who is asked first."""
    world.do("PUT", "/orgs/acme/memberships/bob", {"role": "member"})
    with world.here.client(world.bobs_token) as bob:
        world.do("PATCH", "/user/memberships/orgs/acme", {"state": "active"}, who=bob)


def _enter_without_a_role(world: World) -> None:
    _allow_all(world, "none")
    _enter(world)


def _allow_all(world: World, permission: str) -> None:
    world.do("PATCH", "/orgs/acme", {"default_repository_permission": permission})


Change = Callable[[World], object]
WAYS: dict[str, tuple[Change, Change, Change]] = {
    "membership": (
        lambda world: _allow_all(world, "read"),
        _enter,
        lambda world: world.do("DELETE", "/orgs/acme/members/bob"),
    ),
    "base permission": (
        _enter_without_a_role,
        lambda world: _allow_all(world, "read"),
        lambda world: _allow_all(world, "none"),
    ),
    "a team's role": (
        lambda world: world.do("PUT", "/orgs/acme/teams/core/memberships/bob", {"role": "member"}),
        lambda world: world.do("PUT", "/orgs/acme/teams/core/repos/acme/r0", {"permission": "push"}),
        lambda world: world.do("DELETE", "/orgs/acme/teams/core/repos/acme/r0"),
    ),
    "membership of a team": (
        lambda world: (
            world.do("PUT", "/orgs/acme/teams/core/repos/acme/r0", {"permission": "push"}),
            world.do("DELETE", "/orgs/acme/teams/core/memberships/bob"),
        ),
        lambda world: world.do("PUT", "/orgs/acme/teams/core/memberships/bob", {"role": "member"}),
        lambda world: world.do("DELETE", "/orgs/acme/teams/core/memberships/bob"),
    ),
}
"""What stands before, what gives, what takes; in this order, each upon the one before."""


def test_what_gave_a_role_opens_nothing_once_it_is_taken(world: World) -> None:
    for name, (prepare, give, take) in WAYS.items():
        prepare(world)
        assert world.sees() == (404, 404, False), name
        give(world)
        assert world.sees() == (200, 200, True), name
        take(world)
        assert world.sees() == (404, 404, False), name


def test_the_suspended_are_out_at_once_and_back_at_once(world: World) -> None:
    world.do("PUT", "/orgs/acme/teams/core/memberships/bob", {"role": "member"})
    assert world.sees() == (200, 200, True)
    world.do("PUT", "/users/bob/suspended")
    api, page, lists = world.sees()
    assert (api, lists) == (403, False)
    assert page != 200
    world.do("DELETE", "/users/bob/suspended")
    assert world.sees()[::2] == (200, True)


def test_a_deploy_key_that_is_deleted_opens_nothing(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    public, command = ssh_key(tmp_path_factory.mktemp("deploy"))
    made = world.do("POST", "/repos/acme/r0/keys", {"title": "machine", "key": public, "read_only": True})
    url = world.there.ssh_url("acme/r0")
    git("ls-remote", url, ssh_command=command)
    world.do("DELETE", f"/repos/acme/r0/keys/{made.json()['id']}")
    assert "Permission denied" in fails("ls-remote", url, ssh_command=command)
