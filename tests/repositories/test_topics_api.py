"""Topics over REST: GitHub's shape, rules and rights; the settings page does the same."""

import pytest
from tests.factories.forge import Forge

from cairn.access.roles import Role, Visibility


async def test_topics_are_read_and_replaced(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    api = forge.api(ada)
    assert (await api.get("/repos/ada/engine/topics")).json() == {"names": []}
    answer = await api.call("PUT", "/repos/ada/engine/topics", json={"names": ["Git", "forge"]})
    assert (answer.status_code, answer.json()) == (200, {"names": ["git", "forge"]})
    assert (await forge.api().get("/repos/ada/engine/topics")).json() == {"names": ["git", "forge"]}
    assert (await forge.api().get("/repos/ada/engine")).json()["topics"] == ["git", "forge"]
    answer = await api.call("PUT", "/repos/ada/engine/topics", json={"names": []})
    assert answer.json() == {"names": []}


@pytest.mark.parametrize("body", [{"names": ["a b"]}, {"names": ["x" * 51]}, {"names": "git"}, {}, {"names": [1]}])
async def test_what_is_no_list_of_topics_is_refused(forge: Forge, body: dict[str, object]) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    answer = await forge.api(ada).call("PUT", "/repos/ada/engine/topics", json=body)
    assert answer.status_code == 422


async def test_only_who_maintains_it_replaces_them(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    made = await forge.repository(ada, "secret", visibility=Visibility.PRIVATE)
    wanted = {"names": ["git"]}
    assert (await forge.api(ben).call("PUT", "/repos/ada/secret/topics", json=wanted)).status_code == 404
    assert (await forge.api(ben).get("/repos/ada/secret/languages")).status_code == 404
    await forge.grant(made, ben, Role.WRITE)
    assert (await forge.api(ben).call("PUT", "/repos/ada/secret/topics", json=wanted)).status_code == 403
    assert (await forge.api(ben).get("/repos/ada/secret/topics")).json() == {"names": []}


async def test_topics_are_edited_on_the_settings_page(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine", files={"a": b"1"})
    browser = forge.browser(ada)
    fields = {"description": "d", "default_branch": "main", "topics": "git, forge  Self-hosted"}
    assert (await browser.submit("/ada/engine/settings", fields)).status_code == 303
    assert 'value="git forge self-hosted"' in (await browser.get("/ada/engine/settings")).text
    assert 'href="/search?q=topic:self-hosted"' in (await browser.get("/ada/engine")).text
    answer = await browser.submit("/ada/engine/settings", fields | {"topics": "not_one", "description": "new"})
    assert answer.status_code == 422
    assert "is no topic" in answer.text
    assert (await forge.api().get("/repos/ada/engine")).json()["description"] == "d"
