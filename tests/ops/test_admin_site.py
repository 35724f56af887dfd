"""Registration and announcements by their pages, and what everybody else then meets."""

from tests.factories.forge import Forge
from tests.ops.admin_support import administrator, site

from cairn.identity.registration import read_registration
from cairn.ops.announcements import list_announcements, renew

__all__ = ["site"]


async def _renew(site: Forge) -> None:
    await renew(site.database, site.running.settings, site.running.app.site.state)


async def test_registration_is_changed_by_the_form(site: Forge) -> None:
    browser = site.browser(await administrator(site))
    fields = {"mode": "invite", "domains": "x.test, y.test\nz.test"}
    assert (await browser.submit("/admin/registration", fields)).status_code == 303
    async with site.database.read() as session:
        policy = await read_registration(session, site.running.settings)
    assert (policy.mode, policy.domains) == ("invite", ("x.test", "y.test", "z.test"))
    assert "z.test" in (await browser.get("/admin/registration")).text
    wrong = await browser.submit("/admin/registration", {"mode": "open", "domains": "not-a-domain"})
    assert wrong.status_code == 422
    assert "is no domain" in wrong.text
    assert (await browser.submit("/admin/registration", {"mode": "ajar"})).status_code == 422
    await _renew(site)
    assert "Create an account" not in (await site.browser().get("/")).text


async def test_an_announcement_stands_on_every_page_until_put_away_or_taken_down(site: Forge) -> None:
    browser, visitor = site.browser(await administrator(site)), site.browser()
    fields = {"text": "Back at <noon>.", "level": "warning", "is_dismissible": "true"}
    assert (await browser.submit("/admin/announcements", fields)).status_code == 303
    await _renew(site)
    for someone in (browser, visitor):
        assert "Back at &lt;noon&gt;." in (await someone.get("/")).text
    async with site.database.read() as session:
        [row] = await list_announcements(session)
    answer = await visitor.submit(f"/-/announcements/{row.id}/put-away", {"next": "/explore"}, page="/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/explore")
    assert "noon" not in (await visitor.get("/")).text
    assert "noon" in (await browser.get("/explore")).text
    page = "/admin/announcements"
    assert (await browser.submit(f"{page}/{row.id}/delete", {}, page=page)).status_code == 303
    await _renew(site)
    assert "noon" not in (await browser.get("/explore")).text
    assert (await browser.submit(f"{page}/{row.id}/delete", {}, page=page)).status_code == 404


async def test_a_wrong_announcement_is_told_at_its_field(site: Forge) -> None:
    browser = site.browser(await administrator(site))
    for fields, told in (
        ({"text": ""}, "Fill this in."),
        ({"text": "x", "ends_at": "2020-01-01"}, "over before it begins"),
        ({"text": "x", "starts_at": "soon"}, "is no date"),
        ({"text": "x", "level": "loud"}, "Choose one of the options."),
    ):
        answer = await browser.submit("/admin/announcements", fields)
        assert answer.status_code == 422, fields
        assert told in answer.text


async def test_putting_away_goes_nowhere_else(site: Forge) -> None:
    """Attack: the button's ``next`` sends people to another site."""
    answer = await site.browser().submit(
        "/-/announcements/1/put-away", {"next": "https://evil.test/"}, page="/-/appearance"
    )
    assert answer.headers["location"] == "/"
