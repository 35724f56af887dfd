"""``cairnd``: the server's command. It only chooses; a sub-command's module is imported when it is asked for.

Nothing heavy may be imported here: ``cairnd up`` keeps this process alive for as long as the node runs.
A sub-command's entry takes no argument, reads ``sys.argv[1:]``, answers ``--help`` and ends by returning or
by ``SystemExit``; a typer app is such an entry too.
"""

import atexit
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import NamedTuple, NoReturn


class Command(NamedTuple):
    """A sub-command: where its entry is (``module:attribute``) and what it does, in one line."""

    entry: str
    summary: str


COMMANDS = {
    "up": Command("cairn.programs.supervisor:main", "Migrate, then run web, ssh and worker, restarting what dies."),
    "web": Command("cairn.programs.web:main", "Answer HTTP: pages, the API and git."),
    "ssh": Command("cairn.programs.ssh:main", "Answer git over SSH."),
    "ssh-authorized-keys": Command(
        "cairn.programs.ssh_wrappers:authorized_keys", "For your own sshd: print the line that lets a key in."
    ),
    "ssh-serve": Command(
        "cairn.programs.ssh_wrappers:serve", "For your own sshd: hand a session to the running SSH program."
    ),
    "worker": Command("cairn.programs.worker:main", "Do the jobs that outlive a request."),
    "migrate": Command("cairn.programs.migrate:main", "Bring the database to this version's schema."),
    "doctor": Command("cairn.programs.doctor:app", "Compare tables, object store and history; say what is wrong."),
    "backup": Command("cairn.programs.backup:app", "Make backups while everything runs, and bring them back."),
    "admin": Command(
        "cairn.programs.admin:app", "Administer from this machine: people, tokens, jobs, announcements, repairs."
    ),
}

USAGE_ERROR = 2


def main() -> None:
    """Run the sub-command that the arguments name and end the process; exit 2 with the list if they name none."""
    code: object
    try:
        code = dispatch(sys.argv[1:])
    except SystemExit as end:
        code = end.code
    _leave(code)


def _leave(code: object) -> NoReturn:
    """End the process as ``sys.exit`` does, but for the interpreter, which is not taken apart.

    Threads of libraries (the object store's, the HTTP server's) go on calling into it, and that is a crash: a node that
    stopped well would be said to have died, a backup that was made to have failed.
    """
    if not isinstance(code, int):
        if code is not None:
            print(code, file=sys.stderr)
        code = 0 if code is None else 1
    atexit._run_exitfuncs()  # noqa: SLF001 (nothing public runs them without the rest)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # whoever read it is gone, or it is closed
            stream.flush()
    os._exit(code)


def dispatch(arguments: Sequence[str]) -> int:
    """Run one sub-command and return the exit code, unless the sub-command itself exits."""
    if not arguments:
        print(usage(), file=sys.stderr)
        return USAGE_ERROR
    name, *rest = arguments
    if name in {"-h", "--help", "help"}:
        print(usage())
        return 0
    if name in {"-V", "--version"}:
        print(f"cairnd {_version()}")
        return 0
    if name not in COMMANDS:
        print(f"cairnd: {name!r} is no command.\n\n{usage()}", file=sys.stderr)
        return USAGE_ERROR
    sys.argv = [f"cairnd {name}", *rest]
    load_entry(COMMANDS[name].entry)()
    return 0


def usage() -> str:
    """Return the help text: every command with its summary."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "Usage: cairnd COMMAND [--help]",
            "",
            "Cairn, a self-hosted Git forge. Settings are CAIRN_... environment variables.",
            "",
            "Commands:",
            *lines,
            "",
            "Options:",
            "  -h, --help     Show this text.",
            "  -V, --version  Show the version.",
        ]
    )


def load_entry(entry: str) -> Callable[[], object]:
    """Import ``module:attribute`` and return the attribute."""
    module, _, attribute = entry.partition(":")
    found: Callable[[], object] = getattr(import_module(module), attribute)
    return found


def _version() -> str:
    from importlib.metadata import version

    return version("cairn-forge")


if __name__ == "__main__":
    main()
