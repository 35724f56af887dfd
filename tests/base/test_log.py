"""Logs, as another process writes them: logging is configured once a process, so each test starts its own."""

import json
import subprocess
import sys
from textwrap import dedent

SETUP = """
import logging
from cairn.base.log import bind_request, configure_logging, get_logger
configure_logging(program="web", level={level!r}, plain={plain})
log = get_logger("cairn.web.errors")
"""


def logged(code: str, *, level: str = "info", plain: bool = False) -> str:
    """Run code after the set-up and return what it wrote to standard error."""
    program = SETUP.format(level=level, plain=plain) + dedent(code)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == ""
    return done.stderr


def lines(code: str, *, level: str = "info") -> list[dict[str, object]]:
    """Return the JSON objects that the code logged, one a line."""
    return [json.loads(line) for line in logged(code, level=level).splitlines()]


def test_a_line_is_one_json_object_with_program_module_level_and_utc_time() -> None:
    (line,) = lines("log.info('push landed', refs=3, name='a\\nb')")
    assert line.pop("timestamp", "").endswith("Z")  # type: ignore[attr-defined]  # a string in every line
    assert line == {
        "event": "push landed",
        "level": "info",
        "program": "web",
        "module": "cairn.web.errors",
        "refs": 3,
        "name": "a\nb",
    }


def test_every_line_of_a_request_carries_its_id_and_no_line_after_it_does() -> None:
    inside, library, after = lines(
        """
        with bind_request("0123abcd", address="192.0.2.1", actor="ada"):
            log.info("inside")
            logging.getLogger("some.library").warning("from a %s", "library")
        log.info("after")
        """
    )
    assert (inside["request_id"], inside["actor"]) == ("0123abcd", "ada")
    assert (library["request_id"], library["event"], library["level"]) == ("0123abcd", "from a library", "warning")
    assert "request_id" not in after
    assert "actor" not in after


def test_requests_that_run_at_the_same_time_do_not_mix_their_ids() -> None:
    found = lines(
        """
        import asyncio
        async def request(number, barrier):
            with bind_request(f"id-{number}", address="192.0.2.1"):
                await barrier.wait()
                log.info("done", number=number)
        async def main():
            barrier = asyncio.Barrier(5)
            async with asyncio.TaskGroup() as group:
                for number in range(5):
                    group.create_task(request(number, barrier))
        asyncio.run(main())
        """
    )
    assert len(found) == 5
    assert all(line["request_id"] == f"id-{line['number']}" for line in found)


def test_an_error_is_logged_with_its_traceback_in_the_same_line() -> None:
    (line,) = lines(
        """
        try:
            1 / 0
        except ZeroDivisionError:
            log.exception("request failed")
        """
    )
    assert "ZeroDivisionError" in str(line["exception"])


def test_lines_below_the_level_are_not_written() -> None:
    code = "log.debug('a'); log.info('b'); log.warning('c'); logging.getLogger('x').info('d')"
    assert [line["event"] for line in lines(code, level="warning")] == ["c"]
    assert [line["event"] for line in lines(code, level="info")] == ["b", "c"]


def test_plain_lines_are_for_people() -> None:
    text = logged("log.info('push landed', refs=3)", plain=True)
    assert "push landed" in text
    assert "refs=3" in text
    assert not text.startswith("{")


def test_settings_in_a_log_line_show_no_secret() -> None:
    text = logged(
        """
        from cairn.base.settings import Settings
        settings = Settings(secret_key="hunter2" * 8, database_url="postgresql://cairn:hunter2@db/cairn")
        logging.getLogger("x").error("started with %s", settings)
        log.error("started", settings=settings)
        try:
            raise RuntimeError(settings)
        except RuntimeError:
            log.exception("failed")
        """
    )
    assert "registration='open'" in text
    assert "hunter2" not in text
