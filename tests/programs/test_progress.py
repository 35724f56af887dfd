"""Progress: silent for short work in a file, a line now and then for long work."""

import pytest

from cairn.programs import progress
from cairn.programs.progress import Progress


def test_short_work_writes_nothing_into_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("examining", total=2) as shown:
        for name in ("ada/one", "ada/two"):
            shown.show(name)
            shown.advance()
    assert capsys.readouterr() == ("", "")


def test_long_work_writes_lines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    with Progress("examining", total=2000) as shown:
        shown.show("ada/one")
        shown.advance()
    with Progress("the rest", total=None) as shown:
        shown.advance()
    assert capsys.readouterr().err == "examining: 1 of 2,000, last ada/one\nthe rest: 1, last \n"
