"""Doing what is due, as a worker does, in the test's own process and with the test's own engine."""

from typing import Any

from sqlalchemy import MetaData

from cairn.base.secret_box import SecretBox
from cairn.base.settings import Settings
from cairn.git.engine import Engine
from cairn.jobs.context import JobContext
from cairn.jobs.lease import claim, finish
from cairn.jobs.registry import registry
from cairn.mail.outbox import Outbox
from cairn.programs.features import MAIL_PACKAGES, load_jobs
from cairn.programs.schema import metadata
from cairn.storage.storage import Storage


def services_of(engine: Engine) -> dict[type, Any]:
    """Return what ``cairnd worker`` gives its jobs."""
    secrets = SecretBox(["a key of the tests, long enough"])
    return {
        Engine: engine,
        Storage: engine.storage,
        Settings: engine.settings,
        Outbox: Outbox(engine.settings, secrets, MAIL_PACKAGES),
        SecretBox: secrets,
        MetaData: metadata(),
    }


async def do_what_is_due(engine: Engine) -> list[str]:
    """Do every job that is due; return their kinds."""
    load_jobs()
    done: list[str] = []
    while True:
        async with engine.database.write() as session:
            claims = await claim(session, registry, holder="tester", limit=10)
        if not claims:
            return done
        for held in claims:
            context = JobContext(engine.database, held.job_id, held.fencing, held.attempt, services_of(engine))
            await held.handler(context, held.payload)
            async with engine.database.write() as session:
                await finish(session, held)
            done.append(held.handler.kind)
