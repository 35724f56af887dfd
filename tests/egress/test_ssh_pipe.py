"""What git starts in place of ssh: it says what it is told, and ends when nobody is there."""

import asyncio
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cairn.egress import ssh_pipe

COMMAND = [sys.executable, "-I", "-S", ssh_pipe.__file__]


def run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
    )


def test_without_its_program_it_ends_with_an_error(tmp_path: Path) -> None:
    done = run(str(tmp_path / "nobody"), "host", "git-upload-pack 'x'")
    assert (done.returncode, done.stdout) == (255, b"")
    assert b"given up" in done.stderr


@pytest.mark.parametrize(("answer", "code"), [(b'{"exit": 3, "said": "no such\\n"}', 3), (b"", 255)])
async def test_it_hands_its_streams_over_and_ends_as_it_is_told(tmp_path: Path, answer: bytes, code: int) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()
        running = asyncio.create_task(asyncio.to_thread(run, str(path), "-p", "22", "host", "git-upload-pack 'x'"))
        connection, _ = await asyncio.to_thread(listener.accept)
        with connection:
            command, descriptors, _, _ = await asyncio.to_thread(socket.recv_fds, connection, 1000, 4)
            assert (command, len(descriptors)) == (b"git-upload-pack 'x'\n", 2)
            os.write(descriptors[1], b"from there")
            for descriptor in descriptors:
                os.close(descriptor)
            connection.sendall(answer)
        done = await running
    assert (done.returncode, done.stdout) == (code, b"from there")
    assert done.stderr == b"no such\n" if code == 3 else done.stderr
