"""The frame around a person's own settings: the sections, and whose they are."""

import msgspec
from litestar import Response

from cairn.base.actor import Actor
from cairn.base.errors import Unauthenticated
from cairn.base.ids import RowId
from cairn.web.context import RequestContext
from cairn.web.render import render

SECTIONS = (
    ("profile", "Profile", "person"),
    ("emails", "E-mail addresses", "mail"),
    ("account", "Account", "gear"),
    ("password", "Password", "lock"),
    ("sessions", "Sessions", "device-desktop"),
    ("tokens", "Tokens", "shield-check"),
    ("keys", "Keys", "key"),
    ("organizations", "Organizations", "organization"),
    ("transfers", "Transfers", "repo-push"),
    ("deleted", "Deleted repositories", "trash"),
)


class ChosenKey(msgspec.Struct):
    """Which key a button stands beside."""

    id: RowId


def own_account(actor: Actor) -> int:
    """Return whose settings these are; Unauthenticated leads a visitor to the sign-in page and back."""
    if actor.account_id is None:
        raise Unauthenticated("Sign in to see your settings.")
    return actor.account_id


def show_settings(
    context: RequestContext, template: str, section: str, *, status: int = 200, **values: object
) -> Response[str]:
    """Return a page of the settings with ``section`` marked as the one that is open; nothing keeps a copy."""
    headers = {"Cache-Control": "no-store"}
    sections = settings_sections(section)
    return render(context, f"identity/{template}", status=status, headers=headers, sections=sections, **values)


def settings_sections(section: str) -> list[tuple[str, str, str, bool]]:
    """Return the links beside the settings, ``section`` marked as the one that is open."""
    return [(text, f"/settings/{name}", icon, name == section) for name, text, icon in SECTIONS]
