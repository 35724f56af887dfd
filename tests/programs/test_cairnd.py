"""``cairnd``: chooses a program, imports nothing else, explains itself."""

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from cairn.programs import cairnd
from cairn.programs.cairnd import COMMANDS, USAGE_ERROR, dispatch


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command as an operator does."""
    command = [sys.executable, "-m", "cairn.programs.cairnd", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_has_a_help(name: str) -> None:
    done = run(name, "--help")
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout.lower()


def test_help_lists_every_command_and_its_summary() -> None:
    for argument in ("-h", "--help", "help"):
        done = run(argument)
        assert done.returncode == 0
        for name, command in COMMANDS.items():
            assert f"  {name}" in done.stdout
            assert command.summary in done.stdout


def test_no_command_and_an_unknown_one_are_answered_with_the_list() -> None:
    for arguments in ((), ("frobnicate",)):
        done = run(*arguments)
        assert done.returncode == USAGE_ERROR
        assert "Usage: cairnd COMMAND" in done.stderr
        assert done.stdout == ""
    assert "'frobnicate' is no command" in run("frobnicate").stderr


def test_the_version_is_the_distribution_s() -> None:
    assert run("--version").stdout.startswith("cairnd 0.")


def test_an_entry_finds_the_remaining_arguments_and_its_own_name(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    module = SimpleNamespace(main=lambda: seen.append(sys.argv))
    imported: list[str] = []

    def import_module(name: str) -> SimpleNamespace:
        imported.append(name)
        return module

    monkeypatch.setattr(cairnd, "import_module", import_module)
    monkeypatch.setattr(sys, "argv", ["untouched"])
    assert dispatch(["web", "--flag", "web"]) == 0
    assert seen == [["cairnd web", "--flag", "web"]]
    assert imported == ["cairn.programs.web"]


@pytest.mark.parametrize("code", [0, 1, 3])
def test_the_exit_code_of_a_program_is_the_command_s(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def entry() -> None:
        sys.exit(code)

    def load(_: str) -> Callable[[], object]:
        return entry

    monkeypatch.setattr(cairnd, "load_entry", load)
    with pytest.raises(SystemExit) as caught:
        dispatch(["web"])
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("ending", "code", "said"),
    [
        ("return 0", 0, ""),
        ("return 2", 2, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("sys.exit('No disk.')", 1, "No disk.\n"),
    ],
)
def test_a_command_ends_as_it_says_and_takes_no_interpreter_apart(ending: str, code: int, said: str) -> None:
    """A thread of the object store's library called into what was left of it, and the program ended by signal 11."""
    program = f"""
import atexit, sys
from cairn.programs import cairnd
class Late:
    def __del__(self):
        print("taken apart")
def dispatch(words):
    print("done")
    {ending}
late, cairnd.dispatch = Late(), dispatch
atexit.register(print, "at exit")
cairnd.main()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "done\nat exit\n", said)


def test_choosing_imports_no_library_and_no_other_program() -> None:
    code = "import sys, cairn.programs.cairnd; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-E", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert not loaded & {"msgspec", "typer", "sqlalchemy", "litestar", "asyncio", "subprocess"}
    assert {name for name in loaded if name.startswith("cairn")} == {"cairn", "cairn.programs", "cairn.programs.cairnd"}


def test_every_entry_names_a_module_of_this_package() -> None:
    for command in COMMANDS.values():
        module, _, attribute = command.entry.partition(":")
        assert module.startswith("cairn.programs.")
        assert attribute in {"main", "app", "authorized_keys", "serve"}
        assert find_spec(module) is not None, module
