"""``cairnd worker``: do the jobs that outlive a request. Any number of them may run, on any node."""

import asyncio

from sqlalchemy import MetaData

from cairn.base.log import get_logger
from cairn.base.settings import Settings
from cairn.db.startup import open_ready_database
from cairn.jobs.wake import Wakeups
from cairn.jobs.worker import run_worker
from cairn.programs.start import run, start, stop_requested

HELP = """Usage: cairnd worker

Do the jobs that outlive a request, and those that recur. Stop with Ctrl-C or SIGTERM: running jobs get
CAIRN_DRAIN_SECONDS to finish, then they wait for another worker.
"""
CONCURRENCY = 8
"""Jobs at a time. They mostly wait for git, the database and the store; git children have a limit of their own."""


def main() -> None:
    """Run the worker until it is told to stop; end with one sentence if it cannot start."""
    settings, _ = start("worker", HELP)
    run("worker", lambda: work(settings))


async def work(settings: Settings) -> int:
    """Do jobs until a stop signal, then let the running ones finish within the drain time; return the exit code."""
    from cairn.base.secret_box import SecretBox, load_key_ring
    from cairn.git.engine import Engine, open_engine
    from cairn.identity.key_canary import require_secret_key
    from cairn.mail.outbox import Outbox
    from cairn.ops.heartbeat import beating
    from cairn.programs.features import MAIL_PACKAGES, load_jobs
    from cairn.programs.schema import metadata
    from cairn.repositories.rules.examine import make_examine
    from cairn.storage.storage import Storage, open_storage

    load_jobs()
    secrets = SecretBox(load_key_ring(settings))
    outbox = Outbox(settings, secrets, MAIL_PACKAGES)
    stop = stop_requested()
    database, _ = await open_ready_database(settings)
    try:
        await require_secret_key(database, secrets)
        storage = open_storage(settings)
        async with open_engine(settings, database, storage, make_examine=make_examine) as engine:
            wakeups = Wakeups(database, redis_url=settings.redis_url)
            async with beating(database, "worker"), asyncio.TaskGroup() as tasks:
                carrier = tasks.create_task(wakeups.run())
                get_logger(__name__).info("worker_started", concurrency=CONCURRENCY)
                await run_worker(
                    database,
                    {
                        Engine: engine,
                        Storage: storage,
                        Settings: settings,
                        Outbox: outbox,
                        SecretBox: secrets,
                        MetaData: metadata(),
                    },
                    concurrency=CONCURRENCY,
                    stop=stop,
                    wakeups=wakeups,
                    drain_seconds=settings.drain_seconds,
                )
                carrier.cancel()
        get_logger(__name__).info("worker_stopped")
        return 0
    finally:
        await database.close()
