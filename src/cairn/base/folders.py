"""Folders whose names survive a power cut: a name is on the disk only once the folder that holds it was flushed."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path, *, mode: int = 0o777) -> None:
    """The folder exists, and its name and those of the folders above it that this made survive a power cut.

    Its own name is flushed even where it exists: who made it a moment ago may not have done so yet. OSError passes
    through.
    """
    missing = [path for path in folder.parents if not path.exists()]
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    for path in (*reversed(missing), folder):
        sync_folder(path.parent)
