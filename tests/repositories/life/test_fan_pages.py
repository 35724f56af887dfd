"""The buttons that star and watch, as forms; who does, as pages."""

from tests.factories.forge import Forge


async def test_star_and_watch_by_forms(forge: Forge) -> None:
    ada, ben = await forge.person("ada"), await forge.person("ben")
    await forge.repository(ada, "engine", files={"a": b"1"})
    browser = forge.browser(ben)
    assert 'value="true"' in (await browser.get("/ada/engine")).text
    done = await browser.submit(
        "/ada/engine/star", {"starred": "true", "next": "/ada/engine/commits"}, page="/ada/engine"
    )
    assert (done.status_code, done.headers["location"]) == (303, "/ada/engine/commits")
    page = (await browser.get("/ada/engine")).text
    assert "Starred" in page
    assert 'aria-label="1 star"' in page
    assert 'href="/ben"' in (await forge.browser().get("/ada/engine/stargazers")).text
    assert "ada/</span>" in (await forge.browser().get("/ben?tab=stars")).text.replace("ada</span>", "ada/</span>")
    away = await browser.submit("/ada/engine/star", {"starred": "false", "next": "//evil.example"}, page="/ada/engine")
    assert away.headers["location"] == "/ada/engine"
    assert 'aria-label="0 stars"' in (await browser.get("/ada/engine")).text
    wrong = await browser.submit("/ada/engine/watch", {"level": "custom"}, page="/ada/engine/watch")
    assert wrong.status_code == 422
    assert "Choose at least one subject" in wrong.text
    await browser.submit("/ada/engine/watch", {"level": "custom", "subjects": "releases"}, page="/ada/engine/watch")
    assert 'href="/ben"' in (await browser.get("/ada/engine/watchers")).text
    assert (await forge.browser().get("/ada/engine/watch")).status_code == 200
