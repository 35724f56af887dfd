"""Raw requests of protocol v2 to one of two servers, alone or many at once: a client's own work hides nothing."""

import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

V2 = {"Git-Protocol": "version=2"}


@dataclass(frozen=True)
class Taken:
    """One request: seconds to its first and its last byte, and bytes."""

    first_seconds: float
    seconds: float
    size: int


def packet(text: str) -> bytes:
    """Return one pkt-line."""
    return f"{len(text) + 4:04x}{text}".encode()


def fetch_body(*arguments: str) -> bytes:
    """Return a v2 fetch of these arguments."""
    head = packet("command=fetch\n") + packet("object-format=sha1\n") + b"0001"
    words = ("thin-pack", "no-progress", "ofs-delta", *arguments)
    return head + b"".join(packet(f"{word}\n") for word in words) + b"0000"


def ls_refs_body(*prefixes: str) -> bytes:
    """Return a v2 ls-refs."""
    words = ("peel", "symrefs", *(f"ref-prefix {prefix}" for prefix in prefixes))
    return (
        packet("command=ls-refs\n")
        + packet("object-format=sha1\n")
        + b"0001"
        + b"".join(packet(f"{word}\n") for word in words)
        + b"0000"
    )


class Door:
    """Where one of the two servers answers for the repository."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.url = url
        self.headers = {"Content-Type": "application/x-git-upload-pack-request", **V2, **headers}

    def post(self, body: bytes) -> Taken:
        """Fetch and throw away; RuntimeError for an answer that is none."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(body)
            file.flush()
            words = [word for name, value in self.headers.items() for word in ("-H", f"{name}: {value}")]
            output = subprocess.check_output(
                [
                    *("curl", "-sS", "-o", "/dev/null", "--data-binary", f"@{file.name}", *words),
                    *("-w", "%{http_code} %{time_starttransfer} %{time_total} %{size_download}"),
                    f"{self.url}/git-upload-pack",
                ],
                text=True,
            )
        code, first, total, size = output.split()
        if code != "200":
            raise RuntimeError(f"{self.url}: {code}")
        return Taken(float(first), float(total), int(size))

    def post_at_once(self, bodies: Sequence[bytes]) -> float:
        """Send all at once from one program and throw the answers away; return the seconds until the last byte."""
        with tempfile.TemporaryDirectory() as folder:
            lines: list[str] = []
            for number, body in enumerate(bodies):
                (Path(folder) / str(number)).write_bytes(body)
                lines += ["next"] if number else []
                lines += [f'url = "{self.url}/git-upload-pack"', "output = /dev/null", "silent", "show-error"]
                lines += [f'data-binary = "@{folder}/{number}"', 'write-out = "%{http_code}\\n"', "max-time = 300"]
                lines += [f'header = "{name}: {value}"' for name, value in self.headers.items()]
            (Path(folder) / "config").write_text("\n".join(lines) + "\n")
            words = ["curl", "-Z", "--parallel-immediate", "--parallel-max", str(len(bodies)), "-K", f"{folder}/config"]
            started = time.perf_counter()
            output = subprocess.run(
                words, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            ).stdout
            taken = time.perf_counter() - started
        if output.split() != ["200"] * len(bodies):
            raise RuntimeError(f"{self.url}: {sorted(set(output.split()))} for {len(bodies)} requests")
        return taken
