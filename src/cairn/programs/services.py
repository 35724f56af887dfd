"""What web, ssh and worker all stand on, opened in order and closed in reverse: database, storage, engine, who asks."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from cairn.base.errors import CairnError
from cairn.base.log import get_logger
from cairn.base.secret_box import SecretBox, load_key_ring
from cairn.base.settings import Settings
from cairn.db.database import Database
from cairn.db.durability import Finding
from cairn.db.startup import open_ready_database
from cairn.git.engine import Engine, open_engine
from cairn.identity.authenticate import Authenticator
from cairn.identity.failed_sign_ins import FailedSignIns
from cairn.identity.key_canary import require_secret_key
from cairn.identity.last_used import FLUSH_SECONDS, LastUsed
from cairn.identity.passwords import Passwords
from cairn.identity.sign_in_limits import SignInLimits
from cairn.lfs.words import Words
from cairn.mail.outbox import Outbox
from cairn.programs.features import MAIL_PACKAGES, load_subscribers
from cairn.repositories.git_access import GitDoor
from cairn.repositories.rules.examine import make_examine
from cairn.storage.storage import Storage, open_storage
from cairn.web.counters import Counters
from cairn.web.rate_limits import RateLimits

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts one program shares between its requests."""

    settings: Settings
    secret_key: str
    secrets: SecretBox
    database: Database
    findings: tuple[Finding, ...]
    storage: Storage
    engine: Engine
    passwords: Passwords
    last_used: LastUsed
    authenticator: Authenticator
    git_door: GitDoor
    words: Words
    outbox: Outbox
    counters: Counters
    limits: RateLimits

    def key_for(self, purpose: str) -> bytes:
        """Return 32 bytes derived from the secret key for one purpose: what signs one thing opens no other."""
        return hmac.digest(self.secret_key.encode(), b"cairn " + purpose.encode(), hashlib.sha256)


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Yield everything, proved to work: the schema is current, the object store behaves.

    Errors: SettingInvalid, WrongSecretKey, SchemaTooOld, DatabaseMisconfigured, StorageMisconfigured, Unavailable.
    """
    # Before anything can change: ``emit`` writes a job for each subscriber this process knows.
    load_subscribers()
    key_ring = load_key_ring(settings)
    secrets = SecretBox(key_ring)
    database, findings = await open_ready_database(settings)
    try:
        await require_secret_key(database, secrets)
        storage = open_storage(settings)
        await storage.self_test()
        async with open_engine(settings, database, storage, make_examine=make_examine) as engine:
            passwords = Passwords()
            last_used = LastUsed(session_lifetime=timedelta(days=settings.session_days))
            counters = Counters()
            sign_ins = SignInLimits(counters)
            authenticator = Authenticator(
                database,
                passwords=passwords,
                limits=sign_ins,
                last_used=last_used,
                token_lifetime_max_days=settings.token_lifetime_max_days,
            )
            notes = _flushing(last_used, authenticator.failed_sign_ins, database)
            async with notes, counters.sharing(settings.redis_url):
                yield Services(
                    settings=settings,
                    secret_key=key_ring[0],
                    secrets=secrets,
                    database=database,
                    findings=tuple(findings),
                    storage=storage,
                    engine=engine,
                    passwords=passwords,
                    last_used=last_used,
                    authenticator=authenticator,
                    git_door=GitDoor(database, authenticator),
                    words=Words(database, secrets),
                    outbox=Outbox(settings, secrets, MAIL_PACKAGES),
                    counters=counters,
                    limits=RateLimits(settings, counters),
                )
    finally:
        await database.close()


@asynccontextmanager
async def _flushing(last_used: LastUsed, failed: FailedSignIns, database: Database) -> AsyncIterator[None]:
    """Write what was used lately, and who was refused, every minute and once more at the end."""

    async def flush() -> None:
        for name, notes in (("last_used", last_used), ("failed_sign_ins", failed)):
            try:
                await notes.flush(database)
            except CairnError as error:
                _log.warning("notes_lost", notes=name, error=error.message)

    async def forever() -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await flush()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(forever())
        try:
            yield
        finally:
            task.cancel()
            await flush()
