"""Pictures come into a wiki by a plain form, and what it answers shows them on any page."""

import html
import re
from typing import Any

import pytest
from tests.factories.forge import Forge, Person
from tests.factories.pictures import picture
from tests.web.support import csrf_token_of

from cairn.access.roles import Role

WIKI = "/ada/engine/wiki"
TWO = [("files", ("One.png", picture(4, 3))), ("files", ("two [2].png", picture(4, 3, "red")))]


async def upload(forge: Forge, person: Person | None, files: Any, token: str = "") -> Any:
    """Send the form as a browser does."""
    browser = forge.browser(person)
    found = re.search(r'name="csrf_token" value="([^"]+)"', (await browser.get("/ada/engine")).text)
    token = token or (found[1] if found else "")
    return await browser.client.post(f"{WIKI}/_upload", data={"csrf_token": token}, files=files)


async def test_what_is_uploaded_is_shown_by_what_the_page_says(forge: Forge) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    assert "Upload pictures" in (await forge.browser(ada).get(f"{WIKI}/_upload")).text
    answer = await upload(forge, ada, TWO)
    assert answer.status_code == 200, answer.text
    texts = [html.unescape(one) for one in re.findall(r'readonly value="(!\[[^"]+)"', answer.text)]
    assert [text.partition("(")[0] for text in texts] == ["![One]", "![two 2]"]
    browser = forge.browser(ada)
    form = {"title": "Guides/Deep", "text": "\n\n".join(texts), "format": "md"}
    token = csrf_token_of((await browser.get(f"{WIKI}/_new")).text)
    assert (await browser.post(f"{WIKI}/_new", form | {"csrf_token": token})).status_code == 303
    page = (await forge.browser().get(f"{WIKI}/Guides/Deep")).text
    sources = re.findall(r'<img[^>]* src="(/ada/engine/wiki/[^"]+)"', page)
    assert [(await forge.browser().get(source)).content for source in sources] == [picture(4, 3), picture(4, 3, "red")]
    assert f'href="{WIKI}/_upload"' in (await browser.get(f"{WIKI}/_new")).text


@pytest.mark.parametrize(("files", "said"), [([], "at least one"), ([("files", ("a.txt", b"words"))], "no picture")])
async def test_what_is_refused_is_told_at_the_field(forge: Forge, files: Any, said: str) -> None:
    ada = await forge.person("ada")
    await forge.repository(ada, "engine")
    answer = await upload(forge, ada, files or {"files": ("", b"")})
    assert (answer.status_code, said in answer.text) == (422, True)


async def test_who_may_upload(forge: Forge) -> None:
    ada, ben, wim = [await forge.person(name) for name in ("ada", "ben", "wim")]
    repository = await forge.repository(ada, "engine")
    await forge.grant(repository, wim, Role.WRITE)
    assert (await upload(forge, ben, TWO)).status_code == 403
    assert (await forge.browser(ben).get(f"{WIKI}/_upload")).status_code == 403
    assert (await upload(forge, None, TWO)).status_code == 401
    assert (await forge.browser().get(f"{WIKI}/_upload")).status_code == 303
    stale = await upload(forge, wim, TWO, token=csrf_token_of((await forge.browser(ada).get(f"{WIKI}/_upload")).text))
    assert (stale.status_code, "Choose the pictures again" in stale.text) == (403, True)
    assert "no pages yet" in (await forge.browser().get(WIKI)).text
    assert (await upload(forge, wim, TWO)).status_code == 200
