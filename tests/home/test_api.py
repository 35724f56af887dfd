"""The API's root, as clients look at it first."""

from tests.factories.forge import Forge
from tests.web.support import ORIGIN


async def test_the_root_is_githubs_map(forge: Forge) -> None:
    for path in ("", "/"):
        answer = await forge.api().get(path)
        assert answer.status_code == 200
        # Jenkins takes a server without this for none; Renovate reads the version from a HEAD.
        assert answer.json()["rate_limit_url"] == f"{ORIGIN}/api/v3/rate_limit"
        assert (await forge.api().call("HEAD", path)).headers["x-github-enterprise-version"] == "3.19.0"
    assert all(url.startswith(ORIGIN) for url in answer.json().values())


async def test_what_this_server_is_can_be_asked_by_anybody(forge: Forge) -> None:
    body = (await forge.api().get("/meta")).json()
    assert body == {"verifiable_password_authentication": False, "installed_version": "3.19.0"}


async def test_asking_for_the_budget_costs_nothing(forge: Forge) -> None:
    ada = await forge.person("ada")
    client = forge.api(ada)
    before = (await client.get("/rate_limit")).json()
    assert before == (await client.get("/rate_limit")).json() | {"rate": before["rate"]}
    assert set(before["resources"]) >= {"core", "search", "graphql"}
    await client.get("/user/repos")
    after = (await client.get("/rate_limit")).json()
    assert after["rate"]["remaining"] == before["rate"]["remaining"] - 1
    assert after["resources"]["core"] == after["rate"]
