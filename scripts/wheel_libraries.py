"""Hatchling's hook: a wheel is built with the browser libraries in it, or not at all."""

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class BrowserLibraries(BuildHookInterface[Any]):
    """Runs ``scripts/browser-libraries`` before a wheel; an editable install belongs to a checkout, where make does."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Have the libraries in their place, which the wheel includes; an error says what is missing."""
        if version == "editable":
            return
        script = Path(self.root) / "scripts/browser-libraries"
        done = subprocess.run([sys.executable, str(script), "--required"], check=False)
        if done.returncode:
            raise RuntimeError("A wheel needs the browser libraries: install npm, and let it reach its registry.")
