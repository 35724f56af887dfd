"""What an account says of itself to everybody."""

import re
from dataclasses import dataclass, fields

from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import AccountScope
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Invalid
from cairn.base.text import problem_of_text
from cairn.db.clock import database_now
from cairn.events.emit import emit
from cairn.identity.events import AccountEdited
from cairn.identity.models import Account

LENGTHS_MAX = {"name": 255, "bio": 500, "website": 255, "company": 255, "location": 255, "pronouns": 40}
_WEBSITE = re.compile(r"https?://[\w.-]+(?::[0-9]{1,5})?(?:[/?#]\S*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileChange:
    """What is to be different; None leaves a field as it is."""

    name: str | None = None
    bio: str | None = None
    website: str | None = None
    company: str | None = None
    location: str | None = None
    pronouns: str | None = None


async def update_profile(session: AsyncSession, actor: Actor, account_id: int, change: ProfileChange) -> Account:
    """Change what is given of an account's public profile. Errors: Invalid names the field."""
    await authorize(session, actor, Action.ACCOUNT_EDIT, AccountScope(account_id))
    account = await session.get_one(Account, account_id)
    changes: dict[str, tuple[str, str]] = {}
    for field in fields(change):
        value = getattr(change, field.name)
        if value is None:
            continue
        new, old = _checked(field.name, value), getattr(account, field.name)
        if new != old:
            setattr(account, field.name, new)
            changes[field.name] = (old, new)
    if changes:
        account.updated_at = await database_now(session)
        emit(session, AccountEdited(account_id=account_id))
        record(session, actor, "account.update_profile", account.login, account_id=account_id, changes=changes)
        await session.flush()
    return account


def _checked(field: str, value: str) -> str:
    value = value.strip()
    problem = problem_of_text(value, max_length=LENGTHS_MAX[field], is_multiline=field == "bio")
    if problem is not None:
        raise _refused(field, f"The {field} {problem}")
    if field == "website" and value:
        if "://" not in value:
            value = f"https://{value}"
        if not _WEBSITE.fullmatch(value) or len(value) > LENGTHS_MAX[field]:
            # Anything else might run in the reader's page (javascript:) or name a password.
            raise _refused(field, "The website must be an address that begins with http:// or https://.")
    return value


def _refused(field: str, message: str) -> Invalid:
    return Invalid(message, FieldProblem(field, "invalid", message, "User"))
