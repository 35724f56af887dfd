"""``cairn``, as a developer types it."""

import subprocess
import sys


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command as a developer does."""
    command = [sys.executable, "-c", "from cairn.cli.main import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_version_is_the_distribution_s() -> None:
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("cairn 0.")


def test_help_says_what_the_command_is_for() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "Work with a Cairn server" in done.stdout


def test_an_unknown_command_is_refused() -> None:
    done = run("frobnicate")
    assert done.returncode == 2
    assert "frobnicate" in done.stderr
