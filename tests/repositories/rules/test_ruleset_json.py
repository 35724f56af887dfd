"""Rulesets in and out of JSON."""

from typing import get_args

import msgspec
import pytest
from tests.repositories.rules.test_protection import stored

from cairn.repositories.rules import types
from cairn.repositories.rules.protection import Protection, with_protection
from cairn.repositories.rules.ruleset_json import (
    RULE_TYPES,
    RulesetUnreadable,
    content_json,
    plain_rule,
    read_ruleset_json,
)
from cairn.repositories.rules.types import BypassKind, Enforcement, Rule, RuleActor, RulesetContent


def test_every_rule_has_a_name_of_its_own() -> None:
    assert len(set(RULE_TYPES)) == len(RULE_TYPES) == len(get_args(Rule))


def test_what_is_written_is_read_again() -> None:
    content = with_protection(None, "main", Protection(lock_branch=True, required_signatures=True))
    assert read_ruleset_json(content_json(content)) == content
    sent = content_json(content) | {"id": 1, "_links": {}, "source": "a/b", "current_user_can_bypass": "never"}
    assert read_ruleset_json(sent) == content


def test_what_is_left_out_is_as_before() -> None:
    before = stored(with_protection(None, "main", Protection())).content
    changed = read_ruleset_json({"name": "Other"}, before=before)
    assert changed == msgspec.structs.replace(before, name="Other")
    assert read_ruleset_json({"name": "x", "enforcement": "disabled"}) == RulesetContent(
        name="x", enforcement=Enforcement.DISABLED
    )


def test_what_cairn_adds_stands_only_where_somebody_said_it() -> None:
    assert plain_rule(types.Creation()) == {"type": "creation"}
    assert plain_rule(types.Update()) == {
        "type": "update",
        "parameters": {"update_allows_fetch_and_merge": False},
    }
    allowed = types.Creation(types.CreationParameters((RuleActor(BypassKind.USER, 3),)))
    assert list(plain_rule(allowed)["parameters"]["allowed_actors"]) == [{"actor_type": "User", "actor_id": 3}]
    assert read_ruleset_json({"name": "x", "enforcement": "active", "rules": [plain_rule(allowed)]}).rules == (allowed,)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"enforcement": "active"}, "name"),
        ({"name": "x"}, "enforcement"),
        ({"name": 1, "enforcement": "active"}, "name"),
    ],
)
def test_what_must_be_said_is_asked_for_by_name(body: dict[str, object], field: str) -> None:
    with pytest.raises(RulesetUnreadable) as refused:
        read_ruleset_json(body)
    assert refused.value.problems[0].field == field
