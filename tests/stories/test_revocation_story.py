"""C8: what is taken from somebody at one node is gone at the other with the next request, though Redis is down."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx2
import pytest
from tests.services.fixtures import started
from tests.services.postgresql import PostgresqlServer
from tests.services.redis import redis_server
from tests.stories.browser import Browser, forms_of
from tests.stories.installation import Installation, fails, git, installation, ssh_key
from tests.stories.people import join
from tests.stories.pushers import found

LOGIN = "bob"


@dataclass
class World:
    """Two nodes: Ada owns the private ``ada/r0`` and asks at one; Bob works there and asks at the other."""

    here: Installation
    there: Installation
    ada: str
    bob: str
    browser: httpx2.Client
    ssh_command: str
    key_id: int

    def api(self) -> int:
        """Return the status of Bob's API request at the other node."""
        with self.there.client(self.bob) as client:
            return client.get("/api/v3/repos/ada/r0").status_code

    def page(self) -> int:
        """Return the status of Bob's page at the other node."""
        return self.browser.get("/ada/r0").status_code

    def git(self) -> str:
        """Let Bob list over HTTP at the other node."""
        return self.there.url("ada/r0", user=LOGIN, secret=self.bob)

    def share(self, method: str) -> None:
        """Give Bob a role, or take it, at the first node."""
        with self.here.client(self.ada) as client:
            body = {"json": {"permission": "push"}} if method == "PUT" else {}
            answer = client.request(method, f"/api/v3/repos/ada/r0/collaborators/{LOGIN}", **body)  # type: ignore[arg-type]
        assert answer.status_code in {201, 204}, answer.text
        if answer.status_code == 201:
            with self.here.client(self.bob) as client:
                accepted = client.patch(f"/api/v3/user/repository_invitations/{answer.json()['id']}")
            assert accepted.status_code == 204, accepted.text


@pytest.fixture(scope="module", params=[pytest.param("without-redis", marks=pytest.mark.nightly), "redis-died"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgresql_server: PostgresqlServer
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("revocation")
    settings = {
        "CAIRN_DATABASE_URL": postgresql_server.url(postgresql_server.create_database()),
        "CAIRN_STORAGE_URL": f"file://{folder / 'bucket'}",
        "CAIRN_SECRET_KEY": "s" * 32,
    }
    with ExitStack() as stack:
        if request.param == "redis-died":
            lent = started(redis_server)
            redis = next(lent)
            stack.callback(lambda: next(lent, None))
            settings["CAIRN_REDIS_URL"] = redis.url
        here = stack.enter_context(installation(folder / "a", settings, program="web"))
        there = stack.enter_context(installation(folder / "b", settings, may_be_degraded=True))
        ada = found(here, 0)
        with here.client(ada) as client:
            made = client.post("/api/v3/user/repos", json={"name": "r0", "private": True})
            assert made.status_code == 201, made.text
        browser, bob = join(there, LOGIN)
        stack.callback(browser.close)
        public, ssh_command = ssh_key(folder)
        with there.client(bob) as client:
            key = client.post("/api/v3/user/keys", json={"title": "laptop", "key": public})
            assert key.status_code == 201, key.text
        if request.param == "redis-died":
            redis.process.kill()
        yield World(here, there, ada, bob, browser, ssh_command, key.json()["id"])


def test_1_a_role_that_is_taken_away_ends_at_the_other_node(world: World) -> None:
    url = world.there.ssh_url("ada/r0")
    world.share("PUT")
    assert (world.api(), world.page()) == (200, 200)
    git("ls-remote", world.git())
    git("ls-remote", url, ssh_command=world.ssh_command)
    world.share("DELETE")
    assert (world.api(), world.page()) == (404, 404)
    assert "not found" in fails("ls-remote", world.git())
    assert "not found" in fails("ls-remote", url, ssh_command=world.ssh_command).lower()


def test_2_a_key_that_is_deleted_opens_nothing_at_the_other_node(world: World) -> None:
    world.share("PUT")
    url = world.there.ssh_url("ada/r0")
    git("ls-remote", url, ssh_command=world.ssh_command)
    with world.here.client(world.bob) as client:
        assert client.delete(f"/api/v3/user/keys/{world.key_id}").status_code == 204
    assert "Permission denied" in fails("ls-remote", url, ssh_command=world.ssh_command)


def test_3_a_session_that_is_ended_elsewhere_is_signed_out(world: World) -> None:
    with world.here.client() as elsewhere:
        browser = Browser(elsewhere)
        browser.open("/login")
        browser.submit(name=LOGIN, password="correct horse battery")
        assert world.browser.get("/settings/sessions").status_code == 200
        browser.open("/settings/sessions")
        browser.post(browser.form("/revoke-others"))
    ended = world.browser.get("/settings/sessions")
    assert ended.status_code in {302, 303}, ended.status_code
    assert "/login" in ended.headers["location"]


def test_4_a_token_that_is_revoked_opens_nothing_at_the_other_node(world: World) -> None:
    git("ls-remote", world.git())
    assert world.api() == 200
    with world.here.client() as client:
        browser = Browser(client)
        browser.open("/login")
        browser.submit(name=LOGIN, password="correct horse battery")
        page = browser.open("/settings/tokens")
        forms = [form for form in forms_of(page.text) if form.action.endswith("/settings/tokens/revoke")]
        assert len(forms) == 1, re.findall("<form[^>]*>", page.text)
        browser.post(forms[0])
    assert world.api() == 401
    assert "401" in (told := fails("ls-remote", world.git())) or "Authentication failed" in told
