"""Rulesets to begin with."""

import pytest

from cairn.repositories.rules.checks import check_content
from cairn.repositories.rules.presets import PRESETS, Preset, find_preset


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.key)
def test_a_preset_can_be_kept_as_it_is(preset: Preset) -> None:
    assert check_content(preset.content) == preset.content
    assert find_preset(preset.key) is preset


def test_another_name_is_none() -> None:
    assert find_preset("") is None
    assert len({one.content.name for one in PRESETS}) == len(PRESETS)
