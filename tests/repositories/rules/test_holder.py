"""A repository and an organization have rulesets by the same words."""

import msgspec
import pytest
from tests.factories.company import Company, company

from cairn.base.errors import NotFound
from cairn.identity.organizations import find_organization
from cairn.repositories.queries import find_repository
from cairn.repositories.rules.holder import (
    create_for,
    delete_for,
    holder_of,
    list_for,
    organization_holder,
    read_for,
    suites_for,
    update_for,
)
from cairn.repositories.rules.suites import SuiteFilter
from cairn.repositories.rules.types import Conditions, Enforcement, RefNames, RulesetContent

__all__ = ["company"]

CONTENT = RulesetContent(name="One", enforcement=Enforcement.ACTIVE, conditions=Conditions(RefNames(("~ALL",))))


async def test_each_has_its_own_and_a_repository_its_owners_as_well(company: Company) -> None:
    await company.api("olga").call("POST", "/orgs/acme/repos", json={"name": "site"})
    olga = company.forge.people["olga"].actor
    async with company.forge.database.write() as session:
        acme = organization_holder(await find_organization(session, olga, "acme"))
        site = holder_of(await find_repository(session, olga, "acme", "site"))
        above = await create_for(session, olga, acme, CONTENT)
        own = await create_for(session, olga, site, msgspec.structs.replace(CONTENT, name="Two"))
    async with company.forge.database.write() as session:
        assert await list_for(session, acme) == [above]
        assert await list_for(session, site) == [above, own]
        assert await read_for(session, site, above.id, includes_parents=True) == above
        for holder, foreign in ((acme, own), (site, above)):
            with pytest.raises(NotFound):
                await read_for(session, holder, foreign.id)
            with pytest.raises(NotFound):
                await update_for(session, olga, holder, foreign.id, CONTENT, expected_version=None)
            with pytest.raises(NotFound):
                await delete_for(session, olga, holder, foreign.id)
        off = msgspec.structs.replace(CONTENT, enforcement=Enforcement.DISABLED)
        assert (await update_for(session, olga, acme, above.id, off, expected_version=1)).version == 2
        for holder, one in ((acme, above), (site, own)):
            await delete_for(session, olga, holder, one.id)
            assert await list_for(session, holder) == []
            assert await suites_for(session, holder, SuiteFilter()) == []
    assert (acme.path, site.path) == ("/organizations/acme/settings/rules", "/acme/site/settings/rules")
    assert (acme.name, site.name, acme.has_owners, site.has_owners) == ("acme", "acme/site", True, True)
