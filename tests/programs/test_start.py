"""How a program begins and ends: what it refuses to start with, and the code and sentence it ends with."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cairn.base.errors import CairnError, Unavailable
from cairn.base.settings import SettingInvalid
from cairn.programs.start import (
    AddressTaken,
    require_free,
    run,
    split_address,
    start,
    stop_requested,
)
from cairn.programs.supervisor import EXIT_MISCONFIGURED


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of this machine, no argument, a log that this test alone has."""
    for name in os.environ:
        if name.startswith("CAIRN_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("CAIRN_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr("cairn.programs.start.configure_logging", lambda **_: None)
    monkeypatch.setattr(sys, "argv", ["cairnd web"])


def test_settings_come_from_the_environment_and_flags_from_the_arguments(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["cairnd web", "--worker"])
    settings, flags = start("web", "", flags=("--worker",))
    assert settings.data_dir == tmp_path / "data"
    assert flags == ["--worker"]


@pytest.mark.parametrize("argument", ["-h", "--help"])
def test_help_is_printed_before_anything_is_read(
    argument: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who needs help may have the settings wrong."""
    monkeypatch.setenv("CAIRN_HTTP_ADDRESS", "nowhere")
    monkeypatch.setattr(sys, "argv", ["cairnd web", argument])
    with pytest.raises(SystemExit) as ended:
        start("web", "The help.\n")
    assert ended.value.code == 0
    assert capsys.readouterr() == ("The help.\n", "")


@pytest.mark.parametrize("argument", ["--port=80", "now", "--worker"])
def test_an_argument_nobody_reads_stops_the_start(
    argument: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cairnd ssh", argument])
    with pytest.raises(SystemExit) as ended:
        start("ssh", "")
    assert ended.value.code == EXIT_MISCONFIGURED
    assert capsys.readouterr().err == (
        f"cairnd ssh: takes no argument {argument!r}; settings are CAIRN_... variables\n"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CAIRN_HTTP_ADDRESS", "nowhere"),
        ("CAIRN_DRAIN_SECONDS", "soon"),
        ("CAIRN_WEB_WORKERS", "0"),
        ("CAIRN_HTTP_ADRESS", "127.0.0.1:3000"),
    ],
)
def test_a_wrong_or_misspelt_setting_stops_the_start_and_is_named(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        start("web", "")
    assert ended.value.code == EXIT_MISCONFIGURED
    said = capsys.readouterr().err
    assert said.startswith("cairnd web: ")
    assert name in said
    assert said.count("\n") == 1


async def _return(code: int) -> int:
    return code


@pytest.mark.parametrize("code", [0, 1, 7])
def test_the_process_ends_with_what_the_program_returned(code: int) -> None:
    with pytest.raises(SystemExit) as ended:
        run("web", lambda: _return(code))
    assert ended.value.code == code


def _raising(error: BaseException) -> int:
    async def main() -> int:
        raise error

    with pytest.raises(SystemExit) as ended:
        run("web", main)
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unavailable("The database is away."), 1),
        (SettingInvalid("The database is away."), EXIT_MISCONFIGURED),
        (AddressTaken("The database is away."), EXIT_MISCONFIGURED),
        (ExceptionGroup("", [SettingInvalid("The database is away.")]), EXIT_MISCONFIGURED),
        (ExceptionGroup("", [ExceptionGroup("", [Unavailable("The database is away.")])]), 1),
    ],
)
def test_an_error_that_explains_itself_ends_with_its_sentence_alone(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _raising(error) == code
    assert capsys.readouterr().err == "cairnd web: The database is away.\n"


@pytest.mark.parametrize(
    "error", [ValueError("defect"), ExceptionGroup("", [CairnError("explained"), ValueError("defect")])]
)
def test_a_defect_is_not_hidden_behind_a_sentence(error: Exception) -> None:
    async def main() -> int:
        raise error

    with pytest.raises(type(error)) as caught:
        run("web", main)
    assert caught.value is error


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_signal_asks_and_does_not_interrupt(number: signal.Signals) -> None:
    stopping = stop_requested()
    try:
        assert not stopping.is_set()
        os.kill(os.getpid(), number)
        await asyncio.wait_for(stopping.wait(), 10)
    finally:
        for handled in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(handled)


IMPATIENT = """
import asyncio, os, signal
from cairn.programs.start import stop_requested
async def main():
    stopping = stop_requested()
    os.kill(os.getpid(), signal.SIGTERM)
    await stopping.wait()
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(60)
asyncio.run(main())
"""


def test_a_second_signal_ends_the_process_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", IMPATIENT], capture_output=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize(
    ("address", "split"),
    [("127.0.0.1:3000", ("127.0.0.1", 3000)), ("[::1]:22", ("::1", 22)), ("git.example:80", ("git.example", 80))],
)
def test_an_address_is_a_host_and_a_port(address: str, split: tuple[str, int]) -> None:
    assert split_address(address) == split


def test_a_taken_address_is_named_with_the_setting_that_chose_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(AddressTaken, match=f"CAIRN_HTTP_ADDRESS={address}: cannot listen there .*in use"):
            require_free(address, "CAIRN_HTTP_ADDRESS")
    require_free(address, "CAIRN_HTTP_ADDRESS")


def test_an_address_is_taken_even_by_who_would_share_it() -> None:
    """A second installation on the same port would silently get every other connection."""
    with socket.create_server(("127.0.0.1", 0), reuse_port=True) as other:
        with pytest.raises(AddressTaken):
            require_free(f"127.0.0.1:{other.getsockname()[1]}", "CAIRN_HTTP_ADDRESS")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(AddressTaken, match=r"CAIRN_HTTP_ADDRESS=192\.0\.2\.1:80: cannot listen there"):
        require_free("192.0.2.1:80", "CAIRN_HTTP_ADDRESS")
