"""The clock of one program, hours from the true one: libfaketime shifts it, and may shift it again while it runs."""

from datetime import timedelta
from pathlib import Path

from tests.services.processes import ServiceMissing

_PLACES = ("/usr/lib", "/usr/local/lib")


class NodeClock:
    """A program that starts with ``environment`` believes what ``shift`` says; its monotonic clock stays true."""

    def __init__(self, file: Path) -> None:
        found = [path for place in _PLACES for path in Path(place).glob("**/faketime/libfaketimeMT.so.1")]
        if not found:
            raise ServiceMissing("libfaketime is not installed (Debian: faketime)")
        self._file = file
        self.shifted = timedelta()
        self.shift(timedelta())
        self.environment = {
            "LD_PRELOAD": str(found[0]),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def shift(self, by: timedelta) -> None:
        """Set the clock so far ahead of the true one, or behind it, from now on."""
        self.shifted = by
        made = self._file.with_suffix(".new")
        made.write_text(f"{by.total_seconds():+.0f}s\n")
        made.replace(self._file)
