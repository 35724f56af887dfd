"""A page of the log knows its neighbours, and what of it is sealed."""

from sqlalchemy import select
from tests.audit.log_support import seal, write
from tests.factories.forge import Forge
from tests.ops.admin_support import administrator, site

from cairn.audit.models import AuditEntry
from cairn.ops.admin_frame import PER_PAGE

__all__ = ["site"]


async def test_what_is_sealed_says_so_and_the_end_of_the_chain_is_shown(site: Forge) -> None:
    browser = site.browser(await administrator(site))
    await write(site.database, 1, prefix="sealed")
    await seal(site.database)
    await write(site.database, 1, prefix="open")
    page = (await browser.get("/admin/audit")).text
    assert page.count("Not sealed yet") == 1
    assert "the chain ends with seal 1" in page


async def test_the_first_page_has_no_newer_and_the_last_no_older(site: Forge) -> None:
    browser = site.browser(await administrator(site))
    await write(site.database, PER_PAGE + 1)
    first = (await browser.get("/admin/audit")).text
    assert 'rel="next"' in first
    assert 'rel="prev"' not in first
    async with site.database.read() as session:
        ids = (await session.scalars(select(AuditEntry.id).order_by(AuditEntry.id))).all()
    last = (await browser.get(f"/admin/audit?before={ids[1]}")).text
    assert last.count("thing-") == 1
    assert 'rel="prev"' in last
    assert 'rel="next"' not in last


async def test_a_filter_that_finds_nothing_says_so(site: Forge) -> None:
    page = (await site.browser(await administrator(site)).get("/admin/audit?text=nothing-like-it")).text
    assert "No decision fits what you asked for." in page
