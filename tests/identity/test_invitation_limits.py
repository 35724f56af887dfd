"""Whose share a mail uses; that nobody's mailbox fills is tested where the mails are sent."""

import pytest
from tests.factories.company import Company, company

from cairn.identity import invitation_limits
from cairn.web.counters import Rule

__all__ = ["company"]


@pytest.mark.parametrize(
    ("rule", "addresses", "last"),
    [
        ("PER_PAIR", ["A@example.test", "a@EXAMPLE.test", "b@example.test"], [201, 429, 201]),
        ("PER_INVITEE", ["A@example.test", "a@EXAMPLE.test", "b@example.test"], [201, 429, 201]),
        ("PER_ORGANIZATION", ["a@example.test", "b@example.test"], [201, 429]),
        ("PER_INVITER", ["a@example.test", "b@example.test"], [201, 429]),
    ],
)
async def test_each_share_stands_for_itself(
    company: Company, monkeypatch: pytest.MonkeyPatch, rule: str, addresses: list[str], last: list[int]
) -> None:
    monkeypatch.setattr(invitation_limits, rule, Rule(rule, 1, 86_400))
    olga = company.api("olga")
    found = []
    for email in addresses:
        answer = await olga.call("POST", "/orgs/acme/invitations", json={"email": email})
        found.append(answer.status_code)
        if answer.status_code == 201:
            await olga.call("DELETE", f"/orgs/acme/invitations/{answer.json()['id']}")
    assert found == last
