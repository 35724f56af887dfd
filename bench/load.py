"""Measuring: requests per second by ``wrk``, seconds of whole commands as a median."""

import base64
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

CONNECTIONS = 8
SECONDS = 4


def requests_per_second(
    url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None, connections: int = CONNECTIONS
) -> float:
    """Return how many answers of 200 a second ``url`` gives to ``connections`` clients on one thread of wrk."""
    wrk = shutil.which("wrk")
    assert wrk is not None, "install wrk (Debian package) to measure"
    script = ['wrk.method = "POST"' if body is not None else 'wrk.method = "GET"']
    for name, value in (headers or {}).items():
        script.append(f'wrk.headers["{name}"] = "{value}"')
    if body is not None:
        escaped = "".join(f"\\{byte:03d}" for byte in body)
        script.append(f'wrk.body = "{escaped}"')
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write("\n".join(script))
        file.flush()
        command = [wrk, "-t1", f"-c{connections}", f"-d{SECONDS}s", "--timeout", "20s", "-s", file.name, url]
        output = subprocess.check_output(command, text=True)
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(f"{url}: not every answer was good:\n{output}")
    found = re.search(r"Requests/sec:\s+([\d.]+)", output)
    assert found is not None, output
    return float(found[1])


def basic(user: str, password: str) -> dict[str, str]:
    """Return the header that signs in."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def median_seconds(run: Callable[[int], None], *, count: int, warm_up: int = 2) -> float:
    """Return the median time of ``run(i)`` over ``count`` calls after ``warm_up`` unmeasured ones."""
    taken: list[float] = []
    for index in range(warm_up + count):
        started = time.perf_counter()
        run(index)
        if index >= warm_up:
            taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def git(*words: str | Path, cwd: Path | None = None, ssh_command: str = "") -> None:
    """Run stock git without the machine's configuration; CalledProcessError if it fails."""
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.com",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.com",
        "GIT_SSH_COMMAND": ssh_command,
    }
    subprocess.run(["git", *map(str, words)], cwd=cwd, env=environment, check=True, capture_output=True)
