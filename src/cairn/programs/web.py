"""``cairnd web``: pages, the API and git over HTTP.

One process serves by itself; with ``CAIRN_WEB_WORKERS`` above 1 this process only keeps that many of them running, all
listening at the same address. Each stops by itself: first "not ready", then no new connections, then what runs ends.
"""

import sys

from cairn.base.settings import Settings
from cairn.programs.start import AddressTaken, require_free, run, start
from cairn.programs.supervisor import (
    EXIT_MISCONFIGURED,
    KILL_AFTER_DRAIN_SECONDS,
    Program,
    Signals,
    Supervisor,
    cairnd,
    logger,
)

HELP = """Usage: cairnd web

Answer HTTP at CAIRN_HTTP_ADDRESS: pages, the API and git. Stop with Ctrl-C or SIGTERM: running requests and clones get
CAIRN_DRAIN_SECONDS to finish. A second signal stops at once.
"""
WORKER = "--worker"


def main() -> None:
    """Serve until a stop signal."""
    settings, flags = start("web", HELP, flags=(WORKER,))
    if not flags:
        try:
            require_free(settings.http_address, "CAIRN_HTTP_ADDRESS")
        except AddressTaken as error:
            print(f"cairnd web: {error.message}", file=sys.stderr)
            sys.exit(EXIT_MISCONFIGURED)
        if settings.web_workers > 1:
            sys.exit(_supervise(settings))

    from cairn.programs.web_server import serve

    run("web", lambda: serve(settings))


def _supervise(settings: Settings) -> int:
    """Keep the workers running until a stop signal; this process serves nothing."""
    run_folder = settings.data_dir.absolute() / "run"
    run_folder.mkdir(parents=True, exist_ok=True)
    programs = [Program(f"web-{number}", [*cairnd("web"), WORKER]) for number in range(1, settings.web_workers + 1)]
    say = logger(plain=settings.log_format == "plain")
    supervisor = Supervisor(programs, state_file=run_folder / "web.json", say=say)
    with Signals() as signals:
        return supervisor.run(signals, stop_seconds=settings.drain_seconds + KILL_AFTER_DRAIN_SECONDS)
