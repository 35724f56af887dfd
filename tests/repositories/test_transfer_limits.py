"""Offering and taking back in turns fills nobody's mailbox; moving into one's organizations is not counted."""

import pytest
from tests.factories.company import Company, company

from cairn.repositories import transfer_limits
from cairn.web.counters import Rule

__all__ = ["company"]


async def test_offers_to_one_person_are_counted(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_limits, "PER_PAIR", Rule("transfers-pair", 2, 86_400))
    max_ = company.api("max")
    for name in ("one", "two", "three", "four"):
        assert (await max_.call("POST", "/user/repos", json={"name": name})).status_code == 201

    async def offer(name: str, to: str) -> int:
        return (await max_.call("POST", f"/repos/max/{name}/transfer", json={"new_owner": to})).status_code

    assert [await offer(name, "sam") for name in ("one", "two", "three")] == [202, 202, 429]
    assert len(await company.mails("sam@example.test")) == 2
    assert await offer("three", "mia") == 202
    assert await offer("four", "acme") == 202, "nobody is asked"
    browser = company.forge.browser(company.forge.people["max"])
    fields = {"new_owner": "sam", "full_name": "max/new"}
    assert (await max_.call("POST", "/user/repos", json={"name": "new"})).status_code == 201
    assert (await browser.submit("/max/new/settings/transfer", fields)).status_code == 429


async def test_who_may_not_offer_uses_up_nobodys_share(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer_limits, "PER_RECEIVER", Rule("transfers-receiver", 1, 86_400))
    assert (await company.api("max").call("POST", "/user/repos", json={"name": "one"})).status_code == 201
    for _ in range(3):
        refused = await company.api("mia").call("POST", "/repos/max/one/transfer", json={"new_owner": "sam"})
        assert refused.status_code == 403
    taken = await company.api("max").call("POST", "/repos/max/one/transfer", json={"new_owner": "sam"})
    assert taken.status_code == 202
