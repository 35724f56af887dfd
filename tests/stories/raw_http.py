"""HTTP as nobody's library would send it: bodies without end, paths and headers that no client lets through."""

import select
import socket
from collections.abc import Iterator
from http.client import HTTPConnection

SECONDS = 30
PIECE = b"a" * (256 << 10)


class Raw:
    """A plain client on one kept connection, for requests that are well formed; ``port`` of 127.0.0.1."""

    def __init__(self, port: int, authorization: str = "") -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        self._headers = {"Authorization": authorization} if authorization else {}

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Send one request and return status and body; ``headers`` have underscores for hyphens."""
        sent = self._headers | {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(method, path, body=body, headers=sent)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


def send_bytes(port: int, request: bytes) -> int:
    """Send bytes as they are on a connection of their own; return the answer's status, 0 if it was just closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(request)
        return _status(connection)


def send_body(port: int, head: str, *, size: int, chunked: bool) -> int:
    """Send a request whose body has ``size`` bytes until there is an answer, and return its status.

    ``head`` is the request line and the headers, without those of the body.
    """
    length = "transfer-encoding: chunked" if chunked else f"content-length: {size}"
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(f"{head}\r\nhost: 127.0.0.1:{port}\r\n{length}\r\n\r\n".encode())
        try:
            for piece in _pieces(size, chunked=chunked):
                if select.select([connection], [], [], 0)[0]:
                    break
                connection.sendall(piece)
        except (ConnectionResetError, BrokenPipeError):
            pass  # it was answered and closed while we wrote
        return _status(connection)


def _pieces(size: int, *, chunked: bool) -> Iterator[bytes]:
    for _ in range(size // len(PIECE)):
        yield b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if chunked else PIECE
    if chunked:
        yield b"0\r\n\r\n"


def _status(connection: socket.socket) -> int:
    head = b""
    try:
        while b"\r\n" not in head and (data := connection.recv(4096)):
            head += data
    except ConnectionResetError:
        pass
    words = head.split(b" ", 2)
    return int(words[1]) if len(words) > 1 else 0
