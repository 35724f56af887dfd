"""What a failing database means to the caller: try again, do not know the outcome, or come back later."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from cairn.base.errors import Misconfigured, Unavailable
from cairn.base.patience import OutOfPatience, waiting

ACQUIRE_SECONDS = 10
"""Nobody waits longer than this for a connection, whether the pool is empty or the server silent."""

# PostgreSQL: serialization failure, deadlock, lock timeout
_RETRIED_STATES = {"40001", "40P01", "55P03"}
# PostgreSQL: statement timeout, the server shuts down or starts, too many connections, idle in transaction too long
_AWAY_STATES = {"57014", "57P01", "57P02", "57P03", "53300", "25P03"}
# MySQL: deadlock, lock wait timeout
_RETRIED_ERRNOS = {1213, 1205}
# MySQL: too many connections, shutdown, refused, unknown host, gone away, lost, statement timeouts
_AWAY_ERRNOS = {1040, 1053, 2002, 2003, 2005, 2006, 2013, 2055, 3024, 1969, 4031}


class DatabaseMisconfigured(Misconfigured):
    """The database URL cannot be used, or a setting that durability needs is off."""


class DatabaseAway(Unavailable):
    """The database did not answer in time."""


class CommitUnknown(DatabaseAway):
    """The connection ended while COMMIT was on its way: the change may be there or not."""


def is_retryable(error: DBAPIError) -> bool:
    """Tell whether the database rolled the transaction back only because of other transactions."""
    if _state(error) in _RETRIED_STATES or _errno(error) in _RETRIED_ERRNOS:
        return True
    return "database is locked" in str(error.orig)


def is_connection_lost(error: BaseException) -> bool:
    """Tell whether the outcome of a statement is unknown because the connection ended."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error, InterfaceError | OperationalError)
    return isinstance(error, OSError | TimeoutError | PoolTimeout) or _is_driver_loss(error)


def is_away(error: BaseException) -> bool:
    """Tell whether trying again later, with nothing changed, may work."""
    if isinstance(error, DBAPIError):
        # An InterfaceError without the driver's word for it is a fault of ours (a wrong parameter): it must be seen.
        return (
            error.connection_invalidated
            or is_retryable(error)
            or _state(error) in _AWAY_STATES
            or (_state(error) or "").startswith("08")
            or _errno(error) in _AWAY_ERRNOS
        )
    return isinstance(error, ConnectionError | PoolTimeout | OutOfPatience) or _is_driver_loss(error)


@contextmanager
def translated() -> Iterator[None]:
    """Turn a lost database into DatabaseAway; every other error passes."""
    try:
        yield
    except Exception as error:
        if is_away(error):
            raise DatabaseAway("The database is away or busy; try again in a moment.") from error
        raise


@contextmanager
def committing() -> Iterator[None]:
    """Turn a connection that ends inside the block into CommitUnknown; every other error passes."""
    try:
        yield
    except Exception as error:
        if is_connection_lost(error) and not (isinstance(error, DBAPIError) and is_retryable(error)):
            raise CommitUnknown("The database went away while saving; look before you try again.") from error
        raise


@asynccontextmanager
async def acquiring() -> AsyncIterator[None]:
    """Bound the wait for a connection, on the request's clock; whatever prevents it is DatabaseAway."""
    try:
        async with waiting(ACQUIRE_SECONDS):
            yield
    except (OSError, TimeoutError) as error:
        raise DatabaseAway("The database does not answer; try again in a moment.") from error
    except Exception as error:
        if is_away(error) or _is_driver_error(error):
            raise DatabaseAway("The database is away or busy; try again in a moment.") from error
        raise


def _state(error: DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)


def _errno(error: DBAPIError) -> object:
    arguments = getattr(error.orig, "args", ())
    return arguments[0] if arguments else None


def _is_driver_loss(error: BaseException) -> bool:
    """Tell whether asyncpg itself, outside SQLAlchemy's translation, lost its connection."""
    asyncpg = sys.modules.get("asyncpg")
    if asyncpg is None:
        return False
    # InternalClientError: the server's goodbye has arrived on an idle connection whose end has not.
    lost = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    return isinstance(error, lost) or (getattr(error, "sqlstate", None) in _AWAY_STATES)


def _is_driver_error(error: BaseException) -> bool:
    """Tell whether asyncpg refused to connect for a reason that may pass (starting up, too many connections)."""
    asyncpg = sys.modules.get("asyncpg")
    return asyncpg is not None and isinstance(
        error, asyncpg.OperatorInterventionError | asyncpg.InsufficientResourcesError
    )
