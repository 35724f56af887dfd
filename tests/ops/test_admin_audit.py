"""Administrators read the whole log, filtered and paged; nobody else sees that it is there."""

import html
import json
import re

import pytest
from sqlalchemy import select
from tests.factories.forge import Forge
from tests.ops.admin_support import administrator, site

from cairn.audit.models import AuditEntry
from cairn.audit.record import record
from cairn.base.origin import Origin
from cairn.ops.admin_frame import PER_PAGE

__all__ = ["site"]

NO_VISITORS = ["/admin/audit", "/admin/audit.jsonl"]


@pytest.mark.parametrize("path", NO_VISITORS)
async def test_only_an_administrator_sees_it(site: Forge, path: str) -> None:
    ada = await site.person("ada")
    assert (await site.browser(ada).get(path)).status_code == 404
    assert (await site.browser().get(path)).status_code in {303, 404}
    assert (await site.browser(await administrator(site)).get(path)).status_code == 200


async def _write(site: Forge, count: int) -> None:
    ada = await site.person("ada")
    async with site.database.write() as session:
        for number in range(count):
            record(
                session, ada.actor, "test.change" if number % 2 else "test.other", f"thing-{number:04}",
                account_id=ada.account.id, details={"note": f"<b>Ünit {number}</b>"},
                changes={"name": (f"old-{number}", f"new-{number}")},
                origin=Origin("192.0.2.7" if number < 5 else "192.0.2.8", f"{number:032x}", "git/2.39.5"),
            )  # fmt: skip
            await session.flush()


async def test_an_entry_tells_who_what_from_where_before_and_after(site: Forge) -> None:
    await _write(site, 1)
    page = (await site.browser(await administrator(site)).get("/admin/audit")).text
    for told in ("ada", "test.other", "thing-0000", "192.0.2.7", "git/2.39.5", "0" * 32, "old-0 → new-0"):
        assert told in page
    assert "&lt;b&gt;Ünit 0&lt;/b&gt;" in page
    assert "Not sealed yet" in page


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("actor=ADA", 7),
        ("actor=bob", 0),
        ("action=test.change", 3),
        ("action=test.", 7),
        ("action=tes", 0),
        ("address=192.0.2.7", 5),
        ("text=THING-0003", 1),
        ("text=new-2", 1),
        ("text=%25", 0),
        ("text=%C3%9Cnit", 7),
        ("since=2020-01-01&until=2030-01-01", 7),
        ("until=2020-01-01", 0),
        ("actor=ada&action=test.change&address=192.0.2.8", 1),
    ],
)
async def test_filters_narrow_page_and_export_alike(site: Forge, query: str, found: int) -> None:
    await _write(site, 7)
    browser = site.browser(await administrator(site))
    assert (await browser.get(f"/admin/audit?{query}")).text.count("thing-") == found
    answer = await browser.get(f"/admin/audit.jsonl?{query}")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert len([line for line in lines if line["target"].startswith("thing-")]) == found
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert "audit.jsonl" in answer.headers["content-disposition"]


@pytest.mark.parametrize("query", ["since=yesterday", "until=2026-99-01", "repository=ada/none", "repository=x"])
async def test_what_cannot_be_understood_is_said_not_ignored(site: Forge, query: str) -> None:
    browser = site.browser(await administrator(site))
    answer = await browser.get(f"/admin/audit?{query}")
    assert answer.status_code == 422
    assert "Please correct the marked fields." in answer.text
    assert (await browser.get(f"/admin/audit.jsonl?{query}")).status_code == 422


async def test_a_repository_is_filtered_by_its_name(site: Forge) -> None:
    ada = await site.person("ada")
    await site.repository(ada, "engine")
    await site.repository(ada, "other")
    browser = site.browser(await administrator(site))
    page = (await browser.get("/admin/audit?repository=ada/engine")).text
    assert "ada/engine" in page
    assert "ada/other" not in page


async def test_pages_go_back_and_forth_without_gaps(site: Forge) -> None:
    count = 2 * PER_PAGE + 7
    await _write(site, count)
    browser = site.browser(await administrator(site))
    async with site.database.read() as session:
        ids = list(await session.scalars(select(AuditEntry.id).where(AuditEntry.action.startswith("test."))))
    seen: list[str] = []
    path = "/admin/audit?action=test."
    while path:
        page = (await browser.get(path)).text
        seen += [f"thing-{part[:4]}" for part in page.split("thing-")[1:]]
        path = _link(page, "next")
    assert seen == [f"thing-{number:04}" for number in reversed(range(count))]
    back = (await browser.get(f"/admin/audit?action=test.&after={ids[6]}")).text
    assert back.count("thing-") == PER_PAGE
    assert _link(back, "prev")
    assert _link((await browser.get(f"/admin/audit?action=test.&after={ids[count - 5]}")).text, "prev") == ""


def _link(page: str, rel: str) -> str:
    found = re.search(rf'rel="{rel}" href="([^"]+)"', page)
    return html.unescape(found[1]) if found else ""


async def test_the_export_has_every_entry_whatever_their_number(site: Forge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cairn.audit.queries.EXPORTED_AT_ONCE", 3)
    await _write(site, 10)
    answer = await site.browser(await administrator(site)).get("/admin/audit.jsonl?action=test.")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["target"] for line in lines] == [f"thing-{number:04}" for number in reversed(range(10))]
    last = lines[-1]
    assert (last["actor"], last["action"], last["actor_ip"], last["user_agent"]) == (
        "ada", "test.other", "192.0.2.7", "git/2.39.5",
    )  # fmt: skip
    assert last["changes"] == {"name": {"before": "old-0", "after": "new-0"}}
    assert last["data"] == {"note": "<b>Ünit 0</b>"}
