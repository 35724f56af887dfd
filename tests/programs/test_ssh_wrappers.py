"""The wrappers for a site's own sshd start light; test_ssh_bridge.py of the doors runs them behind a real one."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("command", ["ssh-authorized-keys", "ssh-serve"])
def test_wrong_arguments_are_answered_with_the_usage(command: str) -> None:
    run = [sys.executable, "-m", "cairn.programs.cairnd", command]
    done = subprocess.run([*run, "--help"], capture_output=True, text=True, check=True, timeout=60)
    assert f"Usage: cairnd {command}" in done.stdout
    done = subprocess.run([*run, "one", "two"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert f"Usage: cairnd {command}" in done.stderr


def test_nothing_but_the_standard_library_is_imported() -> None:
    code = (
        "import sys, cairn.programs.cairnd, cairn.programs.ssh_wrappers as w\n"
        "known = set(sys.stdlib_module_names)\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(n for n in names if n not in known and not n.startswith('_') and n != 'cairn'))\n"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=False, timeout=60)
    if "No module named 'cairn'" in done.stderr:  # an editable install needs site
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    loaded = {"sqlalchemy", "litestar", "asyncssh", "msgspec", "structlog"}
    assert not [name for name in loaded if f"'{name}'" in done.stdout], done.stdout
    assert done.returncode == 0
