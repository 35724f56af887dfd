"""How a long-running program begins and ends: arguments, settings, log, event loop, stop signals."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NoReturn

from cairn.base.errors import CairnError, Misconfigured
from cairn.base.log import configure_logging
from cairn.base.settings import SettingInvalid, Settings, load_settings
from cairn.programs.supervisor import EXIT_MISCONFIGURED

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class AddressTaken(Misconfigured):
    """A program cannot listen where it should."""


def start(program: str, help_text: str, *, flags: Sequence[str] = ()) -> tuple[Settings, list[str]]:
    """Read arguments and settings and set up the log; return the settings and the flags that were given.

    Ends the process for ``--help`` and with exit code 2 for an argument or a setting that cannot be used.
    """
    given = sys.argv[1:]
    if set(given) & {"-h", "--help"}:
        print(help_text, end="")
        sys.exit(0)
    unknown = [argument for argument in given if argument not in flags]
    if unknown:
        _fail(program, f"takes no argument {unknown[0]!r}; settings are CAIRN_... variables", EXIT_MISCONFIGURED)
    try:
        settings = load_settings(os.environ)
    except SettingInvalid as error:
        _fail(program, error.message, EXIT_MISCONFIGURED)
    configure_logging(program=program, level=settings.log_level, plain=settings.log_format == "plain")
    return settings, given


def run(program: str, main: Callable[[], Coroutine[Any, Any, int]]) -> NoReturn:
    """Run ``main`` on uvloop and exit with what it returns; an error that has an explanation ends with it alone."""
    import uvloop

    try:
        code = uvloop.run(main())
    except CairnError as error:
        _fail(program, error.message, _exit_code(error))
    except BaseExceptionGroup as group:
        explained, rest = group.split(CairnError)
        if explained is None or rest is not None:
            raise
        first = _first(explained)
        _fail(program, str(first), _exit_code(first))
    sys.exit(code)


def settle_memory() -> None:
    """Call once everything is imported and opened: what lives as long as the program is never scanned for garbage."""
    gc.collect()
    gc.freeze()


def stop_requested() -> asyncio.Event:
    """Return an event that the first stop signal sets; a second one ends the process at once."""
    stopping = asyncio.Event()

    def stop() -> None:
        if stopping.is_set():
            os._exit(1)
        stopping.set()

    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, stop)
    return stopping


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT`` or ``[HOST]:PORT``, as the settings have checked it."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def require_free(address: str, setting: str) -> None:
    """Return if nobody listens at ``address``; AddressTaken names the setting.

    For servers that share their port between processes, where a second installation would silently get every other
    connection.
    """
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise AddressTaken(f"{setting}={address}: cannot listen there ({error.strerror})") from None


def _first(group: BaseExceptionGroup[CairnError]) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def _exit_code(error: BaseException) -> int:
    return EXIT_MISCONFIGURED if isinstance(error, Misconfigured) else 1


def _fail(program: str, sentence: str, code: int) -> NoReturn:
    print(f"cairnd {program}: {sentence}", file=sys.stderr)
    sys.exit(code)
