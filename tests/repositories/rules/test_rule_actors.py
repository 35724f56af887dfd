"""The people, teams and keys that rules name."""

import pytest
from tests.factories.forge import Forge

from cairn.base.errors import Invalid
from cairn.repositories.rules.holder import holder_of
from cairn.repositories.rules.rule_actors import find_people, find_teams, read_actor_names
from cairn.repositories.rules.types import BypassKind


async def test_people_are_found_by_name_in_order_and_each_once(forge: Forge) -> None:
    ada, bob = await forge.person("ada"), await forge.person("bob")
    async with forge.database.read() as session:
        found = await find_people(session, ["@Bob", "ada", "BOB"], where="users")
        assert found == [bob.account.id, ada.account.id]
        with pytest.raises(Invalid, match=r"'no-one', 'a\\x00b'"):
            await find_people(session, ["ada", "no-one", "a\0b"], where="users")


async def test_a_repository_of_a_person_has_no_teams(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    async with forge.database.read() as session:
        with pytest.raises(Invalid) as refused:
            await find_teams(session, ada.actor, holder_of(repository), ["core"], where="teams")
        assert refused.value.problems[0].field == "teams"
        assert await find_teams(session, ada.actor, holder_of(repository), [], where="teams") == []


async def test_names_are_told_and_who_is_gone_is_not_made_up(forge: Forge) -> None:
    ada = await forge.person("ada")
    repository = await forge.repository(ada, "engine")
    keys = [(kind, number) for kind in BypassKind for number in (ada.account.id, 999) if kind is not BypassKind.ROLE]
    async with forge.database.read() as session:
        names = await read_actor_names(session, ada.actor, holder_of(repository), keys)
    assert names.label((BypassKind.USER, ada.account.id)) == "ada"
    assert names.label((BypassKind.USER, 999)) == "Somebody who left"
    assert names.label((BypassKind.TEAM, 999)) == "A secret team"
    assert names.label((BypassKind.DEPLOY_KEY, 999)) == "A deleted deploy key"
    assert names.label((BypassKind.DEPLOY_KEY, None)) == "Every deploy key that may push"
    assert names.label((BypassKind.ROLE, 5)) == "Administrators"
