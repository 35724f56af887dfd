"""The page of a fork that is being made looks again by itself, and becomes the repository's once it is done."""

from tests.browser.conftest import Site, Visitor
from tests.factories.work import do_what_is_due


async def test_the_page_becomes_the_repositorys(visitor: Visitor, site: Site) -> None:
    page = visitor.page
    await visitor.join("ada")
    await visitor.create("engine", readme="yes")
    await visitor.context.clear_cookies()
    await visitor.join("ben")
    await visitor.open("/ada/engine/fork")
    await page.click("main form button[type=submit]")
    await page.wait_for_selector("text=Waiting for a worker")
    asked = await page.evaluate("performance.getEntriesByType('resource').length")
    await visitor.until(f"performance.getEntriesByType('resource').length > {asked}")
    assert await page.locator("[aria-current=step]").count() == 1
    await do_what_is_due(site.services.engine)
    await page.wait_for_selector("text=README.md")
    assert await page.locator("#forking").count() == 0
    assert visitor.complaints == []
