"""The operator's setting is the widest there is; administrators narrow it while the installation runs."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import delete, func, select
from tests.factories.accounts import actor_of, make_account
from tests.factories.authentication import PASSWORD
from tests.factories.organizations import make_organization
from tests.identity.web_support import People, open_people

from cairn.audit.models import AuditEntry
from cairn.base.actor import SYSTEM
from cairn.base.errors import Invalid, NotFound
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.identity.invitations import invite
from cairn.identity.models import Account, AccountEmail, OrganizationInvitation
from cairn.identity.registration import RegistrationClosed, RegistrationPolicy, choose_registration, read_registration

NEW = {"login": "grace", "email": "grace@example.test", "password": PASSWORD}
OPEN, CLOSED = Settings(), Settings(registration="closed")


async def _choose(database: Database, mode: str, *domains: str, settings: Settings = OPEN) -> None:
    async with database.write() as session:
        await choose_registration(session, SYSTEM, settings, mode=mode, domains=domains)


async def _read(database: Database, settings: Settings = OPEN) -> RegistrationPolicy:
    async with database.read() as session:
        return await read_registration(session, settings)


async def test_what_is_chosen_holds_and_is_audited(any_database: Database) -> None:
    assert (await _read(any_database)).mode == "open"
    await _choose(any_database, "invite", "X.test", "@x.test", " y.test ")
    policy = await _read(any_database)
    assert (policy.mode, policy.domains) == ("invite", ("x.test", "y.test"))
    await _choose(any_database, "open")
    assert (await _read(any_database)).mode == "open"
    async with any_database.read() as session:
        first, second = await session.scalars(select(AuditEntry).order_by(AuditEntry.id))
    assert first.changes == {"mode": ["open", "invite"], "domains": ["", "x.test, y.test"]}
    assert second.changes == {"mode": ["invite", "open"], "domains": ["x.test, y.test", ""]}


async def test_nothing_opens_what_the_operator_closed(database: Database) -> None:
    with pytest.raises(Invalid, match="CAIRN_REGISTRATION says closed"):
        await _choose(database, "open", settings=CLOSED)
    await _choose(database, "open")
    assert (await _read(database, CLOSED)).mode == "closed"


@pytest.mark.parametrize("domain", ["no domain", "x", "a@b", "x..test", "é"])
async def test_what_is_no_domain_is_refused(database: Database, domain: str) -> None:
    with pytest.raises(Invalid, match="is no domain"):
        await _choose(database, "open", domain)


async def test_only_administrators_choose(database: Database) -> None:
    async with database.write() as session:
        ada = actor_of(await make_account(session, "ada"))
        with pytest.raises(NotFound):
            await choose_registration(session, ada, OPEN, mode="closed", domains=[])


def test_who_may_sign_up() -> None:
    policy = RegistrationPolicy("open", ("x.test",), "open")
    policy.require(invitation="", email="a@X.test")
    with pytest.raises(Invalid, match=r"x\.test"):
        policy.require(invitation="", email="a@sub.x.test")
    invited = RegistrationPolicy("invite", ("x.test",), "invite")
    invited.require(invitation="secret", email="a@elsewhere.test")  # an administrator chose this person
    with pytest.raises(RegistrationClosed, match="invitation"):
        invited.require(invitation="", email="a@x.test")
    with pytest.raises(RegistrationClosed, match="closed"):
        RegistrationPolicy("closed", (), "closed").require(invitation="secret")


async def invite_address(people: People, email: str) -> str:
    """Have an organization invite an address, and return the path of the link in its mail."""
    async with people.database.write() as session:
        boss = await make_account(session, "boss")
        guild = await make_organization(session, "guild", owner=boss)
        await invite(session, people.outbox, actor_of(boss), guild.id, email)
    (mail,) = await people.mails(email)
    found = re.search(r"(/join\?\S+)", mail.text)
    assert found is not None
    return found[1]


async def test_the_mail_of_an_organization_makes_an_account_of_its_address(tmp_path: Path, database: Database) -> None:
    async with open_people(tmp_path, database, registration="invite") as people:
        link = await invite_address(people, "Grace@Example.test")
        browser = people.browser()
        form = (await browser.get(link)).text
        assert "guild invites you" in form
        assert 'value="Grace@Example.test"' in form
        secret = parse_qs(urlsplit(link).query)["invitation"][0]
        sent = NEW | {"invitation": secret, "next": "/orgs/guild/invitation"}
        # Attack: whoever sees the link makes an account of an address they choose.
        other = await people.browser().submit("/join", sent | {"email": "eve@example.test"}, page=link)
        assert (other.status_code, "for another address" in other.text) == (422, True)
        joined = await browser.submit("/join", sent, page=link)
        assert (joined.status_code, joined.headers["location"]) == (303, "/orgs/guild/invitation")
        async with database.read() as session:
            address = await session.scalar(select(AccountEmail).where(AccountEmail.email_key == NEW["email"]))
        assert address is not None
        assert address.verified_at is not None, "only who reads its mail has the link"
        assert len(await people.mails(NEW["email"])) == 0, "nothing is left to verify"
        assert "Join guild?" in (await browser.get("/orgs/guild/invitation")).text
        assert (await browser.submit("/orgs/guild/invitation", {"answer": "accept"})).status_code == 303
        again = await people.browser().submit("/join", sent | {"login": "late"}, page="/login")
        assert again.status_code == 404
        late = await people.browser().get(link)
        assert late.status_code == 404
        assert 'href="/login?next=/orgs/guild/invitation"' in late.text
        back = await browser.get(link)
        assert (back.status_code, back.headers["location"]) == (303, "/orgs/guild/invitation")


async def test_an_organization_opens_no_site_that_is_closed(tmp_path: Path, database: Database) -> None:
    """Everybody may found an organization; who may have an account is for administrators to say."""
    async with open_people(tmp_path, database, registration="closed") as people:
        link = await invite_address(people, NEW["email"])
        assert "an administrator makes the accounts" in (await people.browser().get(link)).text
        secret = parse_qs(urlsplit(link).query)["invitation"][0]
        answer = await people.browser().submit("/join", NEW | {"invitation": secret}, page="/login")
        assert answer.status_code == 403


async def test_an_organization_does_not_stand_above_the_domains(tmp_path: Path, database: Database) -> None:
    async with open_people(tmp_path, database) as people:
        async with database.write() as session:
            await choose_registration(session, SYSTEM, people.running.settings, mode="invite", domains=["corp.test"])
        link = await invite_address(people, NEW["email"])
        secret = parse_qs(urlsplit(link).query)["invitation"][0]
        answer = await people.browser().submit("/join", NEW | {"invitation": secret}, page=link)
        assert (answer.status_code, "corp.test" in answer.text) == (422, True)


async def test_a_link_taken_back_makes_no_account(tmp_path: Path, database: Database) -> None:
    async with open_people(tmp_path, database, registration="invite") as people:
        link = await invite_address(people, NEW["email"])
        async with database.write() as session:
            await session.execute(delete(OrganizationInvitation))
        secret = parse_qs(urlsplit(link).query)["invitation"][0]
        assert (await people.browser().get(link)).status_code == 404
        answer = await people.browser().submit("/join", NEW | {"invitation": secret}, page="/login")
        assert answer.status_code == 404
        async with database.read() as session:
            assert await session.scalar(select(func.count()).select_from(Account)) == 2, "the owner, the organization"
