"""Pauses every Python program now and then, as a busy machine does: what relies on speed shows itself.

Python imports this module at its start wherever the folder is in PYTHONPATH, so it reaches the tests and all programs
they start. ``SHAKE`` is the chance of a pause before each callback of an event loop; before a blocking call of a socket
it is ten times that, since a thread makes fewer of them. Most pauses are short; some are longer than a second.
"""

import asyncio
import os
import random
import socket
import time
from collections.abc import Callable
from typing import Any

CHANCE = float(os.environ.get("SHAKE", "0"))
CALLS = ("connect", "recv", "recv_into", "send", "sendall")

_random = random.Random()


def _pause(chance: float) -> None:
    if _random.random() < chance:
        is_long = _random.random() < 0.07
        time.sleep(_random.uniform(0.5, 1.5) if is_long else 0.25 * _random.random() ** 2)


def _pause_before(owner: type, name: str, chance: float, may_wait: Callable[[Any], bool]) -> None:
    """Let every call of a method pause first, if ``may_wait`` says so of its object."""
    call = getattr(owner, name)

    def paused(target: Any, *arguments: Any, **options: Any) -> Any:
        if may_wait(target):
            _pause(chance)
        return call(target, *arguments, **options)

    setattr(owner, name, paused)


if CHANCE:
    os.register_at_fork(after_in_child=_random.seed)
    _pause_before(asyncio.Handle, "_run", CHANCE, lambda handle: True)
    for _name in CALLS:
        _pause_before(socket.socket, _name, 10 * CHANCE, lambda connection: connection.gettimeout() != 0)
