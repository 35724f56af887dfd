"""Site administrators see what was deleted anywhere, and restore it to whom they name."""

from tests.factories.forge import Forge
from tests.ops.admin_support import administrator, site

from cairn.repositories.delete import delete_repository

__all__ = ["site"]


async def test_an_administrator_restores_to_another_account(site: Forge) -> None:
    ada, root = await site.person("ada"), await administrator(site)
    made = await site.repository(ada, "engine", files={"a": b"1"})
    async with site.database.write() as session:
        await delete_repository(session, site.engine, ada.actor, made.id)
    assert (await site.browser(ada).get("/admin/deleted")).status_code == 404
    browser = site.browser(root)
    assert "ada/engine" in (await browser.get("/admin/deleted")).text
    fields = {"repository": str(made.id), "name": "engine", "owner": "nobody"}
    wrong = await browser.submit("/admin/deleted/restore", fields, page="/admin/deleted")
    assert wrong.status_code == 422
    assert "There is no account &#39;nobody&#39;." in wrong.text
    done = await browser.submit("/admin/deleted/restore", fields | {"owner": "root"}, page="/admin/deleted")
    assert (done.status_code, done.headers["location"]) == (303, "/root/engine")


async def test_nobody_else_restores_or_erases_there_not_even_what_is_theirs(site: Forge) -> None:
    ada = await site.person("ada")
    await administrator(site)
    made = await site.repository(ada, "engine", files={"a": b"1"})
    async with site.database.write() as session:
        await delete_repository(session, site.engine, ada.actor, made.id)
    browser = site.browser(ada)
    for deed in ("restore", "erase"):
        fields = {"repository": str(made.id), "name": "ada/engine"}
        answer = await browser.submit(f"/admin/deleted/{deed}", fields, page="/settings/deleted")
        assert (deed, answer.status_code) == (deed, 404)
    assert "ada/engine" in (await browser.get("/settings/deleted")).text
