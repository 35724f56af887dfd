"""Recording a decision. There is no function that changes or deletes an entry."""

from collections.abc import Mapping

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
    details: Mapping[str, str] | None = None,
    origin: Origin | None = None,
) -> None:
    """Write who did what to what when the session flushes; it counts if the change does.

    ``target`` names the thing as people do (``ada/engine``); ``account_id`` and ``repository_id`` say whose log it
    belongs to. ``details`` hold before and after as short text, never a secret. Longer text is cut: a name somebody
    chose must not stop the change it describes. The running request's origin is noted unless another is given.
    """
    origin = origin or current_origin()
    assert details is None or len(details) <= DETAILS_MAX
    session.add(
        AuditEntry(
            at=now(),
            actor_id=actor.account_id,
            actor=actor.label[:TEXT_LENGTH_MAX],
            action=action,
            target=target[:TEXT_LENGTH_MAX],
            account_id=account_id,
            repository_id=repository_id,
            address=origin.address[:ADDRESS_LENGTH_MAX],
            request_id=origin.request_id[:REQUEST_ID_LENGTH_MAX],
            details={name: value[:DETAIL_LENGTH_MAX] for name, value in (details or {}).items()},
        )
    )
