"""``cairnd ssh-authorized-keys`` and ``cairnd ssh-serve``: the two commands a site's own sshd runs.

They ask the running SSH program over its Unix socket and import nothing but the standard library, because a person
waits for them at each fetch. See docs/guides/own-sshd.md.
"""

import json
import os
import shlex
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

KEYS_HELP = """Usage: cairnd ssh-authorized-keys --socket PATH TYPE KEY

Print the authorized_keys line of a key that somebody has registered, or nothing. For sshd_config:
  AuthorizedKeysCommand /usr/local/bin/cairnd ssh-authorized-keys --socket PATH %t %k
"""
SERVE_HELP = """Usage: cairnd ssh-serve --socket PATH FINGERPRINT

Serve one session of your own sshd through the running `cairnd ssh`. The line that ssh-authorized-keys prints runs it.
"""
_ANSWER_BYTES_MAX = 64 << 10
_KEY_SECONDS = 10.0
_UNAVAILABLE = 75
"""sysexits' "temporary failure"."""


class BridgeAway(Exception):
    """The SSH program does not answer at its socket."""


def authorized_keys() -> None:
    """Print the line for the key that sshd asks about; nothing lets nobody in."""
    path, (kind, key) = _arguments(KEYS_HELP, ("TYPE", "KEY"))
    try:
        answer = _ask(path, {"ask": "key", "line": f"{kind} {key}"}, seconds=_KEY_SECONDS)
    except BridgeAway as error:
        _fail(str(error))
    if answer.get("fingerprint"):
        command = shlex.join([_own_path(), "ssh-serve", "--socket", path, answer["fingerprint"]])
        quoted = command.replace('"', '\\"')
        print(f'restrict,command="{quoted}" {answer["line"]}')


def serve() -> None:
    """Hand this process's standard streams to the SSH program and exit with the code it gives."""
    path, (fingerprint,) = _arguments(SERVE_HELP, ("FINGERPRINT",))
    question = {
        "ask": "serve",
        "fingerprint": fingerprint,
        "command": os.environ.get("SSH_ORIGINAL_COMMAND"),
        "protocol": os.environ.get("GIT_PROTOCOL", ""),
        "address": os.environ.get("SSH_CONNECTION", "").partition(" ")[0],
    }
    try:
        answer = _ask(path, question, descriptors=(0, 1, 2))
    except BridgeAway as error:
        _fail(str(error))
    if "error" in answer:
        _fail(str(answer["error"]), code=1)
    sys.exit(int(answer["exit"]))


def _arguments(help_text: str, names: Sequence[str]) -> tuple[str, list[str]]:
    given = sys.argv[1:]
    if set(given) & {"-h", "--help"}:
        print(help_text, end="")
        sys.exit(0)
    if len(given) != len(names) + 2 or given[0] != "--socket":
        print(help_text, end="", file=sys.stderr)
        sys.exit(2)
    return given[1], given[2:]


def _ask(
    path: str, question: Mapping[str, str | None], *, descriptors: Sequence[int] = (), seconds: float | None = None
) -> dict[str, Any]:
    """Return the answer of the SSH program; BridgeAway if there is none."""
    line = json.dumps(question).encode() + b"\n"
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(seconds)
            connection.connect(path)
            socket.send_fds(connection, [line], list(descriptors))
            while not answer.endswith(b"\n"):
                data = connection.recv(_ANSWER_BYTES_MAX)
                if not data:
                    break
                answer += data
        found: dict[str, Any] = json.loads(answer)
    except (OSError, ValueError) as error:
        raise BridgeAway(f"Cairn's SSH program does not answer at {path}: {error}. Try again in a moment.") from error
    return found


def _own_path() -> str:
    """Return where this command lies: beside the interpreter that runs it, or wherever PATH has it."""
    beside = Path(sys.executable).with_name("cairnd")
    return str(beside) if beside.exists() else shutil.which("cairnd") or "cairnd"


def _fail(message: str, *, code: int = _UNAVAILABLE) -> None:
    print(f"cairn: {message}", file=sys.stderr)
    sys.exit(code)
