"""The form asks for every rule and every parameter there is."""

from typing import get_args

import msgspec

from cairn.repositories.rules.rule_sections import GROUPS, SECTIONS
from cairn.repositories.rules.types import Rule


def test_every_rule_has_a_section_and_every_parameter_a_field() -> None:
    rules = {str(kind.__struct_config__.tag): kind for kind in get_args(Rule)}
    assert set(SECTIONS) == set(rules)
    assert sum(len(group.sections) for group in GROUPS) == len(SECTIONS)
    for name, kind in rules.items():
        fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
        wanted = {one.name for one in msgspec.structs.fields(fields["parameters"])} if "parameters" in fields else set()
        assert {one.name for one in SECTIONS[name].fields} == wanted, name
