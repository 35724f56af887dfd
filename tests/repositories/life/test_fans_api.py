"""Stars and watching over REST, in GitHub's shape."""

from tests.factories.forge import Forge

from cairn.access.roles import Visibility

STAR = "application/vnd.github.star+json"


async def test_stars(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    await forge.repository(ada, "engine")
    await forge.repository(ada, "hidden", visibility=Visibility.PRIVATE)
    api = forge.api(ben)
    place = "/user/starred/ada/engine"
    assert (await api.get(place)).status_code == 404
    assert (await api.call("PUT", place)).status_code == 204
    assert (await api.get(place)).status_code == 204
    assert (await api.call("PUT", "/user/starred/ada/hidden")).status_code == 404
    assert (await forge.api().call("PUT", place)).status_code == 401
    for address in ("/user/starred", "/users/ben/starred"):
        [one] = (await api.get(address)).json()
        assert (one["full_name"], one["stargazers_count"]) == ("ada/engine", 1)
    [dated] = (await forge.api(ben, accept=STAR).get("/user/starred")).json()
    assert (set(dated), dated["repo"]["name"]) == ({"starred_at", "repo"}, "engine")
    [person] = (await api.get("/repos/ada/engine/stargazers")).json()
    assert person["login"] == "ben"
    [dated] = (await forge.api(ben, accept=STAR).get("/repos/ada/engine/stargazers")).json()
    assert dated["user"]["login"] == "ben"
    assert (await api.call("DELETE", place)).status_code == 204
    assert (await api.get("/user/starred")).json() == []


async def test_subscriptions(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    api, place = forge.api(ada), "/repos/ada/engine/subscription"
    assert (await api.get(place)).status_code == 404
    watched = (await api.call("PUT", place, json={"subscribed": True})).json()
    assert (watched["subscribed"], watched["ignored"]) == (True, False)
    assert [one["login"] for one in (await api.get("/repos/ada/engine/subscribers")).json()] == ["ada"]
    assert [one["name"] for one in (await api.get("/user/subscriptions")).json()] == ["engine"]
    assert [one["name"] for one in (await forge.api().get("/users/ada/subscriptions")).json()] == ["engine"]
    assert (await api.call("PUT", place, json={"ignored": True})).json()["ignored"] is True
    assert (await api.get("/repos/ada/engine")).json()["subscribers_count"] == 0
    assert (await api.call("DELETE", place)).status_code == 204
    assert (await api.get(place)).status_code == 404
