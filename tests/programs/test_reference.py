"""The generated pages: everything that exists is on them."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from cairn.access.actions import Action
from cairn.base.settings import Settings, variable
from cairn.programs import reference
from cairn.programs.reference import actions_page, event_types, events_page, settings_page


def test_every_setting_has_one_row_with_its_default_and_choices() -> None:
    page = settings_page()
    for field in msgspec.structs.fields(Settings):
        assert page.count(f"| `{variable(field.name)}`") == 1
    assert "| `CAIRN_REGISTRATION` | `open`, `invite`, `closed` | `open` | Who may sign up. |" in page
    assert "| `CAIRN_SECRET_KEY` *secret* | text |" in page
    assert "| `CAIRN_DATA_DIR` | path | `cairn-data` |" in page


def test_every_action_has_one_row_with_its_meaning() -> None:
    page = actions_page()
    for action in Action:
        assert page.count(f"| `{action.value}` |") == 1
        assert action.facts.meaning in page


def test_every_event_has_a_section() -> None:
    page = events_page()
    for event in event_types():
        assert f"## `{event.__name__}`" in page


def test_an_event_is_shown_with_its_docstring_and_inherited_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    class Base:
        repository_id: int

    class RefMoved(Base):
        """A ref has another value now."""

        name: bytes
        old: "str | None"

    monkeypatch.setattr(reference, "event_types", lambda: [RefMoved])
    assert (
        "## `RefMoved`\n\nA ref has another value now.\n\n| Field | Type |\n|---|---|\n"
        "| `repository_id` | `int` |\n| `name` | `bytes` |\n| `old` | `str \\| None` |"
    ) in events_page()


def test_the_command_writes_every_page_and_explains_itself(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cairn.programs.reference"]
    subprocess.run([*command, str(tmp_path)], check=True, capture_output=True, timeout=60)
    assert {file.name for file in tmp_path.iterdir()} == set(reference.PAGES)
    assert (
        "Usage" in subprocess.run([*command, "--help"], check=True, capture_output=True, text=True, timeout=60).stdout
    )
    assert subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 2
