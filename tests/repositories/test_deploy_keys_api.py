"""Deploy keys over REST, in GitHub's shape."""

import asyncssh
import pytest
from tests.factories.forge import Forge, Person

from cairn.access.roles import Role, Visibility

KEYS = "/repos/ada/engine/keys"


def public_key() -> str:
    return asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().strip()


@pytest.fixture
async def ada(forge: Forge) -> Person:
    """Ada with a private repository."""
    person = await forge.person("ada")
    await forge.repository(person, "engine", visibility=Visibility.PRIVATE)
    return person


async def test_a_key_is_added_read_listed_and_deleted(forge: Forge, ada: Person) -> None:
    client, text = forge.api(ada), public_key()
    added = await client.call("POST", KEYS, json={"title": "deploy", "key": text, "read_only": False})
    assert added.status_code == 201
    key = added.json()
    assert (key["title"], key["key"], key["read_only"], key["added_by"]) == ("deploy", text, False, "ada")
    assert (key["verified"], key["enabled"], key["last_used"]) == (True, True, None)
    assert (await client.get(key["url"])).json() == key
    reading = (await client.call("POST", KEYS, json={"key": public_key()})).json()
    assert (reading["read_only"], reading["title"]) == (True, "ssh-ed25519")
    assert (await client.get(KEYS)).json() == [key, reading]
    second = await client.get(f"{KEYS}?per_page=1&page=2")
    assert second.json() == [reading]
    assert 'rel="prev"' in second.headers["link"]
    assert (await client.call("DELETE", f"{KEYS}/{key['id']}")).status_code == 204
    assert (await client.get(f"{KEYS}/{key['id']}")).status_code == 404
    assert (await client.get(KEYS)).json() == [reading]


async def test_what_is_no_key_or_in_use_is_refused_with_the_reason(forge: Forge, ada: Person) -> None:
    client, text = forge.api(ada), public_key()
    assert (await client.call("POST", KEYS, json={"key": text})).status_code == 201
    await forge.repository(ada, "other")
    for path in (KEYS, "/repos/ada/other/keys"):
        again = await client.call("POST", path, json={"title": "again", "key": text})
        assert again.status_code == 422
        assert again.json()["errors"][0]["field"] == "key"
        assert "already in use" in again.json()["errors"][0]["message"]
    for wrong in ("ssh-dss AAAA", "nonsense", ""):
        assert (await client.call("POST", KEYS, json={"key": wrong})).status_code == 422


async def test_only_administrators_of_the_repository_see_and_change_keys(forge: Forge, ada: Person) -> None:
    made = (await forge.api(ada).call("POST", KEYS, json={"key": public_key()})).json()
    engine = await forge.repository(ada, "beside")
    beside = (await forge.api(ada).call("POST", "/repos/ada/beside/keys", json={"key": public_key()})).json()
    grace = await forge.person("grace")
    await forge.grant(engine, grace, Role.MAINTAIN)
    for method, path, body in (
        ("GET", "", None),
        ("GET", "/{id}", None),
        ("POST", "", {"key": public_key()}),
        ("DELETE", "/{id}", None),
    ):
        for caller, name, wanted in ((grace, "engine", 404), (grace, "beside", 403), (None, "beside", 401)):
            number = made["id"] if name == "engine" else beside["id"]
            answer = await forge.api(caller).call(
                method, f"/repos/ada/{name}/keys{path.format(id=number)}", **({"json": body} if body else {})
            )
            assert answer.status_code == wanted, (method, path, name)
    # The key of one repository is not found below another.
    assert (await forge.api(ada).get(f"/repos/ada/beside/keys/{made['id']}")).status_code == 404
    assert (await forge.api(ada).call("DELETE", f"/repos/ada/beside/keys/{made['id']}")).status_code == 404
