"""Recording a decision. No function changes an entry; only ``retention`` deletes old ones, and says so in the chain."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BigInteger, String, column, func, select, table
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.audit.models import AuditEntry
from cairn.base.actor import Actor
from cairn.base.origin import Origin, current_origin
from cairn.db.clock import now

TEXT_LENGTH_MAX = 255
ADDRESS_LENGTH_MAX = 64
REQUEST_ID_LENGTH_MAX = 32
DETAIL_LENGTH_MAX = 1000
DETAILS_MAX = 50


def record(
    session: AsyncSession,
    actor: Actor,
    action: str,
    target: str,
    *,
    account_id: int | None = None,
    repository_id: int | None = None,
    organization_id: int | None = None,
    details: Mapping[str, str] | None = None,
    changes: Mapping[str, tuple[str, str]] | None = None,
    origin: Origin | None = None,
) -> None:
    """Write who did what to what when the session flushes; it counts if the change does.

    ``target`` names the thing as people do (``ada/engine``); ``account_id`` and ``repository_id`` say whose log it
    belongs to. The organization is found from them, unless their rows are gone by then: who deletes them names it.
    ``details`` are facts as short text, ``changes`` what each field was before and is now; never a secret. Longer text
    is cut: a name somebody chose must not stop the change it describes. The running request's origin is noted unless
    another is given.
    """
    origin = origin or current_origin()
    assert len(details or ()) <= DETAILS_MAX
    assert len(changes or ()) <= DETAILS_MAX
    session.add(
        AuditEntry(
            at=now(),
            actor_id=actor.account_id,
            actor=actor.label[:TEXT_LENGTH_MAX],
            action=action,
            target=target[:TEXT_LENGTH_MAX],
            account_id=account_id,
            organization_id=organization_id or _organization(account_id, repository_id),
            repository_id=repository_id,
            address=origin.address[:ADDRESS_LENGTH_MAX],
            user_agent="".join(filter(str.isprintable, origin.user_agent[:TEXT_LENGTH_MAX])),
            request_id=origin.request_id[:REQUEST_ID_LENGTH_MAX],
            details={name: value[:DETAIL_LENGTH_MAX] for name, value in (details or {}).items()},
            changes=None
            if not changes
            else {name: [old[:DETAIL_LENGTH_MAX], new[:DETAIL_LENGTH_MAX]] for name, (old, new) in changes.items()},
        )
    )


# The tables of ``identity`` and ``repositories`` by name: they stand above, and a caller who had to say which
# organization it is would forget it where it matters.
_ACCOUNT = table("account", column("id", BigInteger), column("kind", String))
_REPOSITORY = table("repository", column("id", BigInteger), column("owner_id", BigInteger))


def _organization(account_id: int | None, repository_id: int | None) -> Any:  # noqa: ANN401 (an SQL value or None)
    """Return the organization that one of these belongs to, as part of the INSERT: it costs no round trip."""
    ways = []
    if account_id is not None:
        ways.append(_organizations().where(_ACCOUNT.c.id == account_id).scalar_subquery())
    if repository_id is not None:
        owned = _organizations().join(_REPOSITORY, _REPOSITORY.c.owner_id == _ACCOUNT.c.id)
        ways.append(owned.where(_REPOSITORY.c.id == repository_id).scalar_subquery())
    return func.coalesce(*ways) if len(ways) > 1 else (ways or [None])[0]


def _organizations() -> Any:  # noqa: ANN401 (a SELECT)
    return select(_ACCOUNT.c.id).where(_ACCOUNT.c.kind == "organization")
