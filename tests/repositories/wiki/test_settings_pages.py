"""The settings page of a wiki."""

from tests.factories.forge import Forge
from tests.repositories.wiki.support import reload

from cairn.access.roles import Role

PAGE = "/ada/engine/settings/wiki"


async def test_maintainers_switch_the_wiki_off_and_on_and_open_it_and_nobody_else_does(forge: Forge) -> None:
    ada, writer = await forge.person("ada"), await forge.person("writer")
    repository = await forge.repository(ada, "engine")
    await forge.grant(repository, writer, Role.WRITE)
    assert (await forge.browser(writer).get(PAGE)).status_code == 403
    for wanted in ({"is_wiki_open": "true"}, {"has_wiki": "true", "is_wiki_open": "true"}, {"has_wiki": "true"}):
        browser = forge.browser(ada)
        shown = await browser.get(PAGE)
        assert shown.status_code == 200
        answer = await browser.submit(PAGE, dict(wanted))
        assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
        now = await reload(forge, ada, repository)
        assert (now.has_wiki, now.is_wiki_open) == ("has_wiki" in wanted, "is_wiki_open" in wanted)
        status = (await forge.browser(ada).get("/ada/engine/wiki")).status_code
        assert status == (200 if "has_wiki" in wanted else 404)
