"""C8 for organizations: whatever gave somebody a role there, taken at one node it is gone at the other with the next
request: over the API, on the page and for git.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx2
import pytest
from tests.services.postgresql import PostgresqlServer
from tests.stories.browser import Browser, forms_of
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


def _save(world: World, browser: Browser, client: httpx2.Client, path: str, **chosen: object) -> str:
    """Send the form of a fine-grained token and return the page it ends on."""
    browser.open(path)
    assert browser.page is not None
    form = next(form for form in forms_of(browser.page.text) if "reach" in form.names)
    data = form.fields | {"step": "save"} | chosen
    answer = client.post(path.partition("?")[0], data=data, headers={"origin": world.here.origin})
    assert answer.status_code in {200, 303}, answer.text
    return answer.text


def test_a_fine_grained_token_opens_what_stands_on_it_now(world: World) -> None:
    world.do("PUT", "/orgs/acme/teams/core/repos/acme/r0", {"permission": "push"})
    _enter(world)
    world.do("PUT", "/orgs/acme/teams/core/memberships/bob", {"role": "member"})
    number = world.do("GET", "/repos/acme/r0").json()["id"]
    both: dict[str, object] = {"reach": "chosen", "repository_ids": [number], "permissions": ["contents:read"]}
    with world.here.client() as client:
        browser = Browser(client)
        browser.open("/login")
        browser.submit(name="bob", password=PASSWORD)
        made = _save(
            world, browser, client, "/settings/tokens/fine-grained/new?owner=acme", name="narrow", lifetime="7", **both
        )
        found = re.search(r"crn_[0-9A-Za-z]{36}", made)
        assert found, made
        url = world.there.url("acme/r0", user="bob", secret=found[0])
        git("ls-remote", url)
        (token,) = world.do("GET", "/orgs/acme/personal-access-tokens").json()
        page = f"/settings/tokens/{token['id']}"
        for narrower in ({"reach": "public"}, {"repository_ids": [number + 1]}, {"permissions": ["issues:read"]}):
            _save(world, browser, client, page, **(both | narrower))
            assert fails("ls-remote", url), narrower
            _save(world, browser, client, page, **both)
            git("ls-remote", url)
    world.do("POST", f"/orgs/acme/personal-access-tokens/{token['id']}", {"action": "revoke"})
    assert fails("ls-remote", url)
