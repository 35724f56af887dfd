"""The page "Use this template", and the choices of a new repository."""

from tests.factories.forge import Forge


async def test_a_template_is_used_by_its_form(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    browser = forge.browser(ada)
    fields = {"name": "mould", "readme": "true", "gitignore": "Python", "license": "mit", "visibility": "public"}
    made = await browser.submit("/new", fields)
    assert made.headers["location"] == "/ada/mould"
    assert "not offered as a template" in (await browser.get("/ada/mould/generate")).text
    await browser.submit("/ada/mould/settings", {"is_template": "true", "default_branch": "main"})
    page = await forge.browser(ben).get("/ada/mould")
    assert "Use this template" in page.text
    other = forge.browser(ben)
    wrong = await other.submit("/ada/mould/generate", {"name": "a b", "owner": "ben", "visibility": "public"})
    assert wrong.status_code == 422
    assert "is not allowed" in wrong.text
    done = await other.submit("/ada/mould/generate", {"name": "mine", "owner": "ben", "visibility": "private"})
    assert (done.status_code, done.headers["location"]) == (303, "/ben/mine")
    assert ".gitignore" in (await other.get("/ben/mine")).text
