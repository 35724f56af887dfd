"""A repository's licence is found at the root of its default branch after a push, and shown."""

from tests.factories.forge import Forge

from cairn.repositories.languages.jobs import count_languages
from cairn.repositories.life.licence_of import licence_name
from cairn.repositories.life.licences import find_licence


def test_the_shortest_name_holds_the_licence() -> None:
    assert licence_name([b"COPYING.txt", b"LICENSE.md", b"LICENSE"]) == b"LICENSE"
    assert licence_name([b"README"]) is None


async def test_a_licence_is_kept_after_a_push(forge: Forge) -> None:
    ada = await forge.person("ada")
    licence = find_licence("isc")
    assert licence is not None
    text = licence.text_for("Ada", 2024).encode()
    made = await forge.repository(ada, "engine", files={"LICENSE": text})
    await count_languages(forge.database, forge.engine, made.id)
    api = forge.api(ada)
    assert (await api.get("/repos/ada/engine")).json()["license"]["spdx_id"] == "ISC"
    browser = forge.browser(ada)
    home = (await browser.get("/ada/engine")).text
    assert '<a href="/ada/engine/blob/main/LICENSE">ISC License</a>' in home
    await forge.commit(ada, made, {"LICENSE": b"Mine."}, "Other")
    await count_languages(forge.database, forge.engine, made.id)
    found = (await api.get("/repos/ada/engine")).json()["license"]
    assert (found["key"], found["spdx_id"], found["url"]) == ("other", "NOASSERTION", None)
    assert (await api.get("/repos/ada/engine/license")).json()["license"]["key"] == "other"
    assert '<a href="/ada/engine/blob/main/LICENSE">Other licence</a>' in (await browser.get("/ada/engine")).text
    await forge.commit(ada, made, {"LICENSE": None, "a": b"1"}, "None")
    await count_languages(forge.database, forge.engine, made.id)
    assert (await api.get("/repos/ada/engine")).json()["license"] is None
    assert "about-licence" not in (await browser.get("/ada/engine")).text
    assert (await api.get("/repos/ada/engine/license")).status_code == 404
