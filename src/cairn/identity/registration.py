"""Who may sign up: what the operator's setting allows, narrowed by what administrators chose while it runs.

``CAIRN_REGISTRATION`` is the widest there is: where it says ``closed``, no page opens it again.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from cairn.access.actions import Action
from cairn.access.authorize import authorize
from cairn.access.scopes import SITE
from cairn.audit.record import record
from cairn.base.actor import Actor
from cairn.base.errors import FieldProblem, Forbidden, Invalid
from cairn.base.settings import Settings
from cairn.db.clock import database_now
from cairn.identity.models import SiteSetting

NAME = "registration"
MODES = ("open", "invite", "closed")
"""From the widest to the narrowest."""
DOMAINS_MAX = 100
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})+")


class RegistrationClosed(Forbidden):
    """This installation does not let strangers sign up."""


class _Chosen(msgspec.Struct, frozen=True):
    """What administrators chose, as the table keeps it."""

    mode: str = "open"
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RegistrationPolicy:
    """What holds now: ``mode`` is the narrower of setting and choice; no ``domains`` means any address."""

    mode: str
    domains: tuple[str, ...]
    chosen: str

    def require(self, *, invitation: str, email: str = "", by_organization: bool = False) -> None:
        """Return if a stranger (with this invitation and address) may try to sign up.

        An administrator's invitation stands above the domains, one into an organization (``by_organization``) does
        not: everybody may found one. Neither opens what is closed.
        Errors: RegistrationClosed; Invalid for an address of another domain.
        """
        if self.mode == "closed":
            raise RegistrationClosed("Sign-up is closed here; an administrator makes the accounts.")
        if self.mode == "invite" and not invitation:
            raise RegistrationClosed("Sign-up needs an invitation link; ask an administrator for one.")
        counts = self.mode == "open" or by_organization
        if email and self.domains and counts and email.rpartition("@")[2].lower() not in self.domains:
            message = f"Sign up with an address of {' or '.join(self.domains[:5])}."
            raise Invalid(message, FieldProblem("email", "invalid", message, "User"))


async def read_registration(session: AsyncSession, settings: Settings) -> RegistrationPolicy:
    """Return who may sign up now."""
    value = await session.scalar(select(SiteSetting.value).where(SiteSetting.name == NAME))
    chosen = _Chosen() if value is None else msgspec.json.decode(value, type=_Chosen)
    mode = max(settings.registration, chosen.mode, key=MODES.index)
    return RegistrationPolicy(mode, chosen.domains, chosen.mode)


async def choose_registration(
    session: AsyncSession, actor: Actor, settings: Settings, *, mode: str, domains: Sequence[str]
) -> None:
    """Change who may sign up from now on, on every node.

    Errors: Invalid for a mode wider than the operator's setting, or for what is no domain.
    """
    await authorize(session, actor, Action.SITE_ADMINISTER, SITE)
    if mode not in MODES:
        raise _refused("mode", "Choose one of the three.")
    if MODES.index(mode) < MODES.index(settings.registration):
        raise _refused("mode", f"CAIRN_REGISTRATION says {settings.registration}: wider is for the operator to set.")
    wanted = _checked(domains)
    before = await read_registration(session, settings)
    value = msgspec.json.encode(_Chosen(mode, wanted)).decode()
    row = await session.get(SiteSetting, NAME, with_for_update=True)
    moment = await database_now(session)
    if row is None:
        session.add(SiteSetting(name=NAME, value=value, changed_at=moment))
    else:
        row.value, row.changed_at = value, moment
    now = {"mode": (before.chosen, mode), "domains": (", ".join(before.domains), ", ".join(wanted))}
    changes = {name: pair for name, pair in now.items() if pair[0] != pair[1]}
    if changes:
        record(session, actor, "site.registration", "registration", changes=changes)
    await session.flush()


def _checked(domains: Sequence[str]) -> tuple[str, ...]:
    found = tuple(dict.fromkeys(domain.strip().lower().lstrip("@") for domain in domains if domain.strip()))
    if len(found) > DOMAINS_MAX:
        raise _refused("domains", f"Name at most {DOMAINS_MAX} domains.")
    for domain in found:
        if not _DOMAIN.fullmatch(domain):
            raise _refused("domains", f"{domain[:60]!r} is no domain of mail addresses.")
    return found


def _refused(field: str, message: str) -> Invalid:
    return Invalid(message, FieldProblem(field, "invalid", message))
