"""What new repositories begin with, over REST."""

from tests.factories.forge import Forge


async def test_choices_and_generate(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    api = forge.api(ada)
    assert "Python" in (await forge.api().get("/gitignore/templates")).json()
    assert "__pycache__/" in (await forge.api().get("/gitignore/templates/python")).json()["source"]
    assert (await forge.api().get("/gitignore/templates/Nothing")).status_code == 404
    assert "mit" in [one["key"] for one in (await forge.api().get("/licenses")).json()]
    assert "[fullname]" in (await forge.api().get("/licenses/MIT")).json()["body"]
    assert (await forge.api().get("/licenses/nothing")).status_code == 404
    wrong = await api.call("POST", "/user/repos", json={"name": "x", "license_template": "nothing"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "license_template")
    assert (await api.get("/repos/ada/x")).status_code == 404
    body = {"name": "mould", "auto_init": True, "gitignore_template": "Go", "license_template": "mit"}
    assert (await api.call("POST", "/user/repos", json=body | {"is_template": True})).json()["is_template"] is True
    shown = (await api.get("/repos/ada/mould/license")).json()
    assert (shown["name"], shown["path"]) == ("LICENSE", "LICENSE")
    made = await forge.api(ben).call("POST", "/repos/ada/mould/generate", json={"name": "mine", "private": True})
    assert made.status_code == 201
    assert (made.json()["full_name"], made.json()["private"]) == ("ben/mine", True)
    assert made.json()["template_repository"]["full_name"] == "ada/mould"
    assert (await forge.api().call("POST", "/repos/ada/mould/generate", json={"name": "x"})).status_code == 401
    off = await api.call("PATCH", "/repos/ada/mould", json={"is_template": False})
    assert off.json()["is_template"] is False
    again = await forge.api(ben).call("POST", "/repos/ada/mould/generate", json={"name": "more"})
    assert again.status_code == 422
