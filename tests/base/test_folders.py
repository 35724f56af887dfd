"""A folder that is made is flushed into the one above it, as far up as anything was made."""

import os
from pathlib import Path

import pytest

from cairn.base.folders import make_folder, sync_folder


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders flushed so far."""
    found: list[Path] = []
    flush = os.fsync

    def fsync(descriptor: int) -> None:
        found.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


def test_every_name_that_was_made_is_flushed_from_the_top(tmp_path: Path, flushed: list[Path]) -> None:
    make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir()
    assert flushed == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]


def test_the_name_of_a_folder_that_exists_is_flushed_too(tmp_path: Path, flushed: list[Path]) -> None:
    (tmp_path / "a").mkdir()
    make_folder(tmp_path / "a")
    assert flushed == [tmp_path]


def test_the_mode_is_the_folders_own(tmp_path: Path) -> None:
    make_folder(tmp_path / "secret", mode=0o700)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o700


def test_a_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")
    with pytest.raises(NotADirectoryError):
        sync_folder(tmp_path / "file")
