"""Structured logs: one JSON object a line on standard error, each with the request id it belongs to.

Values are never secrets: log ids, names and counts. ``bind_request`` sets what every line of a request carries.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from cairn.base.origin import Origin, bind_origin

LogLevel = int


def configure_logging(*, program: str, level: str, plain: bool) -> None:
    """Send structlog and the standard library's loggers to standard error.

    ``plain`` renders lines for a person at a terminal, otherwise each line is one JSON object.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if plain else structlog.processors.JSONRenderer()
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))
    structlog.contextvars.bind_contextvars(program=program)


@contextmanager
def bind_request(request_id: str, *, address: str, user_agent: str = "", **values: str) -> Iterator[None]:
    """Give every log line and audit entry made inside the block this request id and the peer's address.

    Only the audit log keeps the user agent: it is long, and a client writes into it what it likes.
    """
    tokens = structlog.contextvars.bind_contextvars(request_id=request_id, address=address, **values)
    try:
        with bind_origin(Origin(address, request_id, user_agent)):
            yield
    finally:
        structlog.contextvars.reset_contextvars(**tokens)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return the logger of one module; ``name`` appears as ``module`` on its lines."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(module=name)
    return logger
