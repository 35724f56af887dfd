"""What git starts where it would start ``ssh``: hands its two streams to the program that holds the connection.

Run as a file by an interpreter without site packages, because every conversation waits for it: it knows nothing but the
standard library. ``ssh_pipe.py SOCKET [what git says of the server] COMMAND``; see ``ssh_bridge``.
"""

import json
import socket
import sys

_ANSWER_BYTES_MAX = 64 << 10


def main(arguments: list[str]) -> int:
    """Return the exit code of the command on the other server, its words on standard error."""
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(arguments[1])
            socket.send_fds(connection, [arguments[-1].encode("utf-8", "surrogateescape") + b"\n"], [0, 1])
            while len(answer) < _ANSWER_BYTES_MAX and (data := connection.recv(_ANSWER_BYTES_MAX)):
                answer += data
        told = json.loads(answer)
        sys.stderr.write(told["said"])
        return int(told["exit"])
    except (OSError, ValueError) as error:
        sys.stderr.write(f"the connection was given up: {error}\n")
        return 255


if __name__ == "__main__":
    sys.exit(main(sys.argv))
